"""Who measures what in a group, as one member decides it by what it hears, pure: no leader, no agreement.

Every member ranks those that are there for each vehicle. The first measures it; one that has just come does
so after it has listened for a while, and until then the next one stands in. Whoever measures a vehicle that
is another's goes on until that one is settled and locked. So a vehicle may be measured twice for some
seconds, which makes no result wrong, rather than not at all. In two halves of a divided broker each half
measures every vehicle. One that was stopped or cut off leaves its vehicles to those who took them meanwhile,
at once, and listens as one that has just come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from topside_agent.group.actions import Follow, Release, Take, Unfollow, Unwatch, Watch
from topside_agent.group.members import LIVENESS_NS, SETTLED_NS
from topside_agent.group.ownership import ranked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from topside_agent.group.actions import Action
    from topside_agent.group.members import Peer

LISTEN_NS = LIVENESS_NS
"""Whoever has just come, or has heard nothing for a while, listens for so long before it takes a vehicle."""
STANDS_IN_NS = 5_000_000_000
"""Then it takes vehicles of one that still listens: those that nobody has, since their owner has gone."""
PATIENCE_NS = 1_000_000_000
"""A successor that is locked for so long is good enough, however wide its bound."""
REPLACED_NS = 3_500_000_000
"""Whoever may have missed the others for so long was not heard by them either: they have its vehicles."""
_ASKED_NS = 1_250_000_000
"""By then each of them has said whether it was away as well: then nobody has, and nobody waits."""
_SETTLING_NS = 6_000_000_000
"""Whoever came less long ago may not have taken what the others have left."""
_WIDER = 2.0
"""Else its bound is to be no wider than this many times one's own."""
_FRESH_NS, _MISSED = 3_000_000_000, 2.5
_MOST_VEHICLES = 10_000


class OwnResult(NamedTuple):
    """One's own last result of a vehicle: whether it tells an offset to rely on, and its max error."""

    useful: bool
    max_error_ms: float | None


class _Heard(NamedTuple):
    topside: str
    instance_id: str | None
    locked_since_ns: int | None
    fresh_until_ns: int
    max_error_ms: float | None


class _View(NamedTuple):
    """What a decision rests on; the same view decides the same."""

    weights: tuple[tuple[str, float], ...]
    settled: frozenset[str]
    measuring: frozenset[str]
    """Those that have listened, and oneself once all that came together with it have."""
    listening: bool
    instances: tuple[str, ...]
    near: frozenset[str]


class Decisions:
    """One member's; whoever calls a method that returns actions performs them, in their order."""

    def __init__(self, group: str, topside: str, weight: float) -> None:
        self._group, self._topside, self._weight = group, topside, weight
        self.measured: set[str] = set()
        """The vehicles that this member measures."""
        self._known: dict[str, None] = {}
        self._followed: set[str] = set()
        self._watched: dict[str, str] = {}
        self._heard: dict[str, _Heard] = {}
        self._since_ns: int | None = None
        self._listen_until_ns = 0
        self._together_ns: int | None = None
        """When others were there last."""
        self._ask_ns: int | None = None
        """When to look whether all were away."""
        self._view: _View | None = None

    # What happens

    def arrived(self, now_ns: int, missed_ns: int) -> None:
        """One's own heartbeats begin, or begin again: for so long those of others may have been missed."""
        if self._since_ns is None or missed_ns >= LIVENESS_NS:
            self._since_ns = now_ns
        self._listen_until_ns = now_ns + LISTEN_NS
        together_ns = self._together_ns
        if self._ask_ns is not None or (
            missed_ns >= REPLACED_NS
            and together_ns is not None
            and now_ns - missed_ns - together_ns <= LIVENESS_NS
        ):
            self._ask_ns = now_ns + _ASKED_NS

    def online(self, vehicle: str) -> None:
        """A vehicle is there."""
        if vehicle not in self._known and len(self._known) < _MOST_VEHICLES:
            self._known[vehicle] = None
            self._view = None

    def forget(self, vehicle: str) -> list[Action]:
        """A vehicle is gone for good, and not measured any more."""
        self._known.pop(vehicle, None)
        self.measured.discard(vehicle)
        return [*self._unfollow(vehicle), *self._unwatch(vehicle)]

    def heard(
        self,
        vehicle: str,
        topside: str,
        instance_id: str | None,
        now_ns: int,
        *,
        locked: bool,
        max_error_ms: float | None,
        interval_s: float | None,
    ) -> None:
        """A result that another topside has just published."""
        if self._watched.get(vehicle) != topside:
            return
        before = self._heard.get(vehicle)
        same = before is not None and before.instance_id == instance_id
        since_ns = (
            before.locked_since_ns if before and same and before.locked_since_ns is not None else now_ns
        )
        lasts_ns = max(_FRESH_NS, round(_MISSED * (interval_s or 0.0) * 1e9))
        self._heard[vehicle] = _Heard(
            topside, instance_id, since_ns if locked else None, now_ns + lasts_ns, max_error_ms
        )

    # What follows

    def listening(self, now_ns: int) -> bool:
        """Whether no vehicle is to be taken yet."""
        return now_ns < self._listen_until_ns

    def settling(self, now_ns: int) -> bool:
        """Whether this member has come, or come back, so lately that others are not to count on it."""
        return self._since_ns is None or now_ns - self._since_ns < _SETTLING_NS

    @property
    def held(self) -> int:
        """How many vehicles it measures only until their owner has settled."""
        return len(self._watched)

    def is_anothers(self, vehicle: str) -> bool:
        """Whether another topside is to measure a vehicle that is there."""
        several = self._view is not None and len(self._view.weights) > 1
        return several and vehicle in self._known and vehicle not in self.measured

    def decide(
        self,
        now_ns: int,
        present: Mapping[str, Peer],
        near: frozenset[str],
        own: Callable[[str], OwnResult],
    ) -> list[Action]:
        """What is to be done now; `present` are the others, `own` one's own results.

        `near` are those of the others whose exchanges are of use: their RAW clock is this one's.
        """
        if self._since_ns is None:
            return []
        self._note(now_ns, present)
        view = self._look(now_ns, present, near)
        actions: list[Action] = []
        for vehicle in sorted(self.measured) if self._ask_ns is not None else ():
            actions += self._release(vehicle, self._heir(vehicle, view), view)
        if view != self._view:
            self._view = view
            for vehicle in self._known:
                actions += self._decide(vehicle, view)
        for vehicle, successor in list(self._watched.items()):
            peer = present.get(successor)
            if peer is not None and self._ready(vehicle, peer, now_ns, own):
                actions += self._release(vehicle, successor, view)
        return actions

    def _note(self, now_ns: int, present: Mapping[str, Peer]) -> None:
        """When others were there last; and whether one that was away need not wait for any of them."""
        if present:
            self._together_ns = now_ns
        if self._ask_ns is not None and now_ns >= self._ask_ns:
            self._ask_ns = None
            if all(peer.settling for peer in present.values()):
                self._listen_until_ns = now_ns

    def _look(self, now_ns: int, present: Mapping[str, Peer], near: frozenset[str]) -> _View:
        own_ns = now_ns - (self._since_ns or 0)
        settled = {name for name, peer in present.items() if peer.settled(now_ns)}
        measuring = {name for name, peer in present.items() if now_ns - peer.since_ns >= LISTEN_NS}
        if own_ns >= SETTLED_NS:
            settled.add(self._topside)
        if own_ns >= STANDS_IN_NS:
            measuring.add(self._topside)
        weights = {name: peer.member.weight for name, peer in present.items()}
        weights[self._topside] = self._weight
        return _View(
            weights=tuple(sorted(weights.items())),
            settled=frozenset(settled),
            measuring=frozenset(measuring),
            listening=self.listening(now_ns),
            instances=tuple(present[name].member.instance_id for name in sorted(present)),
            near=near,
        )

    def _decide(self, vehicle: str, view: _View) -> Iterator[Action]:
        order = ranked(self._group, vehicle, dict(view.weights))
        first_settled = next((name for name in order if name in view.settled), order[0])
        first_measuring = next((name for name in order if name in view.measuring), order[0])
        mine = self._topside in {order[0], first_measuring}
        if mine and vehicle not in self.measured and not view.listening:
            self.measured.add(vehicle)
            yield Take(vehicle)
        if vehicle in self.measured and order[0] != self._topside:
            stands_in = mine or first_settled == self._topside
            yield from self._watch(vehicle, order[0] if stands_in else first_settled)
        else:
            yield from self._unwatch(vehicle)
        if vehicle in self.measured or self._topside not in order[:2]:
            yield from self._unfollow(vehicle)
        elif view.near:  # who follows goes on although nobody is heard for a moment
            yield from self._follow(vehicle)

    def _ready(self, vehicle: str, peer: Peer, now_ns: int, own: Callable[[str], OwnResult]) -> bool:
        """Whether the vehicle can be left to `peer` without a loss."""
        if not peer.settled(now_ns):
            return False
        mine, heard = own(vehicle), self._heard.get(vehicle)
        if not mine.useful:
            return True
        if (
            heard is None
            or heard.instance_id != peer.member.instance_id
            or heard.locked_since_ns is None
            or now_ns >= heard.fresh_until_ns
        ):
            return False
        narrow = None not in {mine.max_error_ms, heard.max_error_ms} and (heard.max_error_ms or 0.0) <= (
            _WIDER * (mine.max_error_ms or 0.0)
        )
        return narrow or now_ns - heard.locked_since_ns >= PATIENCE_NS

    def _release(self, vehicle: str, successor: str, view: _View) -> Iterable[Action]:
        self.measured.discard(vehicle)
        return [Release(vehicle, successor), *self._unwatch(vehicle), *self._decide(vehicle, view)]

    def _heir(self, vehicle: str, view: _View) -> str:
        """Who has taken it, of those that are there; they may not have been heard yet."""
        order = ranked(self._group, vehicle, dict(view.weights))
        return next((name for name in order if name != self._topside), "another topside")

    def _follow(self, vehicle: str) -> Iterator[Action]:
        if vehicle not in self._followed:
            self._followed.add(vehicle)
            yield Follow(vehicle)

    def _unfollow(self, vehicle: str) -> Iterator[Action]:
        if vehicle in self._followed:
            self._followed.discard(vehicle)
            yield Unfollow(vehicle)

    def _watch(self, vehicle: str, successor: str) -> Iterator[Action]:
        if self._watched.get(vehicle) != successor:
            yield from self._unwatch(vehicle)
            self._watched[vehicle] = successor
            yield Watch(vehicle, successor)

    def _unwatch(self, vehicle: str) -> Iterator[Action]:
        self._heard.pop(vehicle, None)
        if vehicle in self._watched:
            yield Unwatch(vehicle, self._watched.pop(vehicle))
