"""Synthetic tracks with a known truth, for the tests of correction and export."""

from topside_agent.estimator import Row

S = 1_000_000_000
MS = 1_000_000
START = 1_777_636_800 * S
HALF_NS = 400_000
"""Half the width of each row's bounds."""


def row(at_s, offset_ns, segment=0, *, state="ok", half_ns=HALF_NS):
    topside = START + round(at_s * S)
    offset = round(offset_ns)
    bounds = (offset - half_ns, offset + half_ns)
    return Row("rov1", "topside", topside, topside + offset, offset, *bounds, 10_000, segment, state)


def stepped(step_ns, *, at_s=100.0, until_s=200.0, every_s=0.25, drift=40e-6):
    """(rows, truth): a clock that drifts and is stepped once at `at_s`; truth returns the offset in ns."""

    def truth(second):
        return -150 * MS + drift * second * S + (step_ns if second >= at_s else 0)

    count = round(until_s / every_s) + 1
    instants = [number * every_s + 0.01 for number in range(count)]
    return [row(second, truth(second), int(second >= at_s)) for second in instants], truth


def raw_of(rows):
    """Topside's RAW clock at each row."""
    return {each.topside_unix_ns: each.topside_unix_ns - START for each in rows}
