"""A Pi timestamp corrected through three relations: Pi realtime → Pi RAW → topside RAW → topside realtime.

The first and the last are each machine's own clock history (clock_function.py), the one between is that of
the RAW clocks (raw_groups.py), which no step and no slew touches. The error adds up what each contributes:

- Pi RAW is known within E₁ (the half-width of the history's piece).
- The RAW relation gives topside's RAW within E₂ for that instant; over E₁ it moves by less than 1.12·E₁.
- Topside's realtime rises, so it lies between its values at both ends of that, each within its half-width.

u95 adds up the RAW relation's own and, in full, both half-widths.

An instant that comes within its error of a step, a gap or a suspend is undecided.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product
from operator import itemgetter
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from tidesync.sessions.correction.claims import claims_of
from tidesync.sessions.correction.columns import outside
from tidesync.sessions.correction.heard_twice import MARGIN_NS
from tidesync.sessions.correction.interpolation import Instants
from tidesync.sessions.correction.raw_groups import between_boots_ns, is_unknown
from tidesync.sessions.correction.timeline import UNKNOWN_NS, Timeline, TimelineSegment
from tidesync.sessions.correction.without_raw import Unrelated

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidesync.sessions.correction.claims import Claim
    from tidesync.sessions.correction.clock_function import ClockFunction, Lines
    from tidesync.sessions.correction.clock_limits import ClockLimits
    from tidesync.sessions.correction.interpolation import Interpolation, Inverse
    from tidesync.sessions.correction.raw_groups import Boot, RawGroup, Samples
    from tidesync.sessions.correction.without_raw import Showing
    from topside_agent.estimator.blocks import Floats, Integers

_RATES = 1.12
"""More than any two clocks of two machines run apart."""
_HALF_NS = 2**61
_STARTED_NS = 300_000_000_000
"""An agent that keeps a history starts so soon after a boot in which nothing was measured."""
FIRST = "(first)"
"""In place of a boot with samples: none precedes."""
NAMESAKES, _NEAR = "(namesakes)", (MARGIN_NS, MARGIN_NS)
"""In place of a boot with samples: it answered beside one, so that it is another vehicle's."""


class ComposedInterpolation:
    """Corrects Pi timestamps of one run of the Pi's clock by one group of the RAW relation.

    `topside_from_ns` and `topside_to_ns` are the RAW instants at which topside slept before and after.
    """

    def __init__(
        self,
        pi: Lines,
        raw: Interpolation,
        topside: Lines,
        *,
        first_ns: int,
        last_ns: int,
        topside_from_ns: int,
        topside_to_ns: int,
    ) -> None:
        self._pi, self._raw, self._topside = pi, raw, topside
        self._awake = topside_from_ns, topside_to_ns
        self.first_ns, self.last_ns = first_ns, last_ns

    def instants(self, pi_ns: Integers) -> Instants:
        """The topside instants of `pi_ns`."""
        pi_raw, pi_error = self._pi.raw_at(pi_ns)
        raw = self._raw.instants(pi_raw)
        reach = np.ceil(np.minimum(raw.max_error_ns + _RATES * pi_error, _HALF_NS / 4)).astype(np.int64)
        centre, _, _ = self._topside.realtime_at(raw.topside_ns)
        least, greatest, run = self._topside.between(raw.topside_ns - reach, raw.topside_ns + reach)
        undecided = raw.undecided | (run < 0)
        awake_from, awake_to = self._awake
        undecided |= (raw.topside_ns - reach < awake_from) | (raw.topside_ns + reach > awake_to)
        error = np.maximum(greatest - centre, centre - least) + 2
        u95 = self._u95(raw, _RATES * pi_error, reach, centre)
        return Instants(centre, error.astype(np.float64), np.minimum(u95, error), raw.held, undecided)

    def _u95(self, raw: Instants, pi_error: Floats, reach: Integers, centre: Integers) -> Floats:
        """The 95 % half-width; what both histories leave open counts in full."""
        known = ~np.isnan(raw.u95_ns)
        near = np.minimum(np.ceil(np.where(known, raw.u95_ns, 0.0) + pi_error), reach).astype(np.int64)
        least, greatest, _ = self._topside.between(raw.topside_ns - near, raw.topside_ns + near)
        return np.where(known, np.maximum(greatest - centre, centre - least) + 2.0, np.nan)


def composed_timeline(
    listed: Samples,
    groups: Sequence[RawGroup],
    pi: Mapping[Boot, ClockFunction],
    topside: Mapping[Boot, ClockFunction],
    limits: ClockLimits,
    *,
    unmeasured: Mapping[Boot, Sequence[Lines]] = MappingProxyType({}),
    shown: Mapping[Boot, Sequence[Showing]] = MappingProxyType({}),
    within: frozenset[Boot] = frozenset(),
) -> Timeline:
    """The timeline of the groups of these samples: every run of the Pi's clock is a segment, or several.

    A part of a run in which no relation holds is a segment too: its rows must not be taken for others in
    which the clock showed the same. So is a reading in no run, what only exchanges without RAW showed, and
    each run of a boot without a sample: `unmeasured` has these boots by the one with samples that they follow
    (`FIRST`: they precede all). Boots `within` another one are another machine's, as those of `NAMESAKES`.
    """
    steady = replace(limits, slew=0.0)
    claims = claims_of(groups, pi, topside, steady)
    boots = listed.by_boot(0)
    lasting = {boot: of_boot for boot, of_boot in boots.items() if boot not in within}
    between = [(before[-1], after[0]) for before, after in pairwise(lasting.values())]
    off = [0, *(between_boots_ns(*each) for each in between), 0]
    unknown = [False, *(is_unknown(*each, topside[each[0].topside_boot]) for each in between), False]
    segments = [
        part for each in unmeasured.get(FIRST, ()) for part in segments_of(each, unheard_ns=(0, off[0]))
    ]
    for (boot, of_boot), unheard, both in zip(lasting.items(), pairwise(off), pairwise(unknown), strict=True):
        of_claims, of_shown = claims.get(boot, ()), shown.get(boot, ())
        made = segments_of(pi[boot].lines, of_claims, of_boot, of_shown, unheard_ns=unheard)
        segments += _of_unknown(made, before=both[0], after=both[1])
        for lines in unmeasured.get(boot, ()):
            since_ns = min(max(int(lines.from_raw[0]), 0), _STARTED_NS)  # RAW counts from the boot
            segments += segments_of(lines, unheard_ns=(unheard[1] or since_ns, unheard[1]))
    foreign = [part for each in unmeasured.get(NAMESAKES, ()) for part in segments_of(each, unheard_ns=_NEAR)]
    for boot in within:
        of_claims, of_shown = claims.get(boot, ()), shown.get(boot, ())
        foreign += segments_of(pi[boot].lines, of_claims, boots[boot], of_shown, unheard_ns=_NEAR)
    return Timeline([*segments, *(replace(each, foreign=True) for each in foreign)], limits)


def _of_unknown(made: list[TimelineSegment], *, before: bool, after: bool) -> list[TimelineSegment]:
    """The segments of a boot of the Pi; whether no clock shows for how long nobody heard of it."""
    if before:
        made[0] = replace(made[0], unheard_ns=(UNKNOWN_NS, made[0].unheard_ns[1]))
    if after:
        made[-1] = replace(made[-1], unheard_ns=(made[-1].unheard_ns[0], UNKNOWN_NS))
    return made


def _with_margins(within: Inverse, shown: tuple[int, int], margins: tuple[int, int]) -> TimelineSegment:
    before_ns, after_ns = (round(_RATES * each) for each in margins)
    times, unheard_ns = (shown[0] - before_ns, shown[1] + after_ns), (before_ns, after_ns)
    return TimelineSegment(within, *times, cut_before=True, cut_after=True, unheard_ns=unheard_ns)


def segments_of(
    lines: Lines,
    claims: Sequence[Claim] = (),
    samples: Samples | None = None,
    shown: Sequence[Showing] = (),
    *,
    unheard_ns: tuple[int, int],
) -> list[TimelineSegment]:
    """The segments of one boot; `unheard_ns`: for how long the clock may have run before and after.

    A reading in no line is a segment of its own: the clock may have been set before it and after it.
    """
    begins, ends = _runs(lines)
    alone = list(samples.at(outside(samples.pi_raw_ns, begins, ends))) if samples else []
    at = [each.pi_raw_ns for each in alone]
    first, last = min([*at, *begins.tolist()]), max([*at, *ends.tolist()])
    found: list[tuple[int, TimelineSegment]] = []
    # A step may follow at once, or at the next line: what the clock may have shown until then.
    for run, begin, end in zip(np.unique(lines.run).tolist(), begins.tolist(), ends.tolist(), strict=True):
        margins = _margins(begin, end, (first, last), (begins, ends), unheard_ns)
        apart = sorted(each.pi_raw_ns for each in shown if begin < each.pi_raw_ns < end)
        found += _of_run(lines.of_run(run), claims, margins, [begin, *apart, end])
    unrelated = [(each.pi_raw_ns, (each.first_ns, each.last_ns), each.margins_ns) for each in shown]
    for raw_ns, at_ns in ((each.pi_raw_ns, each.transmit_ns) for each in alone):
        margins = _margins(raw_ns, raw_ns, (first, last), (begins, ends), unheard_ns)
        unrelated.append((raw_ns, (at_ns, at_ns), margins))
    parts = [(at, _with_margins(Unrelated(*times), times, more)) for at, times, more in unrelated]
    return [segment for _, segment in sorted(parts + found, key=itemgetter(0))]


def _runs(lines: Lines) -> tuple[Integers, Integers]:
    """The RAW instants at which each run begins and ends."""
    starts = np.flatnonzero(np.diff(lines.run, prepend=-1))
    return lines.from_raw[starts], lines.to_raw[np.append(starts[1:], lines.run.size)[: starts.size] - 1]


def _margins(
    begin: int,
    end: int,
    heard: tuple[int, int],
    runs: tuple[Integers, Integers],
    unheard_ns: tuple[int, int],
) -> tuple[int, int]:
    """For how long at most a clock may have run before and after what is known of it."""
    later, earlier = runs[0][runs[0] >= end], runs[1][runs[1] <= begin]
    before = begin - int(earlier.max()) if earlier.size else begin - heard[0] + unheard_ns[0]
    after = int(later.min()) - end if later.size else heard[1] - end + unheard_ns[1]
    return before, after


def _of_run(
    run: Lines, claims: Sequence[Claim], margins: tuple[int, int], apart: Sequence[int]
) -> list[tuple[int, TimelineSegment]]:
    """The segments of a run, each with its beginning; none reaches across an instant of `apart`."""
    first, last = int(run.from_raw[0]), int(run.to_raw[-1])
    parts: list[tuple[int, int, Claim | None]] = []
    known_to = first
    for claim in claims:
        begin, end = max(first, claim.begin), min(last, claim.end)
        if begin < end:
            parts += [(known_to, begin, None)] if begin > known_to else []
            parts.append((begin, end, claim))
            known_to = max(known_to, end)
    parts += [(known_to, last, None)] if last > known_to else []
    found = []
    for (since, until), (known_from, known_to, related) in product(pairwise(apart), parts):
        begin, end = max(known_from, since), min(known_to, until)
        if begin < end:
            more = margins[0] if begin == first else 0, margins[1] if end == last else 0
            found.append((begin, _segment(run, begin, end, related, more)))
    return found


def _segment(
    run: Lines, begin: int, end: int, claim: Claim | None, margins: tuple[int, int]
) -> TimelineSegment:
    shown = run.shown(begin, end)
    within: Inverse = Unrelated(*shown)
    if claim is not None:
        at_ends, widths, _ = run.realtime_at(np.array([begin, end]))
        first_ns, last_ns = int(at_ends[0] + widths[0]), int(at_ends[1] - widths[1])
        within = ComposedInterpolation(
            run,
            claim.raw,
            claim.topside,
            first_ns=first_ns,
            last_ns=last_ns,
            topside_from_ns=claim.awake[0],
            topside_to_ns=claim.awake[1],
        )
    return _with_margins(within, shown, margins)
