"""What `tidesync up` decides before anything runs."""

import json
import os
import shutil
import socket
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from broker.accounts.book import Book, matches
from broker.tls.authority import Authority, Host, Signed, host_of, serves
from pi_agent.settings import PiSettings
from runtime import files, host
from schemas.compat import UTC
from schemas.join_file import JoinFile, JoinFileError
from schemas.toml import tomllib
from tidesync.command_line import run
from tidesync.settings import file_defaults
from tidesync.up import home as up_home
from tidesync.up import install, mosquitto, place, supervisor
from tidesync.up import run as run_up
from tidesync.up.home import Home
from tidesync.up.settings import Choices, UpSettings

PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
HERE, NOW = Host(("localhost",), ("127.0.0.1",)), datetime.now(UTC)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("TIDESYNC_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TIDESYNC_TOPSIDE", raising=False)
    return Home(tmp_path / "home")


@pytest.mark.parametrize(
    "joined",
    [
        JoinFile(vehicle="rov1", brokers=("mqtt://a",)),
        JoinFile(
            vehicle="rov1",
            brokers=("mqtts://10.0.0.1:8883", "mqtts://deck.local:8883"),
            username="rov1",
            password='q"\\\x7f é',
            topic_root="boat/one",
            ca=PEM,
        ),
    ],
)
def test_a_vehicles_file_comes_back_as_it_was_and_sets_its_agent(joined, tmp_path):
    path = tmp_path / "rov1.tidesync"
    path.write_text(joined.encode(), encoding="utf-8")
    assert JoinFile.decode(path.read_text(encoding="utf-8")) == joined
    settings = PiSettings(join=path)
    assert settings.vehicle == "rov1"
    assert settings.account == joined.username
    assert settings.secret() == (joined.password and joined.password.get_secret_value())
    assert len(settings.alternatives) == len(joined.brokers)
    assert settings.ca_file == (path if joined.ca else None)
    assert PiSettings(join=path, vehicle="rov2", broker="mqtt://b").vehicle == "rov2"


@pytest.mark.parametrize(
    "text",
    ["", "x", "format_version = 2", 'vehicle = "ROV"', "\0", 'vehicle="rov1"\nbrokers=[]\npassword="secret"'],
)
def test_another_file_is_refused_and_no_password_repeated(text, tmp_path, capsys):
    with pytest.raises(JoinFileError):
        JoinFile.decode(text)
    path = tmp_path / "rov1.tidesync"
    path.write_text(text)
    assert run(["pi", "--join", str(path)]) == 2
    shown = capsys.readouterr().err
    assert f"--join {path}: " in shown
    assert "secret" not in shown


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "vehicle: expected this key, and it is missing"),
        ('vehicle = "rov1"\nbrokers = ["mqtt://a"]\nformat_version = 2', "format_version: expected 1"),
        (
            'vehicle = "rov1"\nbrokers = ["mqtt://a"]\nway = 1',
            "way: this key is not known; is the file of a later",
        ),
        ('vehicle = "ROV"\nbrokers = ["mqtt://a"]', "vehicle: expected"),
    ],
)
def test_what_is_wrong_with_a_vehicles_file_is_shown_with_what_is_accepted(text, sentence):
    with pytest.raises(JoinFileError) as found:
        JoinFile.decode(text)
    assert str(found.value).startswith(sentence)


@pytest.mark.parametrize("option", ["--home", "--root"])
@pytest.mark.parametrize("path", ["", "a\nlistener 1999", "a\x7fb", "a\x1b[2Jb"])
def test_a_folder_that_is_none_or_would_be_read_as_a_setting_is_refused(
    option, path, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIDESYNC_HOME", str(tmp_path / "home"))
    assert run(["up", option, path]) == 2
    shown = capsys.readouterr().err
    assert f"{option}: expected the path of a folder" in shown
    assert shown.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_root_is_kept_as_an_absolute_path_since_the_next_start_may_be_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert UpSettings(root="dives", home=".").chosen == {"root": tmp_path / "dives"}


def test_a_start_in_a_folder_of_ones_own_names_the_line_for_other_terminals(tmp_path, monkeypatch):
    choices = Choices(embedded=True, topside="laptop")
    path = tmp_path / "boat's home"
    lines = run_up.summary(Home(path), choices).splitlines()
    (line,) = (line for line in lines if "TIDESYNC_HOME" in line)
    assert lines.index(line) < next(at for at, each in enumerate(lines) if each.startswith("Next"))
    shown = subprocess.run(
        ["sh", "-c", f'{line}; printf %s "$TIDESYNC_HOME"'], capture_output=True, text=True, check=True
    )
    assert shown.stdout == str(path)
    windows = place.for_other_terminals(path, "win32")
    assert windows.startswith("$env:TIDESYNC_HOME = '")
    assert windows.endswith("boat''s home'")
    monkeypatch.delenv("TIDESYNC_HOME")
    assert "TIDESYNC_HOME" not in run_up.summary(Home(place.surface_folder()), choices)


def test_choices_are_kept_and_changed(home):
    first = home.prepare(Choices(local_port=1999, tls=False))
    assert first.topside
    assert home.choices() == first
    second = home.prepare(home.choices().changed({"dashboard_port": 8888}))
    assert (second.local_port, second.dashboard_port, second.topside) == (1999, 8888, first.topside)


def test_a_file_of_choices_that_is_damaged_is_named(home, capsys):
    home.prepare(Choices())
    (home.path / "choices.json").write_text('{"local_port": "x"}')
    assert run(["up", "--add-vehicle", "rov1"]) == 2
    assert f"{home.path / 'choices.json'}: local_port: " in capsys.readouterr().err


def test_a_start_that_was_interrupted_is_completed(home):
    choices = home.prepare(Choices())
    for path in sorted(home.path.rglob("*")):
        if path.is_file() and path.parent.name == "passwords":
            path.unlink()
    home.prepare(choices)
    assert len(list((home.path / "passwords").iterdir())) == 4
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in (home.path / "passwords").iterdir())


def test_mosquitto_listens_for_vehicles_with_bound_ids_and_for_this_computer_without(home):
    choices = home.prepare(Choices(tls=True, local_port=1999))
    text = mosquitto.configuration(home.path, choices)
    remote, local = text.split("listener ")[1:]
    assert remote.startswith("8883\n")
    assert "certfile" in remote
    assert "use_username_as_clientid true" in remote
    assert local.startswith("1999 127.0.0.1\n")
    assert "use_username_as_clientid" not in local
    assert "/mosquitto/" not in text
    assert "max_packet_size 65536" in text
    assert not [line for line in mosquitto._LEFT_OUT if line in text]


def served(home):
    return (home.config / "certs" / "server.crt").read_bytes()


@pytest.mark.parametrize("lost", ["server.crt", "server.key", "both halves of another"])
def test_a_brokers_certificate_that_cannot_serve_is_made_again_by_the_same_authority(home, lost):
    home.prepare(Choices(tls=True))
    certificates = home.config / "certs"
    authority = (certificates / "ca.crt").read_bytes()
    if lost in {"server.crt", "server.key"}:
        (certificates / lost).write_text("half")
    else:
        foreign = Authority.make(datetime.now(UTC)).server(HERE, datetime.now(UTC) + timedelta(days=800))
        (certificates / "server.crt").write_bytes(foreign.certificate)
        (certificates / "server.key").write_bytes(foreign.key)
    before = served(home)
    home.prepare(Choices(tls=True))
    assert served(home) != before
    assert (certificates / "ca.crt").read_bytes() == authority
    assert serves(authority, Signed(served(home), (certificates / "server.key").read_bytes()), HERE, NOW)


def test_a_brokers_certificate_is_renewed_before_it_ends_and_not_sooner(home, monkeypatch):
    monkeypatch.setattr(up_home, "_CERTIFICATE_DAYS", 50)
    home.prepare(Choices(tls=True))
    ending = served(home)
    monkeypatch.undo()
    home.prepare(Choices(tls=True))
    renewed = served(home)
    assert renewed != ending
    home.prepare(Choices(tls=True))
    assert served(home) == renewed


def test_a_brokers_certificate_follows_this_computer_into_other_networks_and_back(home, monkeypatch):
    for address in ("10.0.0.1", "192.168.2.1"):
        monkeypatch.setattr(host, "addresses", lambda address=address: [address])
        home.prepare(Choices(tls=True))
    both = served(home)
    assert {"10.0.0.1", "192.168.2.1"} < set(host_of(both).addresses)
    monkeypatch.setattr(host, "addresses", lambda: ["10.0.0.1"])
    home.prepare(Choices(tls=True))
    assert served(home) == both


@pytest.mark.parametrize("damage", ["", "{", "[]", "gone"])
def test_accounts_that_are_damaged_are_left_and_what_to_do_is_shown(home, damage, capsys, monkeypatch):
    monkeypatch.setattr(mosquitto, "program", lambda: "mosquitto")
    monkeypatch.setattr(mosquitto, "refuse_taken_ports", lambda _: None)
    home.prepare(Choices())
    source = home.config / "accounts.json"
    source.unlink() if damage == "gone" else source.write_text(damage)
    assert run(["up"]) == 2
    shown = capsys.readouterr().err
    assert f"move {home.config} away, then give each vehicle a new file" in shown
    assert shown.count("\n") == 1
    assert damage == "gone" or source.read_text() == damage


def test_a_folder_in_a_files_place_is_named(home, capsys):
    home.prepare(Choices())
    (home.config / "acl").unlink()
    (home.config / "acl").mkdir()
    assert run(["up", "--add-vehicle", "rov1"]) == 1
    assert f"{home.config / 'acl'}: Is a directory" in capsys.readouterr().err


@pytest.mark.skipif(not files.is_root() or mosquitto.user_for(Path("/")) == "root", reason="needs both users")
def test_a_folder_that_root_brought_back_from_a_copy_is_the_brokers_again(home, monkeypatch):
    monkeypatch.setattr(mosquitto, "user_for", lambda _: mosquitto.USER)
    home.prepare(Choices(tls=True))
    made = [home.config, *home.config.rglob("*"), home.data]
    before = {path: path.stat().st_uid for path in made}
    for path in made:
        os.chown(path, 0, 0)
    linked = home.data / "linked"
    linked.hardlink_to(home.config / "certs" / "ca.key")
    home.prepare(Choices(tls=True))
    assert {path: path.stat().st_uid for path in made} == before
    assert len(set(before.values())) == 2
    assert linked.stat().st_uid == 0


def test_reading_commands_know_this_surfaces_broker_below_every_other_setting(home, tmp_path):
    home.prepare(Choices(local_port=1999))
    for command in ("status", "pair"):
        found = file_defaults(command)
        assert (found["broker"], found["username"]) == ("mqtt://127.0.0.1:1999", "operator")
    assert file_defaults("topside") == {}
    (tmp_path / "tidesync.toml").write_text('broker = "mqtt://boat"')
    assert file_defaults("status") == {"broker": "mqtt://boat"}
    tomllib.loads((home.path / "tidesync.toml").read_text())


@pytest.mark.usefixtures("home")
def test_without_mosquitto_it_says_how_to_install_it(monkeypatch, capsys):
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    assert run(["up"]) == 1
    shown = capsys.readouterr().err
    assert "mosquitto is not installed: " in shown
    assert "--embedded" in shown
    assert shown.count("\n") == 1


def test_a_vehicle_at_a_broker_of_somebody_else_gets_its_address(home, capsys):
    assert run(["up", "--broker", "mqtt://boat:1883", "--add-vehicle", "rov1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["brokers"] == ["mqtt://boat:1883"]
    joined = JoinFile.decode((home.path.parent / "rov1.tidesync").read_text())
    assert (joined.brokers, joined.username) == (("mqtt://boat:1883",), None)


@pytest.mark.parametrize("name", ["recorder", "operator", "ROV", ""])
def test_a_name_that_a_vehicle_cannot_have_is_refused(home, name, capsys):
    assert run(["up", "--add-vehicle", name]) in {1, 2}
    assert capsys.readouterr().err.count("\n") == 1
    assert not list(home.path.parent.glob("*.tidesync"))


def test_the_unit_quotes_what_systemd_would_read_as_its_own():
    text = install.unit(['/opt/a b/"python"', "100%", "$HOME\\"], "multi-user.target", "rm it")
    assert 'ExecStart="/opt/a b/\\"python\\"" "100%%" "$$HOME\\\\"\n' in text


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("root", [True, False])
def test_the_unit_is_accepted_by_systemd_and_says_how_it_is_removed(home, root, monkeypatch):
    base = home.path.parent
    written = []
    monkeypatch.setenv("SUDO_USER", "diver")
    monkeypatch.setattr(Path, "home", lambda: base)
    monkeypatch.setattr(files, "is_root", lambda: root)
    monkeypatch.setattr(files, "replace", lambda path, content: written.append((path, content.decode())))
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/systemctl")
    ended = subprocess.CompletedProcess((), 0)
    with monkeypatch.context() as inner:
        inner.setattr(subprocess, "run", lambda *_, **__: ended)
        inner.setattr(Path, "mkdir", lambda *_, **__: None)
        done = install.install(home)
    ((path, text),) = written
    assert "User=" not in text
    removal = f"disable --now tidesync-up.service && rm {path}"
    assert removal in done
    assert removal in text
    copy = base / path.name
    copy.write_text(text)
    verified = subprocess.run(
        ["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stderr) == (0, "")


def test_what_is_damaged_and_can_be_made_again_is(home):
    choices = home.prepare(Choices())
    before = {path: path.read_bytes() for path in home.path.rglob("*") if path.is_file()}
    for path in (home.config / "acl", home.config / "passwords", home.path / "tidesync.toml", home.conf):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    home.password_file("topside").write_text("half")
    home.password_file("operator").write_text("")
    home.prepare(choices)
    for path, content in before.items():
        if path.parent == home.path or path.name == "acl":
            assert path.read_bytes() == content
    book = Book.decode((home.config / "accounts.json").read_text())
    for program, name in (("topside", choices.topside), ("operator", "operator")):
        assert matches(home.password_file(program).read_text().strip(), book.find(name).password)


@pytest.mark.parametrize("arguments", [["--embedded"], ["--tls"], ["--broker-port", "5000"]])
def test_a_vehicle_is_added_to_what_is_chosen_already(home, arguments, capsys):
    kept = home.prepare(Choices())
    assert run(["up", *arguments, "--add-vehicle", "rov1"]) == 2
    assert f"{arguments[0]} is chosen with `tidesync up`" in capsys.readouterr().err
    assert home.choices() == kept


def test_ways_to_have_a_broker_take_each_others_place():
    embedded = Choices(broker="mqtt://boat").changed({"embedded": True})
    assert (embedded.embedded, embedded.broker) == (True, None)
    named = embedded.changed({"broker": "mqtt://boat"})
    assert (named.embedded, named.broker) == (False, "mqtt://boat")


def test_a_choice_that_cannot_run_is_not_kept(home, capsys, monkeypatch):
    monkeypatch.setattr(mosquitto, "program", lambda: "mosquitto")
    kept = home.prepare(Choices())
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert run(["up", "--embedded", "--local-port", str(other.getsockname()[1])]) == 1
    assert run(["up", "--broker-port", "1999", "--local-port", "1999"]) == 1
    assert "port 1999 is wanted twice" in capsys.readouterr().err
    assert home.choices() == kept


@pytest.mark.parametrize("kind", ["folder", "pipe", "large", "zero"])
def test_what_is_no_file_of_a_vehicle_is_not_read(kind, tmp_path, capsys):
    path = tmp_path / "rov1.tidesync"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "large":
        path.write_bytes(b"#" * 100_000)
    else:
        path = Path("/dev/zero")
    assert run(["pi", "--join", str(path)]) == 2
    shown = capsys.readouterr().err
    assert "--join" in shown
    assert shown.count("\n") == 1


@pytest.mark.parametrize("where", ["missing/rov1.tidesync", "foreign", "folder"])
def test_no_account_is_made_where_the_file_cannot_be(home, where, capsys):
    base = home.path.parent
    (base / "foreign").write_text("mine")
    (base / "folder").mkdir()
    assert run(["up", "--add-vehicle", "rov1", "--replace", "--out", str(base / where)]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not home.is_made
    assert (base / "foreign").read_text() == "mine"


def test_mosquitto_is_found_where_its_installer_puts_it_but_never_in_the_working_folder(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.chdir(tmp_path)
    for folder in ("C", "installed"):
        program = tmp_path / folder / "mosquitto"
        program.parent.mkdir()
        program.write_text("#!/bin/sh\necho mosquitto version 2.0.18\n")
        program.chmod(0o755)
    monkeypatch.setattr(mosquitto, "_PLACES", (r"C:\Program Files\mosquitto", str(tmp_path / "installed")))
    assert mosquitto.program() == str(tmp_path / "installed" / "mosquitto")


@pytest.mark.skipif(sys.platform != "linux" or shutil.which("setpriv") is None, reason="setpriv")
def test_a_program_whose_supervisor_has_ended_before_it_could_ask_for_its_signal_does_not_run():
    command = [*supervisor._dying_with_us(None), "echo", "it runs"]
    ours = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ours.stdout == "it runs\n"
    others = subprocess.run(["sh", "-c", '"$@"; true', "sh", *command], capture_output=True, check=True)
    assert others.stdout == b""
