"""The topic table: building and parsing are inverse, and no name can smuggle anything."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import topics
from schemas.base import InvalidMessageError
from schemas.names import (
    InvalidNameError,
    mission_name,
    session_level,
    session_name,
    session_of_level,
)
from schemas.topics import InvalidTopicError, Topic

agents = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,62}", fullmatch=True)


def allowed(name):
    try:
        return session_name(name) == name
    except InvalidNameError:
        return False


OLD_SESSIONS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", fullmatch=True)
sessions = st.one_of(
    OLD_SESSIONS, st.text(min_size=1, max_size=100), st.text("aB1._-= +#$é海\u2028", min_size=1, max_size=60)
).filter(allowed)


@given(
    kind=st.sampled_from(topics.TOPICS),
    vehicle=agents,
    topside=agents,
    session=sessions,
    recorder=agents,
)
def test_parsing_a_built_topic_gives_its_names_back(kind, vehicle, topside, session, recorder):
    every = {"vehicle": vehicle, "topside": topside, "session": session, "recorder": recorder}
    names = {key: name for key, name in every.items() if f"{{{key}}}" in kind.template}
    assert topics.parse("tidesync", topics.build("tidesync", kind, **names)) == Topic(kind, **names)


@given(st.text(max_size=200))
def test_any_text_is_parsed_or_refused_and_what_is_parsed_builds_itself(text):
    topic = f"tidesync/v1/{text}"
    try:
        parsed = topics.parse("tidesync", topic)
    except InvalidTopicError:
        return
    names = {
        key: getattr(parsed, key)
        for key in ("vehicle", "topside", "session", "recorder")
        if getattr(parsed, key)
    }
    assert topics.build("tidesync", parsed.kind, **names) == topic.replace(".", "=2E")


@given(sessions)
def test_a_sessions_level_is_of_letters_that_every_broker_takes_and_is_its_alone(name):
    level = session_level(name)
    assert re.fullmatch(r"(?:[A-Za-z0-9_-]|=[0-9A-F]{2})+", level)
    assert session_of_level(level) == name


@given(st.text("aZ09_-=.. 2EF+#é", max_size=40))
def test_every_level_is_of_one_session_and_of_one_topic_but_for_dots(level):
    try:
        name = session_of_level(level)
    except InvalidNameError:
        return
    assert session_level(name) in {level, level.replace(".", "=2E")}


@pytest.mark.parametrize("name", ["2026-05-01T12-00-00Z", "reef_42", "dive.3", "a.b-c.d"])
def test_a_level_without_escapes_as_earlier_versions_wrote_it_is_read(name):
    assert topics.parse("tidesync", f"tidesync/v1/session/{name}/state").session == name


def test_a_level_is_written_as_documented():
    assert session_level("dive 2.1") == "dive=202=2E1"
    assert session_level("a=é") == "a=3D=C3=A9"


@pytest.mark.parametrize(
    "level", ["a=2e", "a=2", "a=", "=41", "a=C3", "a=00", "a b", "é", "=20a", "a=2F", "a..b", "=2E"]
)
def test_a_level_that_nobody_writes_is_refused(level):
    with pytest.raises(InvalidTopicError, match="expected a session name"):
        topics.parse("tidesync", f"tidesync/v1/session/{level}/state")


@pytest.mark.parametrize(
    "name",
    ["a", "é", "海" * 66, "reef 42", "a..b", "console", "com10", "COM", "nul-1", "x.con", "=", "(1) [2] #+$"],
)
def test_a_session_may_have_any_name_that_a_folder_can_have_everywhere(name):
    assert session_name(name) == mission_name(name) == name


SMUGGLERS = [
    "",
    "a/b",
    "+",
    "#",
    "$SYS",
    "a\0b",
    "Rov1",
    "rov 1",
    "-rov",
    "rov1\n",
    "ρov",
    "r" * 64,
    "..",
    "１",
]


@pytest.mark.parametrize("name", SMUGGLERS)
def test_a_name_that_could_smuggle_is_refused_when_building(name):
    with pytest.raises(InvalidNameError):
        topics.build("tidesync", topics.STATUS, vehicle=name)


NO_FOLDERS = [
    *("", ".", "..", "/etc", "a/b", "a\\b", "C:", "a*", "a?", 'a"', "<a", "a>", "a|b"),
    *(".hidden", "a.", " a", "a ", "a\0", "a\n", "a\x1b", "a\x7f", "a\x85", "s" * 201, "海" * 67, "a\ud800"),
    *("CON", "con", "Prn", "aux.txt", "NUL.tar.gz", "com1", "LPT9.log", "COM¹", "con .x"),
]


@pytest.mark.parametrize("name", NO_FOLDERS)
def test_a_session_name_that_is_no_folder_name_everywhere_is_refused(name):
    with pytest.raises(InvalidNameError):
        topics.build("tidesync", topics.SESSION_STATE, session=name)


@pytest.mark.parametrize("root", ["", "/", "a/", "/a", "a//b", "+", "a/#", "$share", "a b"])
def test_a_root_with_wildcards_or_empty_levels_is_refused(root):
    with pytest.raises(InvalidNameError):
        topics.build(root, topics.STATUS, vehicle="rov1")


def test_a_root_of_several_levels_is_kept():
    topic = topics.build("boat/sync", topics.PING, vehicle="rov1", topside="laptop")
    assert topic == "boat/sync/v1/vehicle/rov1/ping/laptop"
    assert topics.parse("boat/sync", topic).vehicle == "rov1"


def test_a_subscription_has_a_plus_for_every_name_not_given():
    assert (
        topics.subscription("tidesync", topics.PONG, topside="laptop") == "tidesync/v1/vehicle/+/pong/laptop"
    )


@pytest.mark.parametrize("payload", [b"", b"ONLINE", b"online\n", b"\xff", b"1" * 1_000_000])
def test_a_status_is_one_of_two_words(payload):
    with pytest.raises(InvalidMessageError):
        topics.STATUS.decode(payload)


def test_each_topic_matches_one_row_of_the_table():
    built = [topics.build("tidesync", kind, **dict.fromkeys(_names(kind), "a1")) for kind in topics.TOPICS]
    assert len(set(built)) == len(topics.TOPICS)
    assert [topics.parse("tidesync", topic).kind for topic in built] == list(topics.TOPICS)


def _names(kind):
    return [key for key in ("vehicle", "topside", "session", "recorder") if f"{{{key}}}" in kind.template]
