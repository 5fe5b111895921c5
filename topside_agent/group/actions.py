"""What a member of a group is to do about one vehicle, as its decisions say."""

from __future__ import annotations

from typing import NamedTuple


class Take(NamedTuple):
    """Measure the vehicle from now on."""

    vehicle: str


class Release(NamedTuple):
    """Measure it no longer: `to` does."""

    vehicle: str
    to: str


class Follow(NamedTuple):
    """Keep the exchanges that others make with the vehicle, as its standby."""

    vehicle: str


class Unfollow(NamedTuple):
    """Keep them no longer."""

    vehicle: str


class Watch(NamedTuple):
    """Give the results of topside `successor` to `heard`."""

    vehicle: str
    successor: str


class Unwatch(NamedTuple):
    """They are needed no longer."""

    vehicle: str
    successor: str


Action = Take | Release | Follow | Unfollow | Watch | Unwatch
