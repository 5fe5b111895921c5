"""docs/terminal.md: its commands exist, with those options; its doctor's lines are the doctor's."""

import re
import shlex
from pathlib import Path
from typing import get_args

import click
import pytest

from tidesync.command_line import cli
from tidesync.doctor.finding import Verdict

PAGE = (Path(__file__).parents[2] / "docs" / "terminal.md").read_text(encoding="utf-8")
LINES = re.findall(r"^\$ tidesync ([^|\n]*)", PAGE, re.MULTILINE)


def test_the_page_shows_every_command_of_its_own():
    assert {"status", "watch", "wait", "doctor", "forget"} <= {line.split()[0] for line in LINES}


@pytest.mark.parametrize("line", LINES)
def test_a_command_of_the_page_has_those_options(line):
    name, *arguments = shlex.split(line)
    context = click.Context(cli, info_name="tidesync")
    command = cli.get_command(context, name)
    assert command is not None, name
    command.make_context(name, arguments, parent=context)  # refuses options it does not know


def test_the_doctors_lines_begin_with_a_verdict():
    shown = PAGE[PAGE.index("$ tidesync doctor") :].split("```")[0]
    assert set(re.findall(r"^  (\w+) ", shown, re.MULTILINE)) <= set(get_args(Verdict))
