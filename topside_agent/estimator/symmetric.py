"""The middle between the bounds, told by more than the shortest delays where both ways are delayed alike."""

from __future__ import annotations

from collections.abc import Sequence

from topside_agent.estimator.window import SHARPNESS

FEWEST = 16
"""Of fewer exchanges only the shortest delays are used: two directions could differ and not show it."""
_ALIKE = 1.5
"""Standard deviations by which the spreads of alike delays may differ: there half is believed."""
_GATE = 4
"""Beyond it hardly anything is: this power of the ratio's square says how sharply."""
_LEAST_SPREAD = 4
"""How surely a delay is known is judged by so many delays at least; two would be a toss."""


def middle(above: Sequence[float], below: Sequence[float]) -> float:
    """The likeliest offset (ns) from all bounds along a known drift.

    `above` are the upper bounds, `below` the lower ones turned upside down; both rise, so that their k-th
    entries are the k-th shortest delays out and back. The middle between the two shortest asks no more than
    equal least delays, but many exchanges help it little where few come near the least. Had both ways one
    law, the middle between the k-th shortest would do as well, for every k. That is believed as far as both
    spread alike: as far from the shortest to the 2k-th, up to half of all. Where one way jitters more, the
    shortest alone count.
    """
    edges = (above[0] - below[0]) / 2
    if len(above) < FEWEST:
        return edges
    doubt, weights, moved = 0.0, 0.0, 0.0
    k = 1
    while 4 * k <= len(above):
        apart, squared = unlike(above, below, 2 * k)
        doubt = max(doubt, apart**2 / squared if squared else 0.0)
        variance = k * _spacing(above, below, max(2 * k, _LEAST_SPREAD))
        if not variance:
            return edges  # a resolution too coarse to tell
        weight = variance**-SHARPNESS
        weights += weight
        moved += weight * ((above[k - 1] - below[k - 1]) / 2 - edges)
        k *= 2
    return edges + moved / weights * believed(doubt)


def believed(doubt: float) -> float:
    """How far both ways are taken for alike, 1 to 0; `doubt` is their difference in squared deviations."""
    return 1.0 / (1.0 + (doubt / _ALIKE**2) ** _GATE)


def unlike(above: Sequence[float], below: Sequence[float], count: int) -> tuple[float, float]:
    """How much farther the shortest `count` delays out spread than those back (ns); its variance if alike.

    A spread over `count` delays is a sum of count − 1 spacings, each as uncertain as it is long (Rényi).
    """
    out, back = above[count - 1] - above[0], below[count - 1] - below[0]
    return out - back, (out**2 + back**2) / (count - 1)


def _spacing(above: Sequence[float], below: Sequence[float], count: int) -> float:
    """The squared spacings (ns²) of the shortest `count` delays out and back, on average."""
    out, back = above[count - 1] - above[0], below[count - 1] - below[0]
    return (out**2 + back**2) / (count - 1) ** 2
