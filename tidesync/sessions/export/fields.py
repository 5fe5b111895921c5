"""The fields of an exported track, and what every exported file states about them: sign, units, errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from topside_agent.estimator import Row

SIGN = "offset = Pi clock - topside clock, positive when the Pi is ahead: topside = pi - offset"
ERROR = (
    "lower and upper hold the offset if no message travels back in time and the RAW clocks do not change"
    " their rate faster than a stated limit; max error = max(upper - offset, offset - lower); u95 is the 95 %"
    " half-width if the smallest delays of both directions differ by less than 5 % of their sum"
)
STATES = (
    "ok; holdover: carried forward; ambiguous: near a clock step, either side may hold; outside: no answer"
)
FIELDS: Mapping[str, str] = {
    "vehicle": "whose clock",
    "topside": "the clock that it is compared with",
    "topside_unix_ns": "topside's wall clock, ns since the Unix epoch",
    "pi_unix_ns": "the Pi's wall clock at that instant, ns since the Unix epoch",
    "offset_ns": f"ns; {SIGN}",
    "lower_ns": "ns; the offset is not less",
    "upper_ns": "ns; the offset is not more",
    "u95_ns": "ns; statistical 95 % half-width, absent where it is not known",
    "segment": "changes where a clock was stepped, suspended or rebooted",
    "state": STATES,
}
TEXT_FIELDS = frozenset({"vehicle", "topside", "state"})
"""The others are integers; `u95_ns` may be absent."""
NOTES: Mapping[str, str] = {"sign": SIGN, "error": ERROR, "state": STATES}

Tracks = Iterable[tuple[tuple[str, str], Sequence[Row]]]
"""(vehicle, topside) and the rows of each track in turn: a writer keeps none of them."""
