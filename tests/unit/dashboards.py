"""Messages as a dashboard hears them, at an instant that the test chooses."""

from broker.inbox import Inbox
from broker.interface import Incoming
from runtime.clock import Reading
from schemas import topics
from schemas.instants import utc_from_ns
from schemas.messages import Event, Info, OffsetResult, SessionState
from tests.results import offset_result

S = 1_000_000_000
AHEAD = 1_777_636_800 * S
"""Realtime less RAW, everywhere here: RAW second 0 was noon."""
LONG_AGO = 100 * S


def result(vehicle="rov1", topside="laptop", measured_ns=None, **changes):
    at = None if measured_ns is None else utc_from_ns(AHEAD + measured_ns)
    ours = {
        "offset_ms": -150.3,
        "lower_ms": -150.7,
        "upper_ms": -149.9,
        "drift_ppm": -3.4,
        "delay_min_ms": 0.6,
    }
    when = {"measured_at": at, "measured_unix_ms": None}
    return offset_result(vehicle=vehicle, topside=topside, **ours | when | changes)


def info(vehicle="rov1", **fields):
    values = {
        "version": "1.0.0",
        "boot_id": "b",
        "instance_id": "i",
        "started_at": utc_from_ns(AHEAD),
        "receive_stamp": "kernel",
        "clock_synchronized": False,
        "http_port": None,
    }
    return Info(vehicle=vehicle, **(values | fields))


def event(vehicle="rov1", step_ms=3000.0):
    at = utc_from_ns(AHEAD)
    return Event(vehicle=vehicle, kind="step", at=at, at_raw_ns=0, step_ms=step_ms, boot_id="b")


def session(name="dive-1", state="recording", **fields):
    values = {
        "request_id": "r",
        "path": f"reef/session_{name}",
        "mission": "reef",
        "sensors": {"inWater": "rov1"},
        "exchanges": 812,
        "last_exchange_at": None,
        "alarm": None,
        "error": None,
    }
    return SessionState(session=name, state=state, **(values | fields))


_PLACES = {
    OffsetResult: (topics.OFFSET, ("vehicle", "topside")),
    Info: (topics.INFO, ("vehicle",)),
    Event: (topics.EVENT, ("vehicle",)),
    SessionState: (topics.SESSION_STATE, ("session",)),
}


def incoming(message, at_ns=LONG_AGO, *, retained=False, **names):
    """`message` as it arrives at RAW `at_ns`; `names` are the topic's, where they are not the message's."""
    kind, levels = _PLACES[type(message)]
    own = {level: getattr(message, level) for level in levels}
    return Incoming(
        topics.build("tidesync", kind, **(own | names)), message.encode(), retained, reading(at_ns)
    )


def status(word, at_ns=LONG_AGO, **names):
    kind = topics.STATUS if "vehicle" in names else topics.TOPSIDE_STATUS
    return Incoming(topics.build("tidesync", kind, **names), word.encode(), True, reading(at_ns))


def letter(*arguments, **options):
    opened = Inbox("tidesync").open(incoming(*arguments, **options))
    assert opened
    return opened


def status_letter(*arguments, **options):
    opened = Inbox("tidesync").open(status(*arguments, **options))
    assert opened
    return opened


def reading(at_ns):
    return Reading(at_ns, AHEAD, 0)
