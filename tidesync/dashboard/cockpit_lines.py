"""The fleet as variables of Cockpit's data lake, pure: rows and the time in, lines out.

Cockpit 1.18 and later, bluerobotics/cockpit at aa40c07: `parseAndInjectMessage` in
src/libs/generic-websocket.ts takes one `name=value` a message. The variable is `external/` and the name, of
which `machinizeString` (src/libs/utils.ts) leaves small letters, digits and single hyphens: names here are
that already. The first value of a variable sets its type (`guessedTypeFromString` in
src/libs/utils-data-lake.ts): true and false are boolean, what JavaScript's Number() takes is a number, all
else and what is in quotes is a string; a string that could look like a number is sent in quotes. Number("")
is 0, so an absent value is not sent at all; nor is NaN, which would empty Plotter's axis
(src/components/widgets/Plotter.vue) and, as a first value, make a string of the variable.

Cockpit keeps the last value of a variable for ever. So it is not enough to send nothing: the state becomes
`unknown`, the age goes on growing, and a vehicle that is forgotten gets a last `unknown`.

Cockpit's expressions put a value's text into JavaScript and run it (`evaluateDataLakeExpression` in
src/libs/actions/data-lake-transformations.ts). So no text that a peer can choose is sent: names are
validated, all other words are ours.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from types import MappingProxyType
from typing import TYPE_CHECKING, get_args

from schemas.choice import chosen
from schemas.messages import DUPLICATES, State
from tidesync.figures import decimals_of, error_figure, figure, limits_figure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tidesync.dashboard.views import VehicleView

CONNECTED = "tidesync-broker-connected"
HEARTBEAT = "tidesync-heartbeat-unix-s"
UNKNOWN = "unknown"
"""Instead of a state: there is no current result, or its state or error is a word that is not ours."""
AMBIGUOUS = "ambiguous"
"""Instead of a state: several vehicles are meant by this name."""
NUMBERS = {
    "offset-ms": "offset_ms",
    "max-error-ms": "max_error_ms",
    "lower-ms": "lower_ms",
    "upper-ms": "upper_ms",
    "drift-ppm": "drift_ppm",
    "delay-min-ms": "delay_min_ms",
    "steps": "steps",
}
"""Sent only while the result is current."""
_LEAST_DECIMALS = 4
_DECIMALS = {"drift-ppm": 4, "delay-min-ms": 6, "steps": 0}
"""Of what is no interval of the offset, as published."""
KEYS = (*NUMBERS, "state", "age-s", "topside", "error")
HEARTBEAT_S = 1.0


def values(
    rows: Sequence[VehicleView],
    *,
    connected: bool,
    unix_s: float,
    topside: str | None = None,
    before: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, str]:
    """Every variable's text, in the order in which to send it; with `topside` as that one alone measures.

    A vehicle's plain names are of the topside that is `chosen`, where it can be the one in `before`, what was
    sent last. Where two vehicles' names become the same here, the plain state is `ambiguous` and there are no
    plain numbers. Each topside has names of its own, `tidesync-rov1-by-boat-…`, once a second one is known.
    """
    texts = {CONNECTED: _boolean(connected), HEARTBEAT: f"{unix_s:.0f}"}
    for prefix, meant in _named(rows, topside).items():
        in_use = before.get(f"{prefix}-topside", "").strip('"')
        texts |= _texts(prefix, meant, in_use, connected=connected)
    return texts


class ChangedLines:
    """The lines that one client lacks; nothing is queued. `sent` is what it has."""

    def __init__(self) -> None:
        self.sent: Mapping[str, str] = {}
        self._heartbeat_s = -math.inf

    def due(self, current: Mapping[str, str], now_s: float) -> Iterator[str]:
        """What has changed, once a second; at once if a state or the connection has."""
        gone = {name: UNKNOWN for name in self.sent if _is_state(name) and name not in current}
        lines = {**gone, **current}
        urgent = any(self.sent.get(name) != text for name, text in lines.items() if _is_urgent(name))
        if not urgent and now_s - self._heartbeat_s < HEARTBEAT_S:
            return
        self._heartbeat_s = now_s
        before, self.sent = self.sent, dict(current)
        for name, text in lines.items():
            if before.get(name) != text:
                yield f"{name}={text}"


def _named(rows: Sequence[VehicleView], topside: str | None) -> dict[str, list[VehicleView]]:
    """The rows that each name stands for: of more than one, no numbers are sent."""
    vehicles: defaultdict[str, list[VehicleView]] = defaultdict(list)
    for row in rows:
        if topside is None or row.topside in {topside, None}:
            vehicles[row.vehicle].append(row)
    named: defaultdict[str, list[VehicleView]] = defaultdict(list)
    for vehicle, measured in vehicles.items():
        prefix = f"tidesync-{_machinized(vehicle)}"
        named[prefix] += measured
        if len(measured) > 1:
            for row in measured:
                named[f"{prefix}-by-{_machinized(row.topside or '')}"].append(row)
    return named


def _texts(prefix: str, meant: Sequence[VehicleView], in_use: str, *, connected: bool) -> dict[str, str]:
    fresh = [row for row in meant if connected and row.fresh]
    if any(row.error in DUPLICATES for row in fresh) or len({row.vehicle for row in meant}) > 1:
        return {f"{prefix}-state": AMBIGUOUS}
    row = chosen(fresh, in_use)
    if row and row.state in get_args(State):
        return _current(prefix, row)
    return {f"{prefix}-state": UNKNOWN} | _age(prefix, min(meant, key=_age_s))


def _current(prefix: str, row: VehicleView) -> dict[str, str]:
    """A bad state is sent before the numbers, a good one after them."""
    numbers = {f"{prefix}-{key}": text for key, text in _numbers(row)}
    words = {f"{prefix}-topside": f'"{row.topside}"', f"{prefix}-error": row.error or "none"}
    state = {f"{prefix}-state": row.state or UNKNOWN}
    rest = numbers | _age(prefix, row) | words
    return rest | state if row.state == "locked" else state | rest


def _numbers(row: VehicleView) -> Iterator[tuple[str, str]]:
    """Each number that is known, with the decimals that the max error deserves; bounds rounded outward."""
    decimals = decimals_of(row.max_error_ms, _LEAST_DECIMALS)
    for key, field in NUMBERS.items():
        value = getattr(row, field)
        if value is None or not math.isfinite(value):
            continue
        text = figure(value, _DECIMALS.get(key, decimals))
        if key == "max-error-ms":
            text = error_figure(value, decimals, row.offset_ms)
        elif key in {"lower-ms", "upper-ms"}:
            text = limits_figure(value, value, decimals).split(" to ")[key == "upper-ms"]
        yield key, _short(text)


def _age(prefix: str, row: VehicleView) -> dict[str, str]:
    text = _number(row.last_seen_s, 1)
    return {} if text is None else {f"{prefix}-age-s": text}


def _age_s(row: VehicleView) -> float:
    return math.inf if row.last_seen_s is None else row.last_seen_s


def _number(value: float | None, digits: int) -> str | None:
    if value is None or not math.isfinite(value):
        return None
    return repr(round(value, digits))


def _short(text: str) -> str:
    """Without zeros at its end: `-150.3`, `0.42`, `-3000.0`."""
    whole, point, rest = text.partition(".")
    return f"{whole}.{rest.rstrip('0') or '0'}" if point else text


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _machinized(name: str) -> str:
    """As Cockpit's `machinizeString` has it."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _is_state(name: str) -> bool:
    return name.endswith("-state")


def _is_urgent(name: str) -> bool:
    return name == CONNECTED or _is_state(name)
