"""Between two exchanges of wide bounds the line of what is shared may be steep: it holds there, too."""

import pytest

from topside_agent.shared_state.knots import Knot
from topside_agent.shared_state.layout import OK
from topside_agent.shared_state.lines import Line
from topside_agent.shared_state.past import Past

S, MS = 1_000_000_000, 1_000_000


def knot(raw_ns, off_ns, width_ns):
    """An exchange at `raw_ns` of both RAW clocks, which are equal; its bound's middle is `off_ns` off."""
    return Knot(None, 0, "boot", raw_ns + off_ns, raw_ns, raw_ns, width_ns, 1e-4, 0, 0, 0, 0, 0)


@pytest.mark.parametrize("error_ns", [0, MS, 300 * MS])
@pytest.mark.parametrize("off_ns", [-950 * MS, 0, 950 * MS])
def test_an_entry_holds_the_truth_of_every_stamp_that_the_clock_may_have_shown(off_ns, error_ns):
    before, after = knot(23 * S, off_ns, 951 * MS), knot(24 * S + 200 * MS, 2 * MS, 3 * MS)
    pi = Line(before.pi_raw_ns, after.pi_raw_ns, error_ns)
    entry = Past(5e-7)._entry(before, after, pi, Line(before.raw_ns, after.raw_ns, 0), OK)
    slope = (entry.last_ns - entry.first_ns) / (entry.to_ns - entry.from_ns)
    for raw_ns in range(before.raw_ns, after.raw_ns, 7 * MS):
        for stamp_ns in (raw_ns - error_ns, raw_ns, raw_ns + error_ns):
            if entry.from_ns - entry.reach_ns <= stamp_ns <= entry.to_ns + entry.reach_ns:
                found_ns = stamp_ns + entry.first_ns + (stamp_ns - entry.from_ns) * slope
                assert abs(found_ns - raw_ns) <= entry.half_ns
