"""Settings of a topside that are its own: its name, its account's or else its computer's; whom it pairs."""

import pytest
from pydantic import ValidationError

from runtime import host
from tidesync.command_line import run
from topside_agent.settings import TopsideSettings


def computer(monkeypatch, name, *, container=False):
    monkeypatch.setattr(host, "host_name", lambda: name)
    monkeypatch.setattr(host, "in_container", lambda: container)


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("laptop", "laptop"),
        ("Deck-PC_2", "deck-pc_2"),
        ("Bjørn's Mac Größe", "bjrn-s-mac-groe"),
        ("--x--", "x"),
        ("a" * 80, "a" * 63),
    ],
)
def test_the_computers_name_is_taken_and_made_valid(monkeypatch, name, taken):
    computer(monkeypatch, name)
    assert TopsideSettings().topside == taken


@pytest.mark.parametrize("settings", [{"username": "deck"}, {"broker": "mqtt://deck@boat:1883"}])
@pytest.mark.parametrize("container", [False, True])
def test_the_accounts_name_comes_first_also_in_a_container(monkeypatch, settings, container):
    computer(monkeypatch, "laptop", container=container)
    assert TopsideSettings(**settings).topside == "deck"
    assert TopsideSettings(**settings, topside="other").topside == "other"


@pytest.mark.parametrize(("name", "container"), [("localhost", False), ("…", False), ("4f1c0a2b9d3e", True)])
def test_a_name_that_is_no_ones_own_must_be_given(monkeypatch, name, container):
    computer(monkeypatch, name, container=container)
    with pytest.raises(ValidationError, match="it must be given"):
        TopsideSettings()
    assert TopsideSettings(topside="deck").topside == "deck"


def test_the_command_names_the_option_and_exits_2(monkeypatch, capsys):
    computer(monkeypatch, "localhost")
    monkeypatch.delenv("TIDESYNC_TOPSIDE", raising=False)
    assert run(["topside"]) == 2
    complaint = capsys.readouterr().err.splitlines()[-1]
    assert complaint.startswith("tidesync: --topside: it must be given: --topside NAME")
    assert "'localhost'" in complaint


def test_a_wrong_broker_is_complained_of_first(monkeypatch):
    computer(monkeypatch, "laptop")
    with pytest.raises(ValidationError) as wrong:
        TopsideSettings(broker="http://boat")
    assert wrong.value.errors()[0]["loc"] == ("broker",)


def test_containers_are_known_by_their_marks(monkeypatch, tmp_path):
    mark, cgroup = tmp_path / ".containerenv", tmp_path / "cgroup"
    monkeypatch.setattr(host, "_MARKS", (mark,))
    monkeypatch.setattr(host, "_CGROUP", cgroup)
    assert not host.in_container()
    cgroup.write_text("0::/\n")
    assert not host.in_container()
    cgroup.write_text("12:pids:/kubepods/besteffort/pod1\n")
    assert host.in_container()
    cgroup.unlink()
    mark.touch()
    assert host.in_container()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "names no vehicle"),
        ({"vehicle": ("rov2",), "blueos_mirror": True}, "for_pair is given with blueos_mirror"),
        ({"vehicle": ("rov2",), "homeassistant_discovery": True}, "with homeassistant_discovery"),
        ({"vehicle": ("rov2",), "group": "g"}, "share all vehicles"),
    ],
)
def test_a_topside_for_pairs_names_its_vehicles_and_announces_no_result(more, words):
    with pytest.raises(ValidationError, match=words):
        TopsideSettings(topside="on-rov1", for_pair=True, **more)
    assert TopsideSettings(topside="on-rov1", for_pair=True, vehicle=("rov2",)).vehicles == ("rov2",)
