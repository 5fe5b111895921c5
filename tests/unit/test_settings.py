"""Settings: options over environment over file over defaults; a wrong one is one clear line and exit 2."""

import sys

import click
import pytest

import tidesync.cli.topside
from broker.errors import PasswordFileError
from broker.settings import ConnectionSettings, warn_of_other_name
from tidesync.command_line import COMMANDS, run
from tidesync.settings import file_defaults, with_settings
from topside_agent.settings import TopsideSettings


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """No settings but the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config" / "tidesync").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def loaded(monkeypatch):
    """What `tidesync topside` with some arguments would run with."""
    seen = []

    @click.command("topside")
    @with_settings(TopsideSettings)
    def command(settings):
        seen.append(settings)

    monkeypatch.setattr(tidesync.cli.topside, "command", command)

    def load(*arguments):
        code = run(["topside", *arguments])
        assert code == 0
        return seen[-1]

    return load


def test_defaults(loaded):
    assert loaded().rate == 4
    assert loaded().broker == "mqtt://localhost:1883"


def test_option_over_environment_over_working_folder_over_users_folder(loaded, monkeypatch, alone):
    (alone / "config" / "tidesync" / "tidesync.toml").write_text("rate = 1\nburst = 9\nkeepalive_s = 9\n")
    (alone / "tidesync.toml").write_text("rate = 2\nburst = 10\n")
    assert (loaded().rate, loaded().burst, loaded().keepalive_s) == (2, 10, 9)
    monkeypatch.setenv("TIDESYNC_RATE", "3")
    assert (loaded().rate, loaded().burst) == (3, 10)
    assert loaded("--rate", "5").rate == 5


def test_a_table_of_the_file_holds_for_its_command_alone(loaded, alone):
    (alone / "tidesync.toml").write_text('topic_root = "boat"\n[topside]\nrate = 7\n[pi]\nhttp_port = 9151\n')
    assert (loaded().rate, loaded().topic_root) == (7, "boat")


def test_doctor_checks_the_recorders_folder_and_the_agents_port(alone):
    path = alone / "tidesync.toml"
    path.write_text('[record]\nroot = "dives"\nname = "boat"\n[pi]\nhttp_port = 9151\n')
    assert file_defaults("doctor") == {"root": "dives", "http_port": 9151}
    path.write_text('[record]\nroot = "dives"\n[doctor]\nroot = "other"\n')
    assert file_defaults("doctor") == {"root": "other"}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("hardware_stamps = true", True),
        ("[pi]\nhardware_stamps = true\n[topside]\nhardware_stamps = false", True),
        ("[topside]\nhardware_stamps = true", True),
        ("[pi]\nhardware_stamps = false", None),
        ("[pi]\nhardware_stamps = true\n[doctor]\nhardware_stamps = false", False),
    ],
)
def test_doctor_knows_whether_an_agent_is_to_have_hardware_stamps(alone, text, wanted):
    (alone / "tidesync.toml").write_text(text)
    assert file_defaults("doctor").get("hardware_stamps") is wanted


def test_vehicles_are_repeated_as_options_and_parted_by_spaces_in_the_environment(loaded, monkeypatch):
    assert loaded("--vehicle", "rov1", "--vehicle", "rov2").vehicle == ("rov1", "rov2")
    monkeypatch.setenv("TIDESYNC_VEHICLE", "rov1 rov3")
    assert loaded().vehicle == ("rov1", "rov3")


def test_a_vehicle_may_come_with_an_address_for_http(loaded):
    settings = loaded("--vehicle", "rov1=http://192.168.2.2:9150", "--vehicle", "rov2")
    assert settings.vehicles == ("rov1", "rov2")
    assert settings.http_urls == {"rov1": "http://192.168.2.2:9150"}


def test_a_password_file_given_as_an_option_wins_over_the_environment(loaded, monkeypatch, alone):
    (alone / "secret").write_text("of the operator\n")
    monkeypatch.setenv("TIDESYNC_PASSWORD", "of the laptop")
    assert loaded("--username", "operator", "--password-file", "secret").secret() == "of the operator"
    (alone / "tidesync.toml").write_text('password_file = "secret"\n')
    assert loaded("--username", "laptop").secret() == "of the laptop"


def test_a_setting_may_have_the_name_of_a_commands_table(loaded, alone, monkeypatch):
    monkeypatch.delenv("TIDESYNC_TOPSIDE", raising=False)
    (alone / "tidesync.toml").write_text('broker = "mqtt://boat:1883"\ntopside = "bridge"')
    assert (loaded().broker, loaded().topside) == ("mqtt://boat:1883", "bridge")
    assert "broker" not in file_defaults("broker")


def test_several_brokers_are_a_list_in_the_file_and_have_commas_elsewhere(loaded, alone):
    (alone / "tidesync.toml").write_text('broker = ["mqtt://a", "mqtt://b:1884"]')
    settings = loaded()
    assert [str(each.address) for each in settings.alternatives] == ["mqtt://a:1883", "mqtt://b:1884"]
    assert loaded("--broker", "mqtt://c, mqtt://d").broker == "mqtt://c, mqtt://d"


def test_each_of_several_brokers_has_its_own_scheme_account_and_line_of_the_password_file(alone):
    (alone / "secrets").write_text("of a\nof b\n")
    settings = ConnectionSettings(
        broker="mqtts://ann@a, ws://bob@b/deep, mqtt://c", password_file=alone / "secrets"
    )
    found = [(each.address.tls, each.address.websocket, each.account) for each in settings.alternatives]
    assert found == [(True, False, "ann"), (False, True, "bob"), (False, False, "ann")]
    assert [each.secret() for each in settings.alternatives[:2]] == ["of a", "of b"]
    (each,) = settings.alternatives[1].alternatives
    assert (each.account, each.secret()) == ("bob", "of b")
    (alone / "secrets").write_text("of a\nof b")
    with pytest.raises(PasswordFileError, match="no line for the broker in place 3"):
        settings.alternatives[2].secret()


def test_brokers_of_one_account_have_one_password_whatever_follows_it_in_the_file(alone):
    (alone / "secrets").write_text("of all\n# made by hand\n")
    for broker in ("mqtt://ann@a,mqtt://b", "mqtt://a,mqtt://b"):
        settings = ConnectionSettings(broker=broker, username=None, password_file=alone / "secrets")
        assert [each.secret() for each in settings.alternatives] == ["of all"] * 2
    settings = ConnectionSettings(
        broker="mqtt://ann@a,mqtt://bob@b", username="eve", password_file=alone / "secrets"
    )
    assert {(each.account, each.secret()) for each in settings.alternatives} == {("eve", "of all")}


@pytest.mark.parametrize(
    "urls", ["mqtt://a,http://b", "mqtt://a,", "mqtt://a,b", ",".join(["mqtt://a"] * 33)]
)
def test_each_of_several_brokers_must_be_one(urls, capsys):
    assert run(["topside", "--broker", urls]) == 2
    assert "tidesync: --broker: " in capsys.readouterr().err


def test_a_command_is_no_setting(alone, capsys):
    (alone / "tidesync.toml").write_text("correct = 1")
    assert run(["topside"]) == 2
    assert "unknown setting correct = 1" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["0", "1.5", '"yes"', "[true]", "1979-05-27", "nan"])
def test_a_flag_of_the_file_is_true_or_false(alone, value, capsys):
    (alone / "tidesync.toml").write_text(f"homeassistant_discovery = {value}")
    assert run(["topside"]) == 2
    assert "homeassistant_discovery: expected true or false, received " in capsys.readouterr().err


def test_a_list_is_refused_where_one_value_is_taken(alone, capsys):
    (alone / "tidesync.toml").write_text("rate = [1, 2]")
    assert run(["topside"]) == 2
    assert "rate: expected one value, received [1, 2]" in capsys.readouterr().err


def test_a_key_of_the_file_holds_only_where_it_is_a_setting(alone):
    (alone / "tidesync.toml").write_text('name = "boat"\nvehicle = "rov1"\n')
    assert file_defaults("record") == {"name": "boat"}
    assert file_defaults("topside") == {"vehicle": ["rov1"]}
    assert file_defaults("pi") == {"vehicle": "rov1"}
    assert file_defaults("session") == file_defaults("estimate") == {}


@pytest.mark.parametrize("arguments", [[], ["session"]])
def test_no_command_at_all_shows_the_help_as_it_is(arguments, capsys):
    assert run(arguments) == 2
    message = capsys.readouterr().err
    assert message.startswith("Usage: tidesync")
    assert message.count("\n") > 5


def test_a_password_comes_from_the_environment_or_a_file_and_is_no_option(loaded, monkeypatch, alone, capsys):
    monkeypatch.setenv("TIDESYNC_PASSWORD", "sea-cucumber")
    assert loaded("--username", "rov1").secret() == "sea-cucumber"
    assert "sea-cucumber" not in repr(loaded("--username", "rov1"))
    monkeypatch.delenv("TIDESYNC_PASSWORD")
    (alone / "secret").write_text("sea-urchin\n")
    assert loaded("--password-file", "secret").secret() == "sea-urchin"
    assert run(["topside", "--password", "sea-urchin"]) == 2
    assert "sea-urchin" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["topside", "--rate", "0"], ["--rate", "0"]),
        (["topside", "--rate", "often"], ["--rate", "'often'"]),
        (["topside", "--vehicle", "a/b"], ["--vehicle", "a/b"]),
        (["topside", "--vehicle", "#"], ["'#'"]),
        (["topside", "--vehicle", "rov1=boat"], ["--vehicle", "'boat'", "http://"]),
        (["topside", "--vehicle", "a/b=http://boat"], ["'a/b'"]),
        (["topside", "--vehicle", "rov1", "--vehicle", "rov1=http://b"], ["rov1", "twice", "http://b"]),
        (["topside", "--topside", "Top Side"], ["Top Side"]),
        (["topside", "--broker", "http://boat"], ["http://boat", "mqtt://"]),
        (["topside", "--broker", "boat"], ["boat"]),
        (["topside", "--broker", "mqtt://boat:99999"], ["boat:99999"]),
        (["topside", "--broker", "mqtt://"], ["no host"]),
        (["topside", "--ca-file", "/nowhere/ca.pem"], ["--ca-file", "/nowhere/ca.pem"]),
        (["topside", "--no-such-option"], ["--no-such-option"]),
        (["no-such-command"], ["no-such-command"]),
        (["stauts"], ["'stauts'", "did you mean 'status'?"]),
        (["session", "strat"], ["'strat'", "'start'"]),
        (["pi"], ["--vehicle"]),
        (["pi", "--vehicle", "rov1", "--simulate-step", "soon"], ["--simulate-step", "soon"]),
        (["record"], ["--root"]),
        (["demo", "--duration", "-1"], ["--duration", "-1"]),
        (["session", "start"], ["--mission"]),
        (["session", "start", "--mission", "../etc"], ["../etc"]),
        (["estimate", "/nowhere/exchanges.jsonl"], ["/nowhere/exchanges.jsonl"]),
        (["broker", "--host", "0.0.0.0"], ["0.0.0.0", "loopback", "mosquitto"]),
    ],
)
def test_wrong_usage_is_one_clear_line_and_exit_two(arguments, message, capsys):
    assert run(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("tidesync: ")
    assert error.count("\n") == 1
    for words in message:
        assert words in error


def test_a_password_in_a_url_is_refused_and_not_repeated(capsys):
    assert run(["topside", "--broker", "mqtt://rov1:sea-cucumber@boat"]) == 2
    error = capsys.readouterr().err
    assert "TIDESYNC_PASSWORD" in error
    assert "sea-cucumber" not in error


def test_an_unknown_variable_is_an_error(monkeypatch, capsys):
    monkeypatch.setenv("TIDESYNC_RAET", "4")
    assert run(["topside"]) == 2
    assert "TIDESYNC_RAET; did you mean TIDESYNC_RATE?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("raet = 4\n", "raet = 4; did you mean rate?"),
        ("[topside]\nhttp_port = 9150\n", "http_port"),
        ("[submarine]\nrate = 1\n", "no command takes settings from [submarine]\n"),
        ("[recorder]\nroot = 1\n", "[recorder]; did you mean [record]?"),
        ("rate = \n", "tidesync.toml"),
        ("rate = 0\n", "tidesync.toml: rate"),
    ],
)
def test_a_wrong_file_is_an_error_that_names_it(alone, capsys, content, message):
    (alone / "tidesync.toml").write_text(content)
    assert run(["topside"]) == 2
    assert message in capsys.readouterr().err


def test_every_commands_help_is_there(capsys):
    for name in COMMANDS:
        assert run([name, "--help"]) == 0
        assert "Usage: tidesync" in capsys.readouterr().out


def test_a_file_in_a_folder_that_may_not_be_looked_into_is_one_line(capsys, monkeypatch, tmp_path):
    def refuse(self, **_options):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr("pathlib.Path.stat", refuse)
    assert run(["topside", "--password-file", str(tmp_path / "password")]) == 2
    assert capsys.readouterr().err == f"tidesync: {tmp_path / 'password'}: permission denied\n"


@pytest.mark.parametrize("arguments", [["topside", "--rate", "4"], ["topside"], ["session", "start", "x"]])
def test_a_command_whose_extra_is_missing_has_a_help_and_says_what_to_install(monkeypatch, capsys, arguments):
    command = arguments[0]
    monkeypatch.delitem(sys.modules, f"tidesync.cli.{command}", raising=False)
    monkeypatch.setattr("tidesync.command_line.importlib.import_module", _without_numpy)
    assert run([command, "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"Usage: tidesync {command}" in shown
    assert COMMANDS[command] in shown
    assert "numpy is not installed here; it comes with: pip install tidesync" in shown
    assert run(arguments) == 2
    error = capsys.readouterr().err
    assert error == "tidesync: numpy is not installed here; it comes with: pip install tidesync\n"


def _without_numpy(name):
    raise ModuleNotFoundError(f"No module named 'numpy' (for {name})", name="numpy")


@pytest.mark.parametrize("command", [["pi", "--vehicle", "rov1", "--no-http"], ["topside"], ["status"]])
def test_an_unreadable_password_file_is_named_and_the_broker_is_not(alone, capsys, command):
    (alone / "secret").write_bytes(b"sea-urchin\xff\n")
    arguments = ["--broker", "mqtt://boat.invalid", "--username", "rov1", "--password-file", "secret"]
    assert run([*command, *arguments]) == 2
    complaint = capsys.readouterr().err.splitlines()[-1]
    assert complaint == "tidesync: password_file secret: it is not UTF-8 text"


def test_a_password_file_of_another_user_is_said(alone, monkeypatch):
    (alone / "secret").write_text("sea-urchin\n")
    settings = TopsideSettings(username="rov1", password_file=alone / "secret")

    def denied(*_, **__):
        raise PermissionError(13, "Permission denied", "secret")

    monkeypatch.setattr("pathlib.Path.read_text", denied)
    with pytest.raises(PasswordFileError, match=r"password_file .*secret: Permission denied$"):
        settings.secret()


@pytest.mark.parametrize(("account", "warned"), [("rov1", False), ("rov2", True), (None, False)])
def test_an_account_of_another_name_is_warned_of(caplog, account, warned):
    warn_of_other_name(account, "vehicle", "rov1")
    assert [r.getMessage() for r in caplog.records] == warned * [
        "account 'rov2' but vehicle 'rov1': accounts made by `tidesync broker` may use their own name only"
    ]


@pytest.mark.parametrize("key", ["password", "pasword"])
def test_a_password_in_the_file_is_refused_and_not_repeated(alone, capsys, key):
    (alone / "tidesync.toml").write_text(f'{key} = "sea-slug"\n')
    assert run(["topside"]) == 2
    error = capsys.readouterr().err
    assert f"unknown setting {key}; did you mean password_file?" in error
    assert "sea-slug" not in error


@pytest.mark.parametrize("command", COMMANDS)
def test_a_working_folder_that_was_deleted_is_one_line_and_exit_two(command, monkeypatch, capsys, tmp_path):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert run([command, "somewhere"]) == 2
    assert capsys.readouterr().err == (
        "tidesync: the working folder was deleted; change to one that is there\n"
    )


@pytest.mark.parametrize("name", [None, "pyarrow.lib"])
def test_a_library_that_refuses_another_one_is_one_line(monkeypatch, capsys, name):
    def refuse(_module):
        raise ImportError("pyarrow requires NumPy 2.0 or newer, found 1.26.4", name=name)

    monkeypatch.setattr("tidesync.command_line.importlib.import_module", refuse)
    assert run(["topside"]) == 1
    error = capsys.readouterr().err
    assert error == "tidesync: a library cannot be used: pyarrow requires NumPy 2.0 or newer, found 1.26.4\n"


def test_a_name_that_our_own_code_lacks_is_a_fault_of_ours_and_shown_as_one(monkeypatch):
    def refuse(_module):
        raise ImportError("cannot import name 'a' from 'tidesync.b'", name="tidesync.b")

    monkeypatch.setattr("tidesync.command_line.importlib.import_module", refuse)
    with pytest.raises(ImportError, match="cannot import name"):
        run(["topside"])
