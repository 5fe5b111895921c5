"""The watchdog detects a stuck loop; a machine that is busy, asleep or paused is not mistaken for one."""

import signal
import socket
from pathlib import Path

import pytest

from runtime.errors import AgentEndedError
from runtime.heartbeat import HeartbeatFile, main, problem
from runtime.lifecycle import run_until_stopped
from runtime.watchdog import Loop, Notifier, StallDetector, Watchdog

S = 1_000_000_000


class FakeAgent:
    def __init__(self, *loops):
        self.loops = loops
        self.status_text = "waiting for the broker: it is away"


def looks(detector, loops, times_s):
    return [detector.check(loops, round(t * S)) for t in times_s]


def every(step_s, until_s):
    return [step_s * n for n in range(round(until_s / step_s) + 1)]


def test_a_loop_without_an_iteration_is_stuck_after_its_limit_and_not_before():
    loop = Loop("the network thread")
    verdicts = looks(StallDetector(), [loop], every(0.1, 11))
    assert verdicts[:101] == [None] * 101
    assert verdicts[102] == "the network thread has been stuck for 10 s"


def test_a_loop_that_iterates_once_within_its_limit_is_alive():
    loop, detector = Loop("slow"), StallDetector()
    for tick in range(1000):
        loop.iterations += tick % 95 == 0
        assert detector.check([loop], tick * S // 10) is None


def test_one_stuck_loop_is_found_beside_one_that_iterates():
    dead, alive, detector = Loop("the clock watch"), Loop("the network thread"), StallDetector()
    verdict = None
    for half in range(22):
        alive.iterations += 1
        verdict = detector.check([alive, dead], half * S // 2)
    assert verdict == "the clock watch has been stuck for 10 s"


def test_a_pause_of_the_whole_process_does_not_count():
    loop, detector = Loop("paused"), StallDetector()
    assert looks(detector, [loop], [0, 0.1, 3600, 3600.1]) == [None] * 4
    loop.iterations += 1
    assert detector.check([loop], 3601 * S) is None


def test_a_starved_process_is_measured_by_how_often_its_watchdog_runs():
    loop, detector = Loop("starved"), StallDetector()
    assert looks(detector, [loop], every(5, 100)) == [None] * 21  # twenty looks that count
    assert detector.check([loop], 105 * S) == "starved has been stuck for 10 s"


def test_what_is_known_to_take_longer_gets_its_time_and_then_the_usual():
    loop, detector = Loop("connecting"), StallDetector()
    with loop.allowing(120):
        assert looks(detector, [loop], every(0.5, 119)) == [None] * 239
    assert loop.limit_s == 10
    assert looks(detector, [loop], [119.5 + t for t in every(0.5, 10)]) == [None] * 21
    assert detector.check([loop], 130 * S) is not None


def test_a_loop_with_a_longer_limit_keeps_it():
    loop = Loop("disk", limit_s=60)
    with loop.allowing(10):
        assert loop.limit_s == 60


def test_a_heartbeat_is_fresh_for_ten_seconds(tmp_path):
    path = tmp_path / "heartbeat"
    HeartbeatFile(path).beat(100 * S, "connected")
    assert problem(path, 110 * S) is None
    assert problem(path, 112 * S) == f"the last heartbeat in {path} is 12 s old (the limit is 10 s)"
    assert list(tmp_path.iterdir()) == [path]


def test_a_heartbeat_of_an_earlier_boot_is_not_fresh(tmp_path):
    path = tmp_path / "heartbeat"
    HeartbeatFile(path).beat(5000 * S, "connected")
    assert "before the last boot" in problem(path, 30 * S)
    path.write_text(f"{5000 * S} another-boot\n")
    assert "before the last boot" in problem(path, 5001 * S)


@pytest.mark.parametrize("content", ["", "soon\n", "\x00\xff"])
def test_rubbish_is_no_heartbeat(tmp_path, content):
    path = tmp_path / "heartbeat"
    path.write_bytes(content.encode("latin-1"))
    assert problem(path, S) == f"{path} is not a heartbeat file"


def test_the_check_prints_the_reason_and_exits_with_1(tmp_path, capsys):
    assert main([str(tmp_path / "none")]) == 1
    assert "no heartbeat in" in capsys.readouterr().err
    assert main([]) == 2


def test_a_file_that_cannot_be_written_is_reported_once(tmp_path, caplog):
    file = HeartbeatFile(tmp_path / "missing" / "heartbeat")
    for second in range(3):
        file.beat(second * S, "connected")
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "No such file" in caplog.text
    (tmp_path / "missing").mkdir()
    file.beat(4 * S, "connected")
    assert problem(tmp_path / "missing" / "heartbeat", 4 * S) is None


def test_a_full_disk_is_reported(caplog):
    file = HeartbeatFile(Path("/dev/full/heartbeat"))
    file._new = Path("/dev/full")  # every write there fails with ENOSPC
    file.beat(S, "connected")
    assert "No space left" in caplog.text


def test_a_live_agent_beats_once_a_second_and_a_stuck_one_not_at_all(tmp_path):
    path, loop = tmp_path / "heartbeat", Loop("the network thread")
    watchdog = Watchdog(FakeAgent(loop), path)
    stamps = set()
    for tenth in range(31):
        loop.iterations += 1
        assert watchdog.check(tenth * S // 10 + S) is None
        stamps.add(path.read_text().split()[0])
    assert stamps == {"1000000000", "2000000000", "3000000000", "4000000000"}
    verdicts = [watchdog.check(half * S // 2) for half in range(9, 50)]
    assert verdicts[-1] is not None
    assert problem(path, 25 * S) is not None


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_hears_that_we_are_ready_alive_and_stopping(tmp_path, abstract):
    address = f"@tidesync-{tmp_path.name}-{abstract}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(2)
        manager.bind("\0" + address[1:] if abstract else address)
        loop = Loop("the network thread")
        agent = FakeAgent(loop)
        watchdog = Watchdog(agent, None, Notifier(address))
        watchdog.started()
        assert manager.recv(500) == b"READY=1\nSTATUS=waiting for the broker: it is away"
        watchdog.check(S)
        assert manager.recv(500) == b"WATCHDOG=1"
        agent.status_text = "connected to\nbroker"
        watchdog.check(2 * S)
        assert manager.recv(500) == b"WATCHDOG=1\nSTATUS=connected to broker"
        for half in range(5, 24):
            watchdog.check(half * S // 2)
            if half % 2 == 0:
                assert manager.recv(500) == b"WATCHDOG=1"
        watchdog.check(12 * S)  # stuck since 1 s: systemd hears no more of us
        watchdog.stopping()
        assert manager.recv(500) == b"STOPPING=1\nSTATUS=stopping"


def test_a_manager_that_is_absent_or_full_does_not_hold_us_up(tmp_path):
    Notifier("").notify("READY=1")
    Notifier(str(tmp_path / "nobody")).notify("READY=1")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        notifier = Notifier(str(tmp_path / "notify"))
        for _ in range(2000):  # more than its queue holds; nobody reads
            notifier.notify("WATCHDOG=1")


def test_a_network_thread_that_died_ends_the_process_with_1(monkeypatch):
    class Dead:
        failure = None

        def start(self): ...

        def stop(self): ...

        def wait_until_finished(self, _timeout_s):
            return True

    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(AgentEndedError, match="ended by itself"):
        run_until_stopped(Dead())
