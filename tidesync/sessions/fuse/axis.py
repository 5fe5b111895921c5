"""The time axis, and the sensors' rows on it, pure but for the texts that are read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tidesync.errors import SettingsError
from tidesync.sessions.correction.timeline import STATES
from tidesync.sessions.fuse.pairing import NONE, Pairs, pair, reasons

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from tidesync.sessions.fuse.pairing import Method
    from tidesync.sessions.fuse.sensors import Sensor
    from topside_agent.estimator.blocks import Integers

MOST_INSTANTS = 50_000_000
NO_STATE, NO_ROW = -1, "none"
"""Of an instant without any sensor's row; and what it is counted as."""


class Manner(NamedTuple):
    """How rows are paired: an instant every `every_ns`, or at each row of the sensor `on`."""

    every_ns: int | None
    on: str | None
    tolerance_ns: int
    method: Method


@dataclass(frozen=True, slots=True)
class Fused:
    """The axis and, for each sensor, which rows are on it."""

    instants_ns: Integers
    sensors: Sequence[Sensor]
    pairs: Sequence[Pairs]
    method: Method
    unpaired: Sequence[Mapping[str, int]] = field(default_factory=list)
    """Of each sensor how many instants have none of its rows, by reason."""

    def max_error_ns(self, begin: int, end: int) -> Integers:
        """The greatest error of all sensors' rows at each instant from `begin` to `end`; 0 without a row."""
        errors = [each.times.max_error_ns for each in self.sensors]
        return self._worst(errors, 0, begin, end)

    def state(self, begin: int, end: int) -> Integers:
        """The worst state of all sensors' rows, a place in STATES; NO_STATE without a row."""
        return self._worst([each.times.state for each in self.sensors], NO_STATE, begin, end)

    def _worst(self, of_rows: Sequence[NDArray[Any]], void: int, begin: int, end: int) -> Integers:
        """The greatest value of the rows at each instant; `void` without one."""
        worst = np.full(end - begin, void, dtype=np.int64)
        for values, pairs in zip(of_rows, self.pairs, strict=True):
            for rows in (pairs.first[begin:end], pairs.last[begin:end]):
                taken = np.flatnonzero(rows != NONE)
                worst[taken] = np.maximum(worst[taken], values[rows[taken]])
        return worst

    def counts(self) -> dict[str, int]:
        """How many instants have which state; NO_ROW without any sensor's row. Together they are all."""
        states = self.state(0, self.instants_ns.size)
        counts = np.bincount(states - NO_STATE, minlength=len(STATES) + 1).tolist()
        return dict(zip((NO_ROW, *STATES), counts, strict=True))


def fused(sensors: Sequence[Sensor], manner: Manner) -> Fused:
    """The sensors on one axis; SettingsError where it would be too long, or its sensor is not there."""
    on = None if manner.on is None else _named(sensors, manner.on)
    if manner.every_ns is not None:
        instants = _grid(sensors, manner.every_ns)
    else:
        assert on is not None, "an axis is asked for"
        instants = on.times.topside_ns[on.times.rows_in_time()]
    found, unpaired = [], []
    for sensor in sensors:
        pairs = pair(sensor.times, instants, manner.tolerance_ns, manner.method)
        if sensor is on and manner.every_ns is None:
            rows = sensor.times.rows_in_time()  # each of them, also where two have the same instant
            pairs = Pairs(rows, rows, rows, np.zeros(rows.shape))
        found.append(pairs)
        unpaired.append(reasons(sensor.times, instants, pairs))
    return Fused(instants, sensors, found, manner.method, unpaired)


def _named(sensors: Sequence[Sensor], name: str) -> Sensor:
    for sensor in sensors:
        if sensor.name == name:
            return sensor
    known = ", ".join(sensor.name for sensor in sensors)
    raise SettingsError(f"--on: no sensor {name!r} can be corrected in this session (there are: {known})")


def _grid(sensors: Sequence[Sensor], every_ns: int) -> Integers:
    """The multiples of `every_ns` from the first row's instant to the last one's."""
    known = [each.times.topside_ns[each.times.known] for each in sensors if each.times.known.any()]
    if not known:
        return np.zeros(0, dtype=np.int64)
    first, last = min(int(each.min()) for each in known), max(int(each.max()) for each in known)
    begin, end = -(-first // every_ns), last // every_ns
    if end - begin >= MOST_INSTANTS:
        raise SettingsError(
            f"--every: {end - begin + 1:,} instants in this session; at most {MOST_INSTANTS:,} are made"
        )
    return np.arange(begin, end + 1, dtype=np.int64) * every_ns
