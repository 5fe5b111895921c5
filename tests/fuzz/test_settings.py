"""Settings by option, environment and file: used, or refused with one line and exit code 2."""

import os
from unittest.mock import patch

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tidesync.cli.topside
from tests.fuzz.altered import NUMBERS, TEXTS, budget
from tidesync.command_line import run
from tidesync.settings import with_settings
from topside_agent.settings import TopsideSettings

NAMES = [name for name in TopsideSettings.model_fields if name != "estimator"]
WORDS = st.one_of(
    TEXTS, NUMBERS.map(str), st.sampled_from(["true", "[1]", "mqtt://", "mqtt://[", "rov1=http://"])
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A working folder of its own, and a command that only reads its settings."""
    path = tmp_path_factory.mktemp("settings")

    @click.command("topside")
    @with_settings(TopsideSettings)
    def command(settings):
        assert isinstance(settings, TopsideSettings)

    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(path)
        patched.setenv("XDG_CONFIG_HOME", str(path))
        patched.setattr(tidesync.cli.topside, "command", command)
        yield path


def code(*arguments):
    found = run(["-q", "topside", *arguments])
    assert found in {0, 2}
    return found


@pytest.mark.usefixtures("place")
@budget(40)
@given(st.sampled_from(NAMES), WORDS)
def test_options(name, word):
    code(f"--{name.replace('_', '-')}={word}")


@pytest.mark.usefixtures("place")
@budget(40)
@given(st.sampled_from(NAMES), WORDS.filter(lambda word: "\x00" not in word and word.isprintable()))
def test_the_environment(name, word):
    with patch.dict(os.environ, {f"TIDESYNC_{name.upper()}": word}):
        code()


@budget(40)
@given(st.sampled_from(NAMES), st.one_of(WORDS, st.binary(max_size=30)))
def test_the_file(place, name, content):
    line = content if isinstance(content, bytes) else f"{name} = {content}\n".encode("utf-8", "replace")
    (place / "tidesync.toml").write_bytes(line)
    try:
        code()
    finally:
        (place / "tidesync.toml").unlink()
