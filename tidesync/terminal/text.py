"""What was heard as text: one line for people and for grep, one JSON object, one vehicle key by key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from schemas.doubtful import for_people, is_doubtful
from schemas.instants import iso_from_ns, iso_utc
from schemas.messages import Event, Info, OffsetResult, SessionState
from tidesync.figures import ago, decimals_of, distance, error_figure, figure, is_long, limits_figure, span
from tidesync.fleet.duplicates import sentence
from tidesync.fleet.sessions import CLOSING
from tidesync.fleet.vehicle import CONDITION, discipline_of, path_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from broker.inbox import Letter
    from tidesync.fleet.vehicle import Row
    from tidesync.terminal.listener import BrokerChange

_S_PER_DAY_AT_1_PPM = 0.0864
_PATHS = {
    "mqtt": "over the broker",
    "udp": "directly, by UDP",
    "http": "over HTTP: neither the broker nor UDP reaches the vehicle",
}
_STAMPED = {"kernel": "by the kernel", "user": "in user space"}


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
    """The object for a connection made or lost."""
    line = {"what": "broker", "heard_at": iso_from_ns(at_ns), "connected": change.connected}
    return json.dumps(line | {"error": change.problem})


def plain_line(letter: Letter) -> str:
    """`12:00:00Z rov1 locked …`: the time of its arrival, then the vehicle and what it reports."""
    at = clock_of(letter.incoming.received.realtime_ns)
    retained = " (retained)" if letter.incoming.retain else ""
    return f"{at} {_sentence(letter)}{retained}"


def plain_broker_line(change: BrokerChange, address: object, at_ns: int) -> str:
    """The line for a connection made or lost, or for what the broker refuses."""
    text = f"connected to broker {address}"
    if change.problem:
        text = f"{'BROKER REFUSES' if change.refused else 'BROKER AWAY'}: {change.problem}"
    return f"{clock_of(at_ns)} {text}"


def clock_of(unix_ns: int) -> str:
    """`12:00:00Z`."""
    return f"{iso_from_ns(unix_ns)[11:19]}Z"


def tracking(row: Row) -> str:
    """One vehicle in full, in lines of `key : value`, in the manner of `chronyc tracking`."""
    pairs = list(_pairs(row))
    width = max(len(key) for key, _ in pairs)
    return "\n".join(f"{key:<{width}} : {value}" for key, value in pairs)


def state_of(result: OffsetResult, *, old: bool = False) -> str:
    """The state, and the error where there is one; one that is not renewed is called old."""
    state = f"{result.state} ({result.error})" if result.error else result.state
    return f"old: {state}" if old else state


def offset_figures(result: OffsetResult, least: int) -> tuple[str, str, str]:
    """Offset, max error and 95 % error in ms, `-` where unknown, in at least `least` decimals.

    As many as the max error deserves, and for the 95 % error itself; both hold around the offset shown.
    """
    offset, error, u95 = result.offset_ms, result.max_error_ms, result.u95_ms
    decimals, of_u95 = decimals_of(error, least), decimals_of(u95, least)
    max_error = error_figure(error, decimals, offset)
    return figure(offset, decimals), max_error, error_figure(u95, of_u95, offset, decimals)


def drift_figures(result: OffsetResult) -> tuple[str, str]:
    """Drift and its error in ppm, `-` where unknown."""
    decimals = decimals_of(result.drift_error_ppm, 2, 4)
    drift = "-" if result.drift_ppm is None else f"{result.drift_ppm:+.{decimals}f}"
    return drift, error_figure(result.drift_error_ppm, decimals, result.drift_ppm)


def remarks_of(row: Row) -> list[str]:
    """What must be known beside a row's numbers."""
    result = row.result
    if result is None:
        return []
    remarks = ["old: not renewed; does its topside run?"] if row.old else []
    known = for_people(result)
    if known.offset_ms is not None and is_long(known.offset_ms):
        remarks.append(f"its clock is {distance(known.offset_ms)}")
    if is_doubtful(result.error):
        remarks.append(f"unknown: {sentence(result)}")
    elif result.conditional:
        remarks.append(CONDITION)
    if _is_unused(row):
        remarks.append("not in use: another topside's bound of this vehicle is smaller")
    return remarks


def _is_unused(row: Row) -> bool:
    """Whether it could be relied on, and another topside's result of the vehicle is chosen."""
    return row.fresh and not row.in_use and row.result is not None and not is_doubtful(row.result.error)


def _sentence(letter: Letter) -> str:
    topic, body = letter.topic, letter.body
    if isinstance(body, OffsetResult):
        return f"{body.vehicle} by {body.topside}: {_result(body)}"
    if isinstance(body, Event):
        moved = "stepped its clock" if body.kind == "step" else "was suspended"
        return f"{topic.vehicle} {moved}: {body.step_ms:+.3f} ms"
    if isinstance(body, SessionState):
        more = [CLOSING] * body.closing + [text for text in (body.error or body.alarm,) if text]
        return "; ".join([f"session {body.session} {body.state}: {body.exchanges} exchanges", *more])
    if isinstance(body, Info):
        return f"{topic.vehicle} runs agent {body.version}, arrivals stamped: {body.receive_stamp}"
    return f"{topic.vehicle or f'topside {topic.topside}'} is {body}"


def _result(result: OffsetResult) -> str:
    if is_doubtful(result.error):
        return f"{state_of(result)}; {sentence(result)}"
    if result.offset_ms is None:
        return state_of(result)
    drift = f", drift {drift_figures(result)[0]} ppm" if result.drift_ppm is not None else ""
    condition = f"; {CONDITION}" if result.conditional else ""
    offset, max_error, _ = offset_figures(result, 4)
    return f"{state_of(result)} {offset} ms ± {max_error}{drift}{condition}"


def _pairs(row: Row) -> Iterator[tuple[str, str]]:
    yield "Vehicle", f"{row.vehicle}, {row.status or 'status unknown'}"
    if row.result is None:
        yield "Measured by", "nobody; is `tidesync topside` running?"
    else:
        yield "Measured by", f"{row.topside}, {row.topside_status or 'status unknown'}"
        yield from _result_pairs(row.result, row)
    if row.info:
        yield from _info_pairs(row.info)


def _result_pairs(result: OffsetResult, row: Row) -> Iterator[tuple[str, str]]:
    result = for_people(result)
    yield "State", state_of(result, old=row.old)
    if _is_unused(row):
        yield "In use", "no: another topside's bound of this vehicle is smaller"
    if is_doubtful(result.error):
        yield "Numbers", f"unknown: {sentence(result)}"
    yield "Offset", _offset(result)
    yield "Max error", _max_error(result)
    if result.conditional:
        yield "Condition", CONDITION
    yield "95 % error (u95)", _in_ms(offset_figures(result, 4)[2])
    yield "Drift", _drift(result)
    yield "Min delay", figure(result.delay_min_ms, decimals_of(result.delay_min_ms, 4), "ms")
    yield "Exchanges", f"{result.exchanges} in use, {result.rejected} rejected"
    yield "Steps", f"{result.steps}, now in segment {result.segment}"
    measured_at = f"{iso_utc(result.measured_at)} (topside's clock)" if result.measured_at else "never"
    old = "; old: does its topside run?" if row.old else ""
    yield "Measured at", measured_at
    yield "Age", f"{ago(row.age_s)} (this computer's clock){old}"
    yield "Last exchange", "-" if result.age_s is None else f"{result.age_s:.3f} s before that"
    yield "Path", _PATHS.get(path_of(result), path_of(result))
    yield "Method", result.method


def _info_pairs(info: Info) -> Iterator[tuple[str, str]]:
    simulated = ", a simulated one" if info.simulated else ""
    yield "Agent", f"{info.version}, since {iso_utc(info.started_at)} (the vehicle's clock{simulated})"
    yield "Boot", info.boot_id
    yield "Vehicle's clock", discipline_of(info)
    yield "Arrivals stamped", _STAMPED.get(info.receive_stamp, info.receive_stamp)
    yield "HTTP", f"port {info.http_port}" if info.http_port else "not served"
    yield "Direct path", direct_path_of(info)


def direct_path_of(info: Info) -> str:
    """Whether a vehicle is measured directly on request."""
    if info.udp is None:
        return "not offered"
    public = (
        "; its agent has no account, so anybody at the broker can read the key" if info.udp_key_public else ""
    )
    return f"by UDP, if topside asks{public}"


def _in_ms(shown: str) -> str:
    return shown if shown == "-" else f"{shown} ms"


def _offset(result: OffsetResult) -> str:
    offset, _, _ = offset_figures(result, 4)
    if not result.offset_ms:
        return _in_ms(offset)
    where = "ahead of" if result.offset_ms > 0 else "behind"
    by = f"{span(abs(result.offset_ms) / 1e3)} " if is_long(result.offset_ms) else ""
    return f"{offset} ms (the vehicle is {by}{where} {result.topside})"


def _max_error(result: OffsetResult) -> str:
    if result.max_error_ms is None:
        return "-"
    limits = limits_figure(result.lower_ms, result.upper_ms, decimals_of(result.max_error_ms, 4))
    return f"{offset_figures(result, 4)[1]} ms ({limits})"


def _drift(result: OffsetResult) -> str:
    if result.drift_ppm is None:
        return "-"
    drift, error = drift_figures(result)
    text = f"{drift} ppm" + ("" if result.drift_error_ppm is None else f" ± {error}")
    if abs(result.drift_ppm) <= (result.drift_error_ppm or 0.0):
        return text  # its sign is not known
    per_day_s = abs(result.drift_ppm) * _S_PER_DAY_AT_1_PPM
    return f"{text} (the vehicle {'gains' if result.drift_ppm > 0 else 'loses'} {per_day_s:.3f} s a day)"
