"""What the panels of the report's figure show at first, pure: decades of delays, the band at most times."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tidesync.figures import counted
from tidesync.sessions.report.layout import BAND_TITLE

if TYPE_CHECKING:
    from tidesync.sessions.report.layout import Json
    from topside_agent.estimator.blocks import Floats, Integers

_MOST_TIMES = (0.05, 0.95)
_FAR = 4.0
"""A band this many times as high as it is at most times would be read as a line with needles."""
_MARGIN = 0.25
_MOST_NUMBERS = 4
"""Of decades, above the first: on paper there is no room for more."""
_LEAST_NS = 100
"""A lesser delay, as from a clock that is read coarsely, is below the panel."""


def fit_band(panels: Json, lower_ns: Floats, upper_ns: Floats) -> None:
    """Show the band as it is at most times, if it is far wider elsewhere; the title then says so."""
    if not lower_ns.size:
        return
    least, greatest = np.quantile(lower_ns, _MOST_TIMES[0]), np.quantile(upper_ns, _MOST_TIMES[1])
    height = greatest - least
    if upper_ns.max() - lower_ns.min() <= _FAR * height:
        return
    bottom, top = least - _MARGIN * height, greatest + _MARGIN * height
    panels["yaxis2"]["range"] = [bottom / 1e6, top / 1e6]
    beyond = counted(int(((lower_ns < bottom) | (upper_ns > top)).sum()), "exchange")
    for text in panels["annotations"]:
        if text["text"] == BAND_TITLE:
            text["text"] += f", cut at {beyond}"


def fit_delays(panels: Json, delays_ns: Integers) -> None:
    """Whole decades: two of their numbers or more are beside the axis, of many each second one."""
    positive = delays_ns[delays_ns >= _LEAST_NS] / 1e6
    if positive.size:
        first, last = math.floor(math.log10(positive.min())), math.ceil(math.log10(positive.max()))
        last = max(last, first + 1)
        panels["yaxis4"] |= {"range": [first, last], "dtick": math.ceil((last - first) / _MOST_NUMBERS)}
