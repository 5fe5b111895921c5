"""Processes that do tasks: one that dies is named and ends no other, and none outlives the command."""

import os
import signal
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.deadline import until
from tests.unit.worker_tasks import doubled
from tidesync.errors import SettingsError
from tidesync.sessions.archive.processes import Processes
from tidesync.sessions.archive.workers import Lost

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


def done(tasks, most=2):
    counted = []
    with closing(Processes(most).each(doubled, "shared", tasks, counted.append)) as results:
        found = dict(results)
    return [found[number] for number in range(len(tasks))], sum(counted)


def is_running(pid):
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def test_all_tasks_are_done_by_as_many_processes_as_were_asked_for():
    found, counted = done(list("abcdefgh"))
    assert [each[:3] for each in found] == [(each, each, "shared") for each in "abcdefgh"]
    assert len({each[3] for each in found}) <= 2
    assert os.getpid() not in {each[3] for each in found}
    assert counted == 8


def test_a_process_that_is_killed_is_named_and_the_others_tasks_are_done():
    found, _ = done(["a", "killed", "fault", "b", "memory", "killed", "c"])
    lost = [each.reason if isinstance(each, Lost) else each[0] for each in found]
    assert "ended by signal 9 (SIGKILL); the system ends processes so when memory is short" in lost[1]
    assert "internal fault: ArithmeticError" in lost[2]
    assert "too little memory" in lost[4]
    assert [lost[0], lost[3], lost[6]] == ["a", "b", "c"]
    assert lost[5] == lost[1]


def test_wrong_usage_is_raised_here():
    with pytest.raises(SettingsError, match="expected a zone"):
        done(["usage", "a"])


def test_whoever_ceases_to_ask_ends_what_is_being_worked_on(tmp_path):
    results = Processes(2).each(doubled, None, ["a", tmp_path, tmp_path], lambda _: None)
    assert next(results)[0] == 0
    until(lambda: list(tmp_path.iterdir()))
    results.close()
    until(lambda: not list(tmp_path.iterdir()), what="what was begun is taken back")


PROGRAM = """
import sys
from pathlib import Path
from contextlib import closing
from tests.unit.worker_tasks import doubled
from tidesync.sessions.archive.processes import Processes
if __name__ == "__main__":
    with closing(Processes(2).each(doubled, None, [Path(sys.argv[1])] * 4, lambda _: None)) as results:
        list(results)
"""


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM], ids=lambda each: each.name
)
def test_no_process_outlives_the_command(tmp_path, number):
    program, folder = tmp_path / "program.py", tmp_path / "work"
    program.write_text(PROGRAM)
    folder.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, str(program), str(folder)], env=environment, stderr=subprocess.PIPE
    ) as command:
        try:
            until(lambda: len(list(folder.iterdir())) == 2, what="both are at work")
            children = [int(path.name.split(".")[1]) for path in folder.iterdir()]
            assert all(map(is_running, children))
            command.send_signal(number)
            until(lambda: not any(map(is_running, children)), what="their end")
            command.wait(60)
        finally:
            command.kill()
    if number == signal.SIGINT:
        assert not list(folder.iterdir()), "what was begun is taken back"
