"""TICSync: the line of greatest separation between two convex hulls, restarted every 60 s.

Sources: Harrison and Newman, "TICSync: Knowing when things happened", ICRA 2011; Zhang, Liu and Xia 2002 for
the hulls; the authors' library of 2012 (SwitchingTwoWayClockSync, MaxSepFilter) for the switching: two
filters receive every sample, one answers, and it is replaced by the other when that one spans 60 s.
"""

from __future__ import annotations

import numpy as np

from bench.estimators.samples import PeerAnswers, Samples

SWITCH_S = 60.0
Point = tuple[float, float]


def _push(hull: list[Point], x: float, y: float, sign: float) -> None:
    """Adds the newest point to a hull that bends towards the other: sign 1 for the upper points' hull."""
    while len(hull) > 1:
        (ax, ay), (bx, by) = hull[-2], hull[-1]
        if sign * ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) > 0.0:
            break
        hull.pop()
    hull.append((x, y))


class Hulls:
    """The lower hull of the upper bounds and the upper hull of the lower bounds, over s and ns."""

    def __init__(self) -> None:
        self.above: list[Point] = []
        self.below: list[Point] = []

    def add(self, out_s: float, upper_ns: float, back_s: float, lower_ns: float) -> None:
        _push(self.above, out_s, upper_ns, 1.0)
        _push(self.below, back_s, lower_ns, -1.0)

    @property
    def span_s(self) -> float:
        return self.above[-1][0] - self.above[0][0] if self.above else 0.0

    @property
    def stable(self) -> bool:
        return len(self.above) > 1 and len(self.below) > 1

    def middle_at(self, at_s: float) -> tuple[float, float]:
        """The line midway in the widest gap between the hulls, at `at_s`, and half that gap.

        The gap is concave in the slope, so it is greatest at the slope of one of the hulls' edges; where
        several share it the mean slope is taken.
        """
        above, below = np.array(self.above), np.array(self.below)
        slopes = np.concatenate([np.diff(h[:, 1]) / np.diff(h[:, 0]) for h in (above, below)])
        tops = (above[:, 1] - slopes[:, None] * (above[:, 0] - at_s)).min(axis=1)
        bottoms = (below[:, 1] - slopes[:, None] * (below[:, 0] - at_s)).max(axis=1)
        gaps = tops - bottoms
        widest = gaps >= gaps.max() - 1e-6
        return float(((tops + bottoms) / 2)[widest].mean()), float(gaps.max() / 2)


def ticsync(samples: Samples) -> PeerAnswers:
    """The answering filter's line after each exchange; half the gap is the stated error."""
    size = samples.delay_ns.size
    offset, half = np.full(size, np.nan), np.full(size, np.nan)
    answering, pending = Hulls(), Hulls()
    out_s = (samples.origin_ns / 1e9).tolist()
    back_s = (samples.destination_ns / 1e9).tolist()
    upper, lower = samples.upper_ns.tolist(), samples.lower_ns.tolist()
    for now in range(size):
        for hulls in (answering, pending):
            hulls.add(out_s[now], upper[now], back_s[now], lower[now])
        if pending.stable and pending.span_s > SWITCH_S:
            answering, pending = pending, Hulls()
        if answering.stable:
            offset[now], half[now] = answering.middle_at(back_s[now])
    return PeerAnswers(offset, offset - half, offset + half)
