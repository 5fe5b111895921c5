"""What a random world published and recorded, beside its truth: results, the track's rows, rows corrected."""

import random
from dataclasses import dataclass

import numpy as np

from schemas import topics
from schemas.instants import ns_from_utc
from schemas.metadata import CONSUMER_TOLERANCE_MS
from tests.simulation.simulated_machines import S
from tidesync.sessions.correction.clock_limits import limits_of
from tidesync.sessions.correction.histories import read_histories
from tidesync.sessions.correction.order import RowCorrector
from tidesync.sessions.correction.session import measured_of, timeline_of
from tidesync.sessions.correction.session_metadata import read_metadata
from tidesync.sessions.correction.timeline import STATES
from tidesync.sessions.errors import NothingMeasuredError
from topside_agent.estimator import EstimatorSettings

DATED_NS = 1_200
"""A result's date is cut to µs; a slewed clock moves by a tenth of that, and what is read takes time."""


@dataclass
class Judged:
    """A result, and by how much (ns) the truth is outside its bound; 0: it is not."""

    at_s: float
    result: object
    beyond_ns: float

    @property
    def wrong(self):
        return self.beyond_ns > 0


def judged(world):
    """Every result that has an offset."""
    results = [
        (message.at_s, message.body)
        for message in world._messages(topics.OFFSET, "topside", "rov1")
        if message.body.offset_ms is not None
    ]
    return [Judged(at_s, result, _beyond_ns(world, at_s, result)) for at_s, result in results]


def _beyond_ns(world, at_s, result):
    """At the Pi's reading, when its clock showed the date and the offset, and when topside's showed the date.

    A step of the Pi between the two, which nobody has heard of yet, ends what the reading showed. The topside
    is the one that published: a boot before it may have shown the same date.
    """
    topside = world.topside_of(result.instance_id)
    dated_ns, until_ns = ns_from_utc(result.measured_at), world.start_ns + round(at_s * S)
    shown_ns = dated_ns + round(result.offset_ms * 1e6)
    found = []
    for pi in world.pi_clocks(result.boot_id):
        dated = topside.shown_at(dated_ns, until_ns)
        for read_at in pi.shown_at(shown_ns, until_ns) or dated:
            until = [each for each in dated if not pi.set_between(read_at, each)] or [read_at]
            off = min(_off_ns(world, result, pi, topside, each) for each in until)
            found.append(max(off, _off_ns(world, result, pi, topside, read_at)))
    return max(min(found, default=float("inf")), 0)


def _off_ns(world, result, pi, topside, at_ns):
    """By how much the truth at an instant is outside the bound; negative: it is within.

    An offset that is off, within its bound, may place the reading before topside's power-on.
    """
    at_ns = max(at_ns, world.start_ns + round(topside.life.from_s * S))
    if at_ns - world.start_ns < pi.life.from_s * S:
        return float("inf")
    true_ns = pi.realtime_at(at_ns) - topside.realtime_at(at_ns)
    return max(result.lower_ms * 1e6 - true_ns, true_ns - result.upper_ms * 1e6) - DATED_NS


def tracked(world):
    """The sound rows of the smoothed track, each with by how much the truth is outside its bound (ns)."""
    until_ns, found = world.start_ns + round(world.plan.seconds * S), []
    for measured in world.folder.measure(EstimatorSettings()).values():
        exchanges = {exchange.destination_ns: exchange for exchange in measured.exchanges}
        for row in measured.track.rows:
            at_ns = row.topside_unix_ns
            topsides = world.topsides_of(exchanges[at_ns].topside_boot_id)
            clocks = world.pi_clocks(exchanges[at_ns].boot_id)
            moments = [(clock, each) for clock in topsides for each in clock.shown_at(at_ns, until_ns)]
            off = [_off_row_ns(row, pi, *moment) for pi in clocks for moment in moments]
            if row.state in {"ok", "holdover"}:
                found.append((row, max(min(off, default=float("inf")), 0)))
    return found


def _off_row_ns(row, pi, topside, at_ns):
    true_ns = pi.realtime_at(at_ns) - topside.realtime_at(at_ns)
    return max(row.lower_ns - true_ns, true_ns - row.upper_ns)


@dataclass
class Row:
    """A row that the Pi stamped at `at_s`: its state, and its error beyond the stated one (ns)."""

    at_s: float
    state: str
    beyond_ns: int
    stated_ns: int

    @property
    def wrong(self):
        return self.state in {"ok", "holdover"} and self.beyond_ns > 0


def corrected(world, rows=4_000):
    """Rows of the vehicle as `tidesync correct` corrects them; none where nothing was measured."""
    made = timeline(world)
    return [] if made is None else corrected_by(made, world, list(_stamped(world, _instants(world, rows))))


def corrected_at(world, seconds, *, backward=False):
    """The same, of rows of which these are the instants; `backward`: in a table with the newest first."""
    made = timeline(world)
    stamped = list(_stamped(world, {round(at_s * S) for at_s in seconds}))
    return [] if made is None else corrected_by(made, world, stamped[::-1] if backward else stamped)


def corrected_by(made, world, stamped):
    """The rows `stamped`, (base instant, the Pi's stamp) in the order of the table."""
    corrector = RowCorrector(made)
    stamps = np.array([stamp for _, stamp in stamped], dtype=np.int64)
    if corrector.passes > 1:
        corrector.note(stamps)
    topside_ns, stated, state = (column.tolist() for column in corrector.correct(stamps)[:3])
    found = []
    for (at_ns, _), found_ns, stated_ns, number in zip(stamped, topside_ns, stated, state, strict=True):
        true_ns = world.topside_at(at_ns).realtime_at(at_ns)
        beyond_ns = abs(found_ns - true_ns) - stated_ns
        found.append(Row((at_ns - world.start_ns) / S, STATES[number], beyond_ns, stated_ns))
    return found


def timeline(world):
    """What the command makes of the session's folder."""
    settings = EstimatorSettings()
    try:
        measured = measured_of(world.folder.measure(settings), "rov1", read_metadata(world.folder))
        limits = limits_of(
            settings,
            measured.exchanges,
            slew_ppm=None,
            max_error_ms=CONSUMER_TOLERANCE_MS,
            rate_ppm=measured.track.rate_ppm,
        )
        histories = read_histories(world.folder, "rov1", measured.topside)
        return timeline_of(measured, limits, histories, settings)
    except NothingMeasuredError:
        return None


def _instants(world, rows):
    """Spread over the world, and dense where something changes."""
    chance = random.Random(f"rows {world.plan.seed}")
    instants = {round(chance.uniform(0, world.plan.seconds) * S) for _ in range(rows)}
    for edge_s in changes_s(world.plan):
        instants |= {round((edge_s + chance.gauss(0, 0.2)) * S) for _ in range(20)}
        instants |= {round((edge_s + chance.gauss(0, 0.01)) * S) for _ in range(5)}
    return instants


def _stamped(world, instants):
    """(base instant, the Pi's stamp) of those at which both machines were on."""
    for instant in sorted(instants):
        at_ns = world.start_ns + instant
        awake = [clock for clock in world.pi_clocks() if clock.is_awake(at_ns)]
        if instant > 0 and awake and world.topside_at(at_ns) is not None:
            yield at_ns, awake[0].realtime_at(at_ns)


def changes_s(plan):
    """When anything begins or ends."""
    spans = [*plan.gaps]
    for life in (*plan.pi, *plan.topside):
        spans += [(life.from_s, life.until_s), *(each[:2] for each in life.sleeps)]
        spans += [each[:2] for each in life.slews] + [(at_s, at_s) for at_s, _ in life.steps]
    return sorted({edge for span in spans for edge in span if 0 < edge < plan.seconds})
