"""Accounts as files: the one source, what is made of it, and what no fault may do to it."""

import base64
import hashlib
import json
import os
import re
import resource
import shutil
import stat
import subprocess
import sys
from typing import get_args

import pytest

from broker.accounts.book import (
    Account,
    AccountsError,
    Book,
    UnusablePasswordError,
    checked,
    hashed,
    new_password,
    salted_sha256,
)
from broker.accounts.crypt import bcrypted
from broker.accounts.rabbitmq import rabbitmq
from broker.accounts.texts import acl, nats, passwords
from schemas import topics
from schemas.instants import utc_from_ns
from schemas.names import InvalidNameError, account_name
from schemas.topic_kind import Role
from tidesync.command_line import run


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """No settings but the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))


@pytest.fixture
def broker(tmp_path, capsys):
    """`tidesync broker …` on a folder of its own: exit code, standard output, standard error."""

    def command(*arguments):
        code = run(["broker", *map(str, arguments), "--folder", str(tmp_path / "config")])
        sentence = capsys.readouterr()
        return code, sentence.out, sentence.err

    return command


def account(name, role, **more):
    return Account(name=name, role=role, password=hashed("x" * 12), created_at=utc_from_ns(0), **more)


def book(*accounts, root="tidesync"):
    return Book(topic_root=root, accounts=accounts)


def rights(one, *others):
    return book(one, *others).permissions(one)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_acl_names_each_accounts_own_topics_and_holds_no_pattern():
    text = acl(book(account("laptop", "topside"), account("rov1", "vehicle"), root="boat/sync"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    at = lines.index("user rov1")
    assert lines[0] == "user laptop"
    assert lines[at:] == [
        "user rov1",
        "topic write boat/sync/v1/vehicle/rov1/status",
        "topic write boat/sync/v1/vehicle/rov1/info",
        "topic write boat/sync/v1/vehicle/rov1/event",
        "topic write boat/sync/v1/vehicle/rov1/pong/laptop",
        "topic write boat/sync/v1/vehicle/rov1/udp_answer/laptop",
        "topic write boat/sync/v1/vehicle/rov1/clock",
        "topic read boat/sync/v1/vehicle/rov1/status",
        "topic read boat/sync/v1/vehicle/rov1/info",
        "topic read boat/sync/v1/vehicle/rov1/ping/+",
        "topic read boat/sync/v1/vehicle/rov1/udp_request/+",
        "topic read boat/sync/v1/vehicle/rov1/command",
        "topic read boat/sync/v1/topside/+/status",
        "user rov1@ping",
        "topic write boat/sync/v1/vehicle/rov1/pong/laptop",
        "topic read boat/sync/v1/vehicle/rov1/ping/+",
    ]
    at = lines.index("user laptop@ping")
    assert lines[at + 1 : at + 4] == [
        "topic write boat/sync/v1/vehicle/+/ping/laptop",
        "topic read boat/sync/v1/vehicle/+/pong/laptop",
        "user rov1",
    ]
    assert "topic write boat/sync/v1/vehicle/+/ping/laptop" in lines[:at]
    assert not any(line.startswith("pattern") for line in lines)


def test_every_topic_has_a_reader_and_a_sender():
    assert all(kind.senders and kind.readers for kind in topics.TOPICS)


def test_only_a_vehicle_and_who_may_forget_writes_on_a_vehicles_own_topics():
    for role in ("topside", "recorder", "dashboard", "operator"):
        written = rights(account("a1", role)).publish
        assert not any(
            re.search(r"/vehicle/[^/]+/(status|info|event|pong/|udp_answer/)", topic) for topic in written
        )
    cleaner = rights(account("a1", "operator", may_forget=True)).publish
    assert {"tidesync/v1/vehicle/+/status", "tidesync/v1/topside/+/member"} <= set(cleaner)
    assert not any("ping" in topic or "pong" in topic for topic in cleaner)


def test_a_vehicle_writes_on_topics_that_can_be_counted_one_more_for_each_topside():
    rov1 = account("rov1", "vehicle")
    alone, with_two = rights(rov1), rights(rov1, account("laptop", "topside"), account("tablet", "topside"))
    assert set(with_two.publish) - set(alone.publish) == {
        "tidesync/v1/vehicle/rov1/pong/laptop",
        "tidesync/v1/vehicle/rov1/pong/tablet",
        "tidesync/v1/vehicle/rov1/udp_answer/laptop",
        "tidesync/v1/vehicle/rov1/udp_answer/tablet",
    }
    assert not any("+" in topic or "#" in topic for topic in with_two.publish)


def test_only_the_topside_that_asked_reads_the_key_of_a_direct_path():
    everyone = [
        account(f"a-{role}", role) for role in ("vehicle", "topside", "recorder", "dashboard", "operator")
    ]
    cleaner = account("a-cleaner", "operator", may_forget=True)
    names = {
        each.name: [
            topic
            for topic in book(*everyone, cleaner).permissions(each).subscribe
            if "udp_answer" in topic or "#" in topic
        ]
        for each in (*everyone, cleaner)
    }
    assert {name: topic for name, topic in names.items() if topic} == {
        "a-topside": ["tidesync/v1/vehicle/+/udp_answer/a-topside"]
    }


def test_a_topside_for_pairs_writes_for_its_vehicles_alone_and_no_result():
    one = rights(account("a", "topside", for_pair=("rov2", "rov5")))
    assert set(one.publish) == {
        *(
            f"tidesync/v1/vehicle/{vehicle}/{kind}/a"
            for vehicle in ("rov2", "rov5")
            for kind in ("ping", "udp_request", "exchange")
        ),
        *(f"tidesync/v1/topside/a/{kind}" for kind in ("status", "heartbeat", "clock")),
    }
    assert one.subscribe == rights(account("a", "topside")).subscribe


def test_nats_gets_the_same_rights_as_subjects_and_an_empty_list_denies():
    text = nats(
        book(account("laptop", "topside"), account("rov1", "vehicle"), account("viewer", "dashboard"))
    )
    rov1, viewer = text.split('user: "viewer"')
    assert '"tidesync.v1.vehicle.rov1.udp_request.*", "tidesync.v1.vehicle.rov1.command", ' in rov1
    assert '"tidesync.v1.topside.*.status", "$MQTT.sub.>"' in rov1
    assert '"tidesync.v1.vehicle.rov1.udp_answer.laptop", "tidesync.v1.vehicle.rov1.clock"]' in rov1
    assert "password: $PASSWORD_rov1\n" in rov1
    assert 'publish { deny: [">"] }' in viewer
    assert "allow: []" not in text
    assert text.count("{") == text.count("}")
    assert "$7$" not in text


def test_nats_checks_a_password_that_was_made_here_and_asks_for_those_that_were_not():
    known = account("rov1", "vehicle", bcrypt=bcrypted("sea-urchin-42"))
    text = nats(book(known))
    assert f'user: "rov1", password: "{known.bcrypt}"' in text
    assert "include" not in text.partition("authorization")[0].replace("`include`", "")
    earlier = nats(book(known, account("rov2", "vehicle")))
    assert 'user: "rov2", password: $PASSWORD_rov2\n' in earlier
    assert "\ninclude nats-passwords.conf\n" in earlier


def test_a_bcrypt_is_salted_and_is_the_one_that_any_other_program_makes():
    first, second = bcrypted("sea-urchin-42"), bcrypted("sea-urchin-42")
    assert first != second
    perl = shutil.which("perl")
    if perl is None:
        pytest.skip("perl is not installed")
    script = "print crypt($ARGV[0], $ARGV[1])"
    made = subprocess.run([perl, "-e", script, "sea-urchin-42", first], capture_output=True, check=True)
    assert made.stdout.decode() == first


def test_rabbitmq_gets_the_same_rights_as_expressions_for_routing_keys():
    made = json.loads(
        rabbitmq(
            book(
                account("laptop", "topside", sha256=salted_sha256("sea-urchin-42")),
                account("rov1", "vehicle", sha256=salted_sha256("sea-urchin-43")),
                account("viewer", "dashboard", sha256=salted_sha256("sea-urchin-44")),
                account("earlier", "vehicle"),
            )
        )
    )
    assert [user["name"] for user in made["users"]] == [
        "laptop",
        "laptop@ping",
        "rov1",
        "rov1@ping",
        "viewer",
    ]
    rights = {one["user"]: (one["write"], one["read"]) for one in made["topic_permissions"]}
    assert may(rights["rov1"][1], "vehicle/rov1/ping/+", "vehicle/rov1/ping/laptop", "topside/+/status")
    assert not may_any(
        rights["rov1"][1], "#", "vehicle/#", "vehicle/rov1/ping/#", "vehicle/+/ping/+", "vehicle/rov2/ping/+"
    )
    assert may(rights["rov1"][0], "vehicle/rov1/status", "vehicle/rov1/pong/laptop")
    assert not may_any(
        rights["rov1"][0], "vehicle/rov2/status", "vehicle/rov1/pong/tablet", "vehicle/rov1/status/x"
    )
    assert not may_any(rights["viewer"][0], "", "vehicle/rov1/status")


def keys(rests):
    return [f"tidesync/v1/{rest}".replace("/", ".").replace("+", "*") if rest else "" for rest in rests]


def may(expression, *rests):
    return all(re.search(expression, key) for key in keys(rests))


def may_any(expression, *rests):
    return any(re.search(expression, key) for key in keys(rests) if key)


def test_rabbitmqs_hash_is_of_its_salt_and_the_password():
    made = base64.b64decode(salted_sha256("sea-urchin-42"))
    assert hashlib.sha256(made[:4] + b"sea-urchin-42").digest() == made[4:]
    assert salted_sha256("sea-urchin-42") != salted_sha256("sea-urchin-42")


def test_an_account_of_an_earlier_version_is_read():
    now = book(account("rov1", "vehicle"))
    document = json.loads(now.encode())
    for name in ("bcrypt", "sha256"):
        del document["accounts"][0][name]
    assert Book.decode(json.dumps(document)) == now


def test_a_hash_is_the_one_that_mosquitto_passwd_makes(tmp_path):
    if shutil.which("mosquitto_passwd") is None:
        pytest.skip("mosquitto_passwd is not installed")
    made = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", made, "rov1", "sea-urchin-42"], check=True)
    name, _, theirs = made.read_text().strip().partition(":")
    _, kind, iterations, salt, _ = theirs.split("$")
    assert (name, kind, iterations) == ("rov1", "7", "101")
    assert hashed("sea-urchin-42", base64.b64decode(salt)) == theirs


def test_two_accounts_with_one_password_have_different_hashes():
    assert hashed("sea-urchin-42") != hashed("sea-urchin-42")


def test_a_made_password_is_160_bits_that_any_program_takes():
    made = {new_password() for _ in range(50)}
    assert len(made) == 50
    assert all(re.fullmatch("[a-z2-7]{32}", password) for password in made)


@pytest.mark.parametrize("password", ["", "short", "x" * 257, "twelve\tchars", "twelve\0chars"])
def test_a_chosen_password_that_is_no_good_is_refused_and_not_repeated(password):
    with pytest.raises(UnusablePasswordError) as refused:
        checked(password)
    assert not password or password not in str(refused.value)


def test_adding_listing_and_revoking(broker, tmp_path):
    code, out, err = broker("add-vehicle", "rov1")
    assert code == 0
    password = out.strip()
    assert out == f"{password}\n"
    assert len(password) == 32
    assert "reload" in err
    assert password not in err
    assert broker("add-operator", "skipper", "--password-out", tmp_path / "skipper.password")[0] == 0
    code, out, _ = broker("list")
    assert code == 0
    assert re.search(r"^rov1 +vehicle", out, re.MULTILINE)
    assert re.search(r"^skipper +operator", out, re.MULTILINE)
    code, _, err = broker("revoke", "rov1")
    assert code == 0
    assert "reload" in err
    assert "rov1" not in (tmp_path / "config" / "acl").read_text()
    assert "rov1" not in (tmp_path / "config" / "passwords").read_text()
    assert broker("revoke", "rov1")[0] == 1


def test_no_file_and_no_json_holds_a_password(broker, tmp_path):
    _, out, _ = broker("add-vehicle", "rov1")
    secrets = {out.strip()}
    code, out, err = broker("add-topside", "laptop", "--json", "--password-out", tmp_path / "secret")
    assert code == 0
    assert json.loads(out)["password_file"] == str(tmp_path / "secret")
    secrets.add((tmp_path / "secret").read_text().strip())
    listed = broker("list", "--json")[1]
    assert not any(hashed in listed for hashed in ("$7$", "$2b$", "sha256"))
    for secret in secrets:
        assert secret not in out + err + listed
        for content in contents(tmp_path / "config").values():
            assert secret.encode() not in content


def test_files_are_for_their_owner_alone(broker, tmp_path):
    broker("add-vehicle", "rov1", "--password-out", tmp_path / "secret")
    for path in (tmp_path / "secret", *(tmp_path / "config").iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "config").stat().st_mode) == 0o750


def test_root_leaves_the_files_to_the_folders_owner(broker, tmp_path, monkeypatch):
    folder = tmp_path / "config"
    folder.mkdir()
    if os.geteuid() == 0:
        os.chown(folder, 1883, 1884)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    owner = (folder.stat().st_uid, folder.stat().st_gid)
    home = tmp_path / "home"
    home.mkdir()
    if os.geteuid() == 0 and folder.stat().st_uid == 1883:
        os.chown(home, 1000, 1001)
    assert broker("add-vehicle", "rov1", "--password-out", home / "password")[0] == 0
    secret = (home / "password").stat()
    assert (secret.st_uid, secret.st_gid) == (home.stat().st_uid, home.stat().st_gid)
    assert {(path.stat().st_uid, path.stat().st_gid) for path in folder.iterdir()} == {owner}


def test_an_account_that_is_there_is_kept_unless_it_is_to_be_replaced(broker, tmp_path):
    broker("add-vehicle", "rov1")
    before = contents(tmp_path / "config")
    for arguments in (["add-vehicle", "rov1"], ["add-topside", "rov1", "--replace"]):
        code, out, err = broker(*arguments)
        assert (code, out) == (2, "")
        assert "rov1" in err
    assert contents(tmp_path / "config") == before
    assert broker("add-vehicle", "rov1", "--replace")[0] == 0
    assert contents(tmp_path / "config")["passwords"] != before["passwords"]
    assert contents(tmp_path / "config")["acl"] == before["acl"]


def test_a_password_may_be_chosen(broker, tmp_path):
    (tmp_path / "chosen").write_text("sea-urchin-42\r\nmore\n")
    code, out, _ = broker("add-vehicle", "rov1", "--password-file", tmp_path / "chosen")
    assert (code, out) == (0, "")
    _, _, _, salt, _ = (tmp_path / "config" / "passwords").read_text().split("$")
    own = hashed("sea-urchin-42", base64.b64decode(salt))
    assert (tmp_path / "config" / "passwords").read_text() == f"rov1:{own}\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["add-vehicle", "../rov1"], "'../rov1'"),
        (["add-vehicle", "Rov1"], "'Rov1'"),
        (["add-recorder", "a:b"], "'a:b'"),
        (["add-dashboard", "x\n"], "'x\\n'"),
        (["add-topside", "laptop", "--json"], "--password-out"),
        (["add-topside", "laptop", "--password-out", "here"], "here is there already"),
        (["add-topside", "laptop", "--password-out", "nowhere/x"], "nowhere/x"),
        (["add-topside", "laptop", "--password-file", "here"], "12 to 256"),
        (["add-topside", "laptop", "--topic-root", "a/#"], "'a/#'"),
        (["add-submarine", "x"], "add-submarine"),
    ],
)
def test_wrong_usage_changes_nothing(broker, tmp_path, arguments, sentence):
    (tmp_path / "here").write_text("short\n")
    code, out, err = broker(*arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert sentence in err
    assert (tmp_path / "here").read_text() == "short\n"
    assert not (tmp_path / "config" / "accounts.json").exists()


def test_files_of_somebody_elses_making_are_not_overwritten(broker, tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "passwords").write_text("by:hand\n")
    code, _, err = broker("add-vehicle", "rov1")
    assert code == 2
    assert "passwords" in err
    assert contents(tmp_path / "config") == {"passwords": b"by:hand\n"}


@pytest.mark.parametrize(
    "content", ["", "{", '{"schema_version": 2}', '{"accounts": [{"name": "rov1"}]}', "\xff"]
)
def test_an_unreadable_source_is_named_and_left_as_it_is(broker, tmp_path, content):
    broker("add-vehicle", "rov1")
    (tmp_path / "config" / "accounts.json").write_text(content, encoding="latin-1")
    before = contents(tmp_path / "config")
    for arguments in (["add-vehicle", "rov2"], ["revoke", "rov1"], ["list"]):
        code, out, err = broker(*arguments)
        assert (code, out) == (2, "")
        assert "accounts.json" in err
    assert contents(tmp_path / "config") == before


def test_two_accounts_of_one_name_are_not_read():
    twice = Book.model_construct(accounts=(account("rov1", "vehicle"), account("rov1", "topside")))
    with pytest.raises(AccountsError, match="rov1") as refused:
        Book.decode(twice.encode())
    assert "$7$" not in str(refused.value)


def test_another_root_holds_for_all_accounts_and_is_kept(broker, tmp_path):
    broker("add-vehicle", "rov1")
    broker("add-vehicle", "rov2", "--topic-root", "boat")
    broker("add-vehicle", "rov3")
    text = (tmp_path / "config" / "acl").read_text()
    assert "tidesync/v1" not in text
    assert text.count("boat/v1/vehicle/rov1/status") == 2


@pytest.mark.slow
def test_a_full_disk_loses_nothing_and_leaves_no_password_behind(broker, tmp_path):
    for number in range(8):
        broker("add-vehicle", f"rov{number}")
    before = contents(tmp_path / "config")
    command = [sys.executable, "-m", "tidesync", "broker", "add-vehicle", "rov9"]
    done = subprocess.run(
        [*command, "--folder", tmp_path / "config", "--password-out", tmp_path / "secret"],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)),
    )
    assert done.returncode == 2
    assert done.stderr.startswith("tidesync: ")
    assert done.stderr.count("\n") == 1
    assert contents(tmp_path / "config") == before
    assert not (tmp_path / "secret").exists()


@pytest.mark.slow
def test_accounts_that_are_added_at_once_are_all_there(tmp_path):
    command = [sys.executable, "-m", "tidesync", "broker", "add-vehicle"]
    folder = ["--folder", str(tmp_path / "config")]
    running = [
        subprocess.Popen([*command, f"rov{n}", *folder], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for n in range(4)
    ]
    assert [process.wait(120) for process in running] == [0] * 4
    assert (tmp_path / "config" / "passwords").read_text().count("rov") == 4


def test_the_password_file_has_a_line_for_each_account_and_the_same_password_for_that_of_its_pings():
    text = passwords(
        book(account("laptop", "topside"), account("rov1", "vehicle"), account("eve", "operator"))
    )
    hashes = dict(line.split(":") for line in text.splitlines())
    assert [*hashes] == ["laptop", "laptop@ping", "rov1", "rov1@ping", "eve"]
    assert all(re.fullmatch(r"\$7\$101\$\S+", each) for each in hashes.values())
    assert hashes["rov1"] == hashes["rov1@ping"] != hashes["laptop@ping"] == hashes["laptop"]


@pytest.mark.parametrize("name", ["rov1@ping", "@ping", "rov1@"])
def test_no_account_is_given_the_name_of_one_for_pings(name):
    with pytest.raises(InvalidNameError):
        account_name(name)


def test_the_rights_of_an_account_for_pings_are_some_of_its_accounts():
    each = {
        user.name: user.allowed for user in book(*(account(role, role) for role in get_args(Role))).users()
    }
    for name in ("vehicle", "topside"):
        pings = each[f"{name}@ping"]
        assert set(pings.publish) < set(each[name].publish)
        assert set(pings.subscribe) < set(each[name].subscribe)
    assert len(each) == len(get_args(Role)) + 2


def test_the_file_of_settings_knows_both_brokers(tmp_path):
    (tmp_path / "tidesync.toml").write_text(
        'topic_root = "boat"\n[broker]\nport = 1884\nfolder = "elsewhere"\n'
    )
    assert run(["broker", "add-vehicle", "rov1"]) == 0
    assert "boat/v1/vehicle/rov1/status" in (tmp_path / "elsewhere" / "acl").read_text()
