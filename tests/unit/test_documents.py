"""What the documents say is so: the README's commands exist, the topics page shows the topic table."""

import json
import re
import shlex
from pathlib import Path

import click
import pytest

from schemas import topics
from schemas.clock_history import ClockResendCommand, VehicleClock
from schemas.direct_path import UdpAnswer, UdpRequest
from schemas.messages import OffsetResult, Ping, Pong, SessionState, StartCommand
from tidesync.command_line import cli
from tidesync.fleet.vehicle import CONDITION

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TOPICS_PAGE = (ROOT / "docs" / "topics.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ (?:sudo )?(?:\S*/)?tidesync (.*)$", README, re.MULTILINE)


def test_the_readme_shows_commands():
    assert len(COMMANDS) >= 5


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_readme_has_those_options(line):
    command, arguments = cli, shlex.split(line, comments=True)
    context = click.Context(cli, info_name="tidesync")
    while isinstance(command, click.Group):
        name = arguments.pop(0)
        command = command.get_command(context, name)
        assert command is not None, name
    try:
        command.make_context(command.name, arguments, parent=context)  # refuses options it does not know
    except click.BadParameter as error:
        assert "does not exist" in error.message  # noqa: PT017 - a session of the reader's


@pytest.mark.parametrize("target", re.findall(r"^\$ make (\S+)$", README, re.MULTILINE))
def test_a_make_target_of_the_readme_is_there(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize(
    "page", ["README.md", "docs/topics.md", "docs/estimator.md", "tidesync/dashboard/page/words.js"]
)
def test_what_a_conditional_result_assumes_is_the_same_sentence_everywhere(page):
    text = (ROOT / page).read_text(encoding="utf-8").replace("’", "'")
    assert CONDITION in " ".join(text.split())


PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def anchors(path):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_resolves(page):
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    for link in links:
        if not re.match(r"[a-z]+:", link):
            file, _, anchor = link.partition("#")
            target = page.parent / file if file else page
            assert target.is_file(), link
            assert not anchor or anchor in anchors(target), link


SITE = ROOT / "deploy" / "site"
NAVIGATION = re.findall(r": (\S+\.md)$", (SITE / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
OF_ROOT = re.findall(
    r'"([\w./]+\.\w+)"', (SITE / "hooks.py").read_text(encoding="utf-8").partition("_LINK")[0]
)


def test_every_page_has_one_place_in_the_navigation_of_the_site():
    assert sorted(NAVIGATION) == sorted(
        path.relative_to(ROOT).as_posix().removeprefix("docs/") for path in PAGES
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_that_the_site_has(page):
    """`make docs` refuses another: add the file to OF_ROOT of `deploy/site/hooks.py`."""
    for link in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if not re.match(r"[a-z]+:", link):
            target = (page.parent / link).resolve().relative_to(ROOT).as_posix()
            assert target in OF_ROOT or re.match("docs/|schemas/published/", target), link


FOLDERS = [
    "schemas",
    "runtime",
    "broker",
    "pi_agent",
    "topside_agent",
    "tidesync",
    "tools",
    "deploy",
    "distributions",
    "docs",
    ".github",
    "tests/unit",
    "tests/network",
]
FILES = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.*")] + [
    *ROOT.glob("*.*"),
    *ROOT.glob("tests/*.*"),
]
PLANNED = {"pi_agent/udp.py"}


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_every_module_that_a_page_names_exists(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    named = re.findall(r"`([\w./-]+\.(?:py|md|json|yml|conf|toml))`", text)
    assert named
    missing = {name for name in named if not any(str(file).endswith(f"/{name}") for file in FILES)}
    assert missing <= PLANNED


def test_the_topics_page_shows_no_row_that_the_table_has_not():
    shown = re.findall(r"^\| `((?:vehicle|topside|session|recorder)/[^`]*)` \|", TOPICS_PAGE, re.MULTILINE)
    assert shown == [kind.template for kind in topics.TOPICS]


@pytest.mark.parametrize("kind", topics.TOPICS, ids=lambda kind: kind.name)
def test_the_topics_page_shows_each_row_of_the_table(kind):
    row = next(line for line in TOPICS_PAGE.splitlines() if line.startswith(f"| `{kind.template}` |"))
    _, _, senders, qos, _, _ = row.split("|")
    assert {word.strip().replace("Pi", "vehicle") for word in senders.split(",")} == set(kind.senders)
    shown = [word.strip() for word in qos.split(",")]
    expected = [str(kind.qos)] + ["retained"] * kind.retain + ["will"] * kind.will
    assert shown == expected


def test_the_payloads_of_the_topics_page_are_valid():
    blocks = re.findall(r"```json\n(.*?)```", TOPICS_PAGE, re.DOTALL)
    OffsetResult.decode(json.dumps(json.loads(blocks[0])))
    ping, pong = re.findall(r"\{.*?\}", blocks[1], re.DOTALL)
    Ping.decode(ping)
    Pong.decode(pong)
    pieces, resend = blocks[2].rsplit("\n", 2)[:2]
    assert VehicleClock.decode(pieces).first == 17
    assert ClockResendCommand.decode(resend).to_number == 40
    start, state = blocks[3].split("\n", 1)
    assert StartCommand.decode(start).request_id == SessionState.decode(state).request_id
    request, answer = blocks[-1].split("\n", 1)
    assert UdpRequest.decode(request).version == 1
    assert UdpAnswer.decode(answer.replace("…64 hex…", "0" * 64)).error is None
