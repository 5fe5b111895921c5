"""Random sessions with steps, and tables of their rows in every order that loggers and people leave them."""

import numpy as np

from tests.unit.tracks import START, S, raw_of, row
from tidesync.sessions.correction.clock_limits import ClockLimits
from tidesync.sessions.correction.from_track import timeline
from tidesync.sessions.correction.order import RowCorrector
from tidesync.sessions.correction.timeline import HOLDOVER

LIMITS = ClockLimits()


class Session:
    """`steps` are (at, size, off), all s: a step, or a reboot after which the vehicle was off so long."""

    def __init__(self, steps, *, seconds, every_s=0.5, outages=(), drift=40e-6):
        self.steps, self.seconds, self._drift = sorted(steps), seconds, drift
        instants = np.arange(0, seconds, every_s) + 0.01
        for begin, end in outages:
            instants = instants[(instants < begin) | (instants > end)]
        instants = self.on(instants)
        rows = [row(at, self.offset_s(at) * S, int(self.segment(at))) for at in instants]
        self.timeline = timeline(rows, raw_of(rows), LIMITS)

    def on(self, at_s):
        """Those of the instants at which the vehicle was on."""
        for at, _, off in self.steps:
            at_s = at_s[(at_s < at) | (at_s >= at + off)]
        return at_s

    def offset_s(self, at_s):
        return self._drift * at_s + sum(np.where(at_s >= at, size, 0) for at, size, _ in self.steps)

    def segment(self, at_s):
        return sum(np.where(at_s >= at, 1, 0) for at, _, _ in self.steps)

    def pi_ns(self, at_s):
        return START + np.rint((at_s + self.offset_s(at_s)) * S).astype(np.int64)


def random_session(chance):
    """One to three steps and reboots; each segment is measured, as a silent one would break the holdover."""
    while True:
        session = _session(chance)
        if len(session.timeline.segments) == len(session.steps) + 1:
            return session


def _session(chance):
    seconds = float(chance.choice([300, 1200, 5000]))
    every_s, count = seconds / 1200, chance.integers(1, 4)
    places = chance.uniform(0.1, 0.9, count) * seconds
    if chance.random() < 0.3:
        places = places[0] + np.arange(count) * every_s * chance.choice([2.5, 8.0, 80.0])
    sizes = chance.choice([-3600, -1800, -900, -100, -60, -20, -7, -3, -1, 1, 3, 40, 900, 3600], count)
    sizes = sizes + chance.choice([0.0, 0.3], count)
    if chance.random() < 0.3:
        sizes[:] = sizes[0]
    if chance.random() < 0.3:
        sizes = chance.uniform(-1, 0.4, count) * seconds
    off = np.where(chance.random(count) < 0.3, chance.choice([5.0, 25.0, 60.0], count), 0.0)
    outages = [(at, at + chance.choice([3, 30, 100])) for at in chance.uniform(0, 0.9 * seconds - 100, 2)]
    steps = list(zip(places.tolist(), sizes.tolist(), off.tolist(), strict=True))
    return Session(steps, seconds=seconds, every_s=every_s, outages=outages if chance.random() < 0.3 else ())


def log(chance, session, *, whole=False):
    """The instants of the rows of one logger, in order; of the whole session or of any part of it."""
    period_s = session.seconds / chance.choice([300, 1000, 2500])
    begin, end = (0.0, 1.0) if whole or chance.random() < 0.5 else sorted(chance.uniform(0, 1, 2))
    instants = np.arange(begin, end, period_s / session.seconds) * session.seconds
    style = chance.choice(["regular", "jitter", "events"])
    if style == "jitter":
        instants = instants + chance.uniform(0, 0.9 * period_s, instants.size)
    elif style == "events" and instants.size:
        instants = instants[0] + np.cumsum(chance.exponential(period_s, instants.size))
    if chance.random() < 0.3:
        for gap in chance.uniform(0, session.seconds, 3):
            instants = instants[(instants < gap) | (instants > gap + chance.choice([3, 20, 60]))]
    return session.on(instants[(instants > 0) & (instants < session.seconds - 1)])


def in_order(chance, session):
    return log(chance, session, whole=True)


def late(chance, session):
    """A few rows that were written later than their neighbours, by anything, as far as the step."""
    rows = log(chance, session, whole=True)
    for _ in range(chance.integers(1, 4)):
        place = chance.integers(0, rows.size)
        if chance.random() < 0.4:  # beside a step
            place = np.searchsorted(rows, chance.choice([at for at, *_ in session.steps]))
            place = int(np.clip(place + chance.integers(-3, 4), 0, rows.size - 1))
        later = place + int(chance.choice([1, 2, 5, 30, rows.size // 3]))
        rows = np.insert(np.delete(rows, place), min(later, rows.size - 1), rows[place])
    return rows


def swapped(chance, session):
    rows = log(chance, session, whole=True)
    for place in chance.integers(0, rows.size - 1, chance.choice([1, 2, 20])):
        rows[[place, place + 1]] = rows[[place + 1, place]]
    return rows


def stacked(chance, session):
    """The logs of two to four loggers one after another."""
    return np.concatenate([log(chance, session) for _ in range(chance.integers(2, 5))])


def rotated(chance, session):
    """The parts of a log in any order; it was rotated where the clock was set, or anywhere."""
    rows = log(chance, session, whole=True)
    at = np.sort(chance.uniform(0, session.seconds, 2))
    if chance.random() < 0.5:
        at = np.unique([at for at, *_ in session.steps])
    parts = np.split(rows, np.searchsorted(rows, at))
    chance.shuffle(parts)
    return np.concatenate(parts)


def newest_first(chance, session):
    return log(chance, session, whole=True)[::-1]


def shuffled(chance, session):
    rows = log(chance, session)
    return chance.permutation(rows[: int(chance.choice([8, 20, rows.size]))])


def shuffled_nearby(chance, session):
    """As messages overtake each other."""
    rows = log(chance, session, whole=True)
    return rows[np.argsort(np.arange(rows.size) + chance.uniform(0, chance.choice([2, 8, 50]), rows.size))]


def interleaved(chance, session):
    """Rows of two loggers alternately, although taken at different times."""
    one, other = log(chance, session), log(chance, session)
    if chance.random() < 0.5:
        other = one + chance.choice([0.1, 10.0, 60.0, 900.0])
        other = session.on(other[other < session.seconds - 1])
    block = int(chance.choice([1, 2, 20]))
    blocks = [np.split(rows, np.arange(block, rows.size, block)) for rows in (one, other)]
    mixed = [each for pair in zip(*blocks, strict=False) for each in pair]
    return np.concatenate(mixed) if mixed else one


def sorted_by_the_pi(chance, session):
    rows = log(chance, session, whole=True)
    return rows[np.argsort(session.pi_ns(rows), kind="stable")]


def doubled(chance, session):
    """Rows twice, or the whole log."""
    rows = log(chance, session, whole=True)
    return np.tile(rows, 2) if chance.random() < 0.5 else np.repeat(rows, chance.integers(1, 3, rows.size))


def flushed_late(chance, session):
    """A buffer of rows that reached the file after others."""
    rows = log(chance, session, whole=True)
    begin, length = chance.integers(0, rows.size), int(chance.choice([20, 100]))
    block, rest = rows[begin : begin + length], np.delete(rows, np.s_[begin : begin + length])
    place = min(begin + int(chance.choice([15, 100, 400])), rest.size)
    return np.insert(rest, place, block)


ORDERS = (
    in_order,
    late,
    swapped,
    stacked,
    rotated,
    newest_first,
    shuffled,
    shuffled_nearby,
    interleaved,
    sorted_by_the_pi,
    doubled,
    flushed_late,
)


def corrected(session, instants, *, batch=1500):
    """(wrong, answered, could): rows off by more than their error, rows answered, and rows that could be.

    Who knows each row's segment could answer.
    """
    pi_ns = session.pi_ns(instants)
    corrector = RowCorrector(session.timeline)
    batches = [pi_ns[start : start + batch] for start in range(0, pi_ns.size, batch)]
    if corrector.passes > 1:
        for each in batches:
            corrector.note(each)
    found = [corrector.correct(each) for each in batches] or [corrector.correct(pi_ns)]
    topside, error, state, *_ = (np.concatenate(column) for column in zip(*found, strict=True))
    true = START + np.rint(instants * S).astype(np.int64)
    answered = state <= HOLDOVER
    segment = np.minimum(session.segment(instants), len(session.timeline.segments) - 1)
    could = session.timeline.correct(pi_ns, segment, segment).state <= HOLDOVER
    return (np.abs(topside - true) > error) & answered, answered, could
