"""What the vehicle's agent publishes: its messages made ready to send, and when to announce itself again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from zlib import crc32

from broker.client.one_step import OneStepTimestamp, with_room
from broker.interface import Outgoing
from runtime.version import VERSION
from schemas import topics
from schemas.clock_history import VehicleClock
from schemas.instants import utc_from_ns
from schemas.messages import Event, Info

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pi_agent.responder import Answerer
    from runtime.clock_daemons import Discipline
    from runtime.clock_watch import ClockChange
    from schemas.clock_history import ClockPiece
    from schemas.exchange import StampKind
    from schemas.messages import Pong, Status
    from schemas.topic_kind import TopicKind


Announcement = Literal["status", "info"]
_ANNOUNCEMENTS: tuple[Announcement, ...] = ("info", "status")

STATUS_PAUSE_NS = 3_000_000_000
"""Between two `online` that answer an `offline`: two namesakes must not flood the broker."""
NAMESAKE_PAUSE_NS = 60_000_000_000
"""Between two answers to a namesake's info, and two warnings about it."""
ANNOUNCE_EVERY_NS = 60_000_000_000
"""Some brokers send nothing retained to those who subscribe with a wildcard, as topsides and viewers do."""
_MOST_REFUSED = 20
"""Topics that are listed as refused: more are those of an account without any rights."""
_SPREAD_NS = 1_000_000_000
"""A topside that comes online hears a fleet's answers over this time."""
_MOST_TOPSIDES = 64
"""Topsides known to be online; of more, each status counts as new."""
_MOVING_WRITE_NS = 1_000_000
"""The fastest slew moves realtime by 0.1 ms in it, less than a message takes on its way."""


@dataclass(frozen=True, slots=True)
class MessageBuilder:
    """Makes one vehicle's messages."""

    root: str
    vehicle: str
    answerer: Answerer
    started_ns: int
    """The Pi's realtime when the agent started, ns since the Unix epoch."""
    simulated: bool

    def status(self, word: Status) -> Outgoing:
        """Whether the agent is online."""
        return self._outgoing(topics.STATUS, word.encode())

    def info(
        self,
        *,
        receive_stamp: StampKind,
        clock_synchronized: bool,
        discipline: Discipline,
        http_port: int | None,
        udp: int | None = None,
        udp_key_public: bool = False,
        topics_refused: Sequence[str] = (),
    ) -> Outgoing:
        """Describes the agent and its clock."""
        info = Info(
            vehicle=self.vehicle,
            version=VERSION,
            boot_id=self.answerer.boot_id,
            instance_id=self.answerer.instance_id,
            started_at=utc_from_ns(self.started_ns),
            receive_stamp=receive_stamp,
            clock_synchronized=clock_synchronized,
            clock_daemons=discipline.daemons,
            clock_max_slew_ppm=discipline.max_slew_ppm,
            clock_free=discipline.free,
            http_port=http_port,
            udp=udp,
            udp_key_public=None if udp is None else udp_key_public,
            simulated=self.simulated,
            topics_refused=tuple(topics_refused[:_MOST_REFUSED]),
        )
        return self._outgoing(topics.INFO, info.encode())

    def event(self, change: ClockChange) -> Outgoing:
        """A step or suspend of the clock, dated by the first reading after it."""
        event = Event(
            vehicle=self.vehicle,
            kind=change.kind,
            at=utc_from_ns(change.seen.realtime_ns),
            at_raw_ns=change.seen.raw_ns,
            step_ms=change.moved_ns / 1e6,
            boot_id=self.answerer.boot_id,
        )
        return self._outgoing(topics.EVENT, event.encode())

    def clock(self, boot_id: str, instance_id: str, first: int, pieces: tuple[ClockPiece, ...]) -> Outgoing:
        """Pieces of the clock history of a process, this one or one before it."""
        message = VehicleClock(
            vehicle=self.vehicle, boot_id=boot_id, instance_id=instance_id, first=first, pieces=pieces
        )
        return self._outgoing(topics.VEHICLE_CLOCK, message.encode())

    def pong_topic(self, topside: str) -> str:
        """Where the answers to `topside` go."""
        return topics.build(self.root, topics.PONG, vehicle=self.vehicle, topside=topside)

    def pong(self, topic: str, pong: Pong, *, is_moving: bool = False) -> Outgoing:
        """The answer, with its transmit stamp to be taken at the socket write.

        `is_moving`: the clock is slewed. Then realtime − RAW is only that of a write within a millisecond.
        """
        payload, position = with_room(pong.encode(), "transmit_ns")
        stamp = OneStepTimestamp(position, pong.realtime_minus_raw_ns)
        if is_moving:
            stamp.latest_ns = pong.transmit_ns - pong.realtime_minus_raw_ns + _MOVING_WRITE_NS
        return Outgoing(topic, payload, topics.PONG.qos, one_step=stamp)

    def _outgoing(self, kind: TopicKind, payload: bytes) -> Outgoing:
        topic = topics.build(self.root, kind, vehicle=self.vehicle)
        return Outgoing(topic, payload, kind.qos, kind.retain)


class AnnouncementPolicy:
    """Decides when to announce again.

    That is once a minute, after anything but `online` on the vehicle's own status, to a namesake, and to a
    topside that comes online. Two live agents of one name each answer the other's info with their own, once a
    minute, and so keep knowing of each other. Retained messages do not count: they may be a predecessor's.
    Nor does `started_at`: a Pi without a battery clock does not know when it started.
    """

    def __init__(self, instance_id: str) -> None:
        self._instance_id = instance_id
        self._published_at_ns: dict[Announcement, int] = {}
        self._due_at_ns: dict[Announcement, int] = {}
        self._warned_at_ns: int | None = None
        self._online_at_ns: dict[str, int] = {}
        """By topside; it renews its status once a minute."""
        self._spread_ns = crc32(instance_id.encode()) % _SPREAD_NS

    def announced(self, what: Announcement, now_ns: int) -> None:
        """Note that `what` was published at RAW `now_ns`."""
        self._published_at_ns[what] = now_ns
        self._due_at_ns[what] = now_ns + ANNOUNCE_EVERY_NS

    def due(self, now_ns: int) -> list[Announcement]:
        """What to publish again at RAW `now_ns`."""
        return [what for what, due_ns in self._due_at_ns.items() if due_ns <= now_ns]

    def heard_status(self, payload: bytes, now_ns: int) -> None:
        """Take in a live status: a namesake's farewell, the will of an earlier connection, or what clears it.

        Whoever took that for absence must hear otherwise.
        """
        if payload != b"online":
            self._schedule("status", now_ns, STATUS_PAUSE_NS)

    def heard_topside(self, topside: str, word: str, now_ns: int) -> None:
        """Take in a live status: a topside that came online may not have been sent what is retained."""
        last_ns = self._online_at_ns.pop(topside, None)
        if word != "online":
            return
        if len(self._online_at_ns) < _MOST_TOPSIDES:
            self._online_at_ns[topside] = now_ns
        if last_ns is None or now_ns - last_ns >= 2 * ANNOUNCE_EVERY_NS:
            for what in _ANNOUNCEMENTS:
                self._schedule(what, now_ns + self._spread_ns, STATUS_PAUSE_NS)

    def heard_info(self, info: Info, now_ns: int) -> bool:
        """Take in a live info; whether to warn of a namesake now."""
        if info.instance_id == self._instance_id:
            return False
        self._schedule("info", now_ns, NAMESAKE_PAUSE_NS)
        if self._warned_at_ns is not None and now_ns - self._warned_at_ns < NAMESAKE_PAUSE_NS:
            return False
        self._warned_at_ns = now_ns
        return True

    def _schedule(self, what: Announcement, now_ns: int, pause_ns: int) -> None:
        published_ns = self._published_at_ns.get(what)
        due_ns = now_ns if published_ns is None else max(now_ns, published_ns + pause_ns)
        self._due_at_ns[what] = min(due_ns, self._due_at_ns.get(what, due_ns))
