"""What is heard, a line each: for people, for `tee` and grep, and as JSON Lines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from schemas.instants import iso_from_ns
from schemas.messages import Event, Info, OffsetResult, SessionState
from tidesync.terminal.figures import figure

if TYPE_CHECKING:
    from broker.inbox import Letter
    from tidesync.terminal.listener import BrokerChange


def json_line(letter: Letter) -> str:
    """One object: `what` (the topic's name in the table), `heard_at`, `retained`, then the payload's keys."""
    topic, message = letter.topic, letter.incoming
    heard_at = iso_from_ns(message.received.realtime_ns)
    line = {"what": topic.kind.name, "heard_at": heard_at, "retained": message.retain}
    if isinstance(letter.body, str):
        where = {"vehicle": topic.vehicle} if topic.vehicle else {"topside": topic.topside}
        return json.dumps(line | where | {"status": letter.body})
    return json.dumps(line | json.loads(letter.body.encode()))


def json_broker_line(change: BrokerChange, at_ns: int) -> str:
    """The object for a connection that came or went."""
    line = {"what": "broker", "heard_at": iso_from_ns(at_ns), "connected": change.connected}
    return json.dumps(line | {"error": change.problem})


def plain_line(letter: Letter) -> str:
    """`12:00:00Z rov1 locked …`: the time it was heard, who, and what."""
    at = clock_of(letter.incoming.received.realtime_ns)
    kept = " (retained)" if letter.incoming.retain else ""
    return f"{at} {sentence(letter)}{kept}"


def plain_broker_line(change: BrokerChange, address: object, at_ns: int) -> str:
    """The line for a connection that came or went."""
    said = f"connected to broker {address}" if change.connected else f"BROKER AWAY: {change.problem}"
    return f"{clock_of(at_ns)} {said}"


def clock_of(unix_ns: int) -> str:
    """`12:00:00Z`."""
    return f"{iso_from_ns(unix_ns)[11:19]}Z"


def sentence(letter: Letter) -> str:
    """Who, and what of it, in one line."""
    topic, body = letter.topic, letter.body
    if isinstance(body, OffsetResult):
        return f"{body.vehicle} by {body.topside}: {_result(body)}"
    if isinstance(body, Event):
        moved = "stepped its clock" if body.kind == "step" else "was suspended"
        return f"{topic.vehicle} {moved}: {body.step_ms:+.3f} ms"
    if isinstance(body, SessionState):
        alarm = body.error or body.alarm
        return f"session {body.session} {body.state}: {body.exchanges} exchanges" + (
            f"; {alarm}" * bool(alarm)
        )
    if isinstance(body, Info):
        return f"{topic.vehicle} runs agent {body.version}, arrivals stamped: {body.receive_stamp}"
    return f"{topic.vehicle or f'topside {topic.topside}'} is {body}"


def _result(result: OffsetResult) -> str:
    state = f"{result.state} ({result.error})" if result.error else result.state
    if result.offset_ms is None:
        return state
    drift = f", drift {result.drift_ppm:+.2f} ppm" if result.drift_ppm is not None else ""
    return f"{state} {result.offset_ms:.4f} ms ± {figure(result.max_error_ms, 4)}{drift}"
