"""The topic table: building and parsing are inverse, and no name can smuggle anything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import topics
from schemas.base import InvalidMessageError
from schemas.names import InvalidNameError
from schemas.topics import InvalidTopicError, Topic

agents = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,62}", fullmatch=True)
sessions = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", fullmatch=True).filter(lambda s: ".." not in s)


@given(kind=st.sampled_from(topics.TOPICS), vehicle=agents, topside=agents, session=sessions)
def test_parsing_a_built_topic_gives_its_names_back(kind, vehicle, topside, session):
    every = {"vehicle": vehicle, "topside": topside, "session": session}
    names = {key: name for key, name in every.items() if f"{{{key}}}" in kind.template}
    assert topics.parse("tidesync", topics.build("tidesync", kind, **names)) == Topic(kind, **names)


@given(st.text(max_size=200))
def test_any_text_is_parsed_or_refused_and_what_is_parsed_builds_itself(text):
    topic = f"tidesync/v1/{text}"
    try:
        parsed = topics.parse("tidesync", topic)
    except InvalidTopicError:
        return
    names = {key: getattr(parsed, key) for key in ("vehicle", "topside", "session") if getattr(parsed, key)}
    assert topics.build("tidesync", parsed.kind, **names) == topic


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


@pytest.mark.parametrize("name", ["..", "a..b", "/etc", "a/b", ".hidden", "s" * 101, "a\0", "é", "a\n"])
def test_a_session_name_that_could_leave_its_folder_is_refused(name):
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
    return [key for key in ("vehicle", "topside", "session") if f"{{{key}}}" in kind.template]
