"""The topic table: senders, readers, QoS, retain flag and payload of each topic; building and parsing."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from pydantic import TypeAdapter

from schemas import clock_history, direct_path, messages, presence
from schemas.base import SchemasError
from schemas.names import (
    InvalidNameError,
    root_name,
    session_level,
    session_of_level,
    topside_name,
    vehicle_name,
)
from schemas.topic_kind import Role, TopicKind

VERSION = "v1"
_CACHE_SIZE = 32_768
"""Of built and parsed topics: of 5000 vehicles. One that is a little too small is as slow as none."""
_LEVELS: Mapping[str, Callable[[str], str]] = {
    "vehicle": vehicle_name,
    "topside": topside_name,
    "session": session_level,
    "recorder": topside_name,
}
"""The topic level of a name; InvalidNameError for one that is not allowed."""
_NAMES: Mapping[str, Callable[[str], str]] = {**_LEVELS, "session": session_of_level}
"""The name of a topic level."""


class InvalidTopicError(SchemasError, ValueError):
    """A topic that is not in the table, or carries an invalid name."""

    def __init__(self, topic: str, reason: str) -> None:
        super().__init__(f"{topic[:200]!r} is not a Tidesync topic: {reason}")
        self.topic = topic


STATUS = TopicKind(
    "status",
    "vehicle/{vehicle}/status",
    senders=("vehicle",),
    readers=("vehicle", "topside", "dashboard", "operator"),
    payload=None,
    retain=True,
    will=True,
)
INFO = TopicKind(
    "info",
    "vehicle/{vehicle}/info",
    senders=("vehicle",),
    readers=("vehicle", "topside", "dashboard", "operator"),
    payload=messages.Info,
    retain=True,
)
EVENT = TopicKind(
    "event",
    "vehicle/{vehicle}/event",
    senders=("vehicle",),
    readers=("topside", "recorder", "dashboard", "operator"),
    payload=messages.Event,
)
PING = TopicKind(
    "ping",
    "vehicle/{vehicle}/ping/{topside}",
    senders=("topside",),
    readers=("vehicle",),
    payload=messages.Ping,
    qos=0,
)
PONG = TopicKind(
    "pong",
    "vehicle/{vehicle}/pong/{topside}",
    senders=("vehicle",),
    readers=("topside",),
    payload=messages.Pong,
    qos=0,
)
UDP_REQUEST = TopicKind(
    "udp_request",
    "vehicle/{vehicle}/udp_request/{topside}",
    senders=("topside",),
    readers=("vehicle",),
    payload=direct_path.UdpRequest,
)
UDP_ANSWER = TopicKind(
    "udp_answer",
    "vehicle/{vehicle}/udp_answer/{topside}",
    senders=("vehicle",),
    readers=("topside",),
    payload=direct_path.UdpAnswer,
)
ADDRESSED = (PONG, UDP_ANSWER)  # what a vehicle sends to one topside each
EXCHANGE = TopicKind(
    "exchange",
    "vehicle/{vehicle}/exchange/{topside}",
    senders=("topside",),
    readers=("recorder", "dashboard", "operator"),
    payload=messages.ExchangeBatch,
    group=True,
)
OFFSET = TopicKind(
    "offset",
    "vehicle/{vehicle}/offset/{topside}",
    senders=("topside",),
    readers=("topside", "recorder", "dashboard", "operator"),
    payload=messages.OffsetResult,
    retain=True,
    group=True,
)
VEHICLE_CLOCK = TopicKind(
    "vehicle_clock",
    "vehicle/{vehicle}/clock",
    senders=("vehicle",),
    readers=("topside", "recorder", "dashboard", "operator"),
    payload=clock_history.VehicleClock,
)
VEHICLE_COMMAND = TopicKind(
    "vehicle_command",
    "vehicle/{vehicle}/command",
    senders=("operator", "recorder"),
    readers=("vehicle",),
    payload=messages.VehicleCommand,
)
TOPSIDE_CLOCK = TopicKind(
    "topside_clock",
    "topside/{topside}/clock",
    senders=("topside",),
    readers=("recorder", "dashboard", "operator"),
    payload=clock_history.TopsideClock,
)
TOPSIDE_STATUS = TopicKind(
    "topside_status",
    "topside/{topside}/status",
    senders=("topside",),
    readers=("vehicle", "topside", "recorder", "dashboard", "operator"),
    payload=None,
    retain=True,
    will=True,
)
TOPSIDE_HEARTBEAT = TopicKind(
    "topside_heartbeat",
    "topside/{topside}/heartbeat",
    senders=("topside",),
    readers=("topside", "dashboard", "operator"),
    payload=presence.Heartbeat,
    qos=0,
    group=True,
)
TOPSIDE_MEMBER = TopicKind(
    "topside_member",
    "topside/{topside}/member",
    senders=("topside",),
    readers=("dashboard", "operator"),
    payload=presence.Member,
    retain=True,
    group=True,
)
TOPSIDE_COMMAND = TopicKind(
    "topside_command",
    "topside/{topside}/command",
    senders=("operator", "recorder"),
    readers=("topside",),
    payload=TypeAdapter(messages.TopsideCommand),
)
SESSION_COMMAND = TopicKind(
    "session_command",
    "session/{session}/command",
    senders=("operator",),
    readers=("recorder",),
    payload=TypeAdapter(messages.SessionCommand),
)
SESSION_STATE = TopicKind(
    "session_state",
    "session/{session}/state",
    senders=("recorder",),
    readers=("dashboard", "operator"),
    payload=messages.SessionState,
    retain=True,
)
RECORDER_STATUS = TopicKind(
    "recorder_status",
    "recorder/{recorder}/status",
    senders=("recorder",),
    readers=("dashboard", "operator"),
    payload=None,
    retain=True,
    will=True,
)

TOPICS: tuple[TopicKind, ...] = (
    STATUS,
    INFO,
    EVENT,
    PING,
    PONG,
    UDP_REQUEST,
    UDP_ANSWER,
    EXCHANGE,
    OFFSET,
    VEHICLE_CLOCK,
    VEHICLE_COMMAND,
    TOPSIDE_STATUS,
    TOPSIDE_HEARTBEAT,
    TOPSIDE_MEMBER,
    TOPSIDE_CLOCK,
    TOPSIDE_COMMAND,
    SESSION_COMMAND,
    SESSION_STATE,
    RECORDER_STATUS,
)


@dataclass(frozen=True, slots=True)
class Topic:
    """A parsed topic: its row of the table, and the names in it."""

    kind: TopicKind
    vehicle: str | None = None
    topside: str | None = None
    session: str | None = None
    recorder: str | None = None


@lru_cache(_CACHE_SIZE)
def build(root: str, kind: TopicKind, **names: str) -> str:
    """The topic of `kind` with its names filled in; InvalidNameError for an invalid one."""
    filled = {key: _LEVELS[key](name) for key, name in names.items()}
    return f"{root_name(root)}/{VERSION}/{kind.template.format(**filled)}"


def subscription(root: str, kind: TopicKind, **names: str) -> str:
    """The topic filter for topics of `kind`: `+` for each name that is not given."""
    wanted = {key: _LEVELS[key](name) for key, name in names.items()}
    levels = [
        wanted.get(level[1:-1], "+") if level.startswith("{") else level for level in kind.template.split("/")
    ]
    return f"{root_name(root)}/{VERSION}/{'/'.join(levels)}"


def read_by(root: str, role: Role, **names: str) -> list[tuple[str, int]]:
    """The `(filter, QoS)` pairs of all that a client of `role` reads, with its own name filled in."""
    return [(subscription(root, kind, **names), kind.qos) for kind in TOPICS if role in kind.readers]


def concerns_pings(topic: str) -> bool:
    """Whether a topic or a filter, below whatever root, is one of pings or of pongs."""
    levels = topic.split("/")
    return len(levels) > _PING_LEVEL and levels[-2] in _PING_WORDS and levels[-4] == "vehicle"


def read_in_group(root: str) -> list[tuple[str, int]]:
    """The same of what every member of a group reads all the time."""
    return [(subscription(root, kind), kind.qos) for kind in (TOPSIDE_MEMBER, TOPSIDE_HEARTBEAT)]


def blueos_mirror(topside: str | None = None) -> str:
    """The topic of a topside's mirror for BlueOS, or the filter for all; BlueOS's, so not in the table."""
    return f"blueos/ext/tidesync-{topside_name(topside)}/json" if topside else "blueos/ext/+/json"


@lru_cache(_CACHE_SIZE)
def parse(root: str, topic: str) -> Topic:
    """The inverse of `build`; InvalidTopicError if it is not in the table or has an invalid name."""
    prefix = f"{root}/{VERSION}/"
    if not topic.startswith(prefix):
        raise InvalidTopicError(topic, f"it does not begin with {prefix!r}")
    rest = topic[len(prefix) :]
    for kind, pattern in _PATTERNS:
        match = pattern.fullmatch(rest)
        if match:
            return _named(topic, kind, match.groupdict())
    raise InvalidTopicError(topic, "it is not in the table")


def _named(topic: str, kind: TopicKind, names: Mapping[str, str]) -> Topic:
    try:
        return Topic(kind, **{key: _NAMES[key](level) for key, level in names.items()})
    except InvalidNameError as error:
        raise InvalidTopicError(topic, str(error)) from error


_PING_LEVEL = 4
_PING_WORDS = {kind.template.split("/")[2] for kind in (PING, PONG)}


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template))


_PATTERNS = tuple((kind, _pattern(kind.template)) for kind in TOPICS)
