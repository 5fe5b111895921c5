"""What an account may publish and read, pure: the topic table with the account's own name filled in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas import topics

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from schemas.topic_kind import Role, TopicKind


@dataclass(frozen=True, slots=True)
class Permissions:
    """Topic filters, in the table's order; what is in neither is forbidden."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]

    @property
    def of_pings(self) -> Permissions:
        """Those of them that concern pings and pongs."""
        return Permissions(
            tuple(filter(topics.concerns_pings, self.publish)),
            tuple(filter(topics.concerns_pings, self.subscribe)),
        )


_HOMEASSISTANT = "homeassistant/device/+/config"
"""Where topsides announce vehicles to Home Assistant, and where it looks. Not ours, so not in the table."""
_NOT_FOR_PAIR = (topics.OFFSET, topics.TOPSIDE_MEMBER)


def permissions(
    root: str,
    role: Role,
    name: str,
    *,
    topsides: Sequence[str],
    may_forget: bool = False,
    homeassistant: bool = False,
    blueos_mirror: bool = False,
    for_pair: Sequence[str] = (),
) -> Permissions:
    """The rights of the account `name`: vehicles and topsides use their own name in topics only.

    Topsides read of one another what those of a group share a fleet by.

    A vehicle answers `topsides`, and no one else: an account that may write `pong/+` could make the broker
    keep a message for any number of names.

    `may_forget` adds what `tidesync forget` clears: all that is retained of vehicles and topsides. An account
    that may publish an empty message may publish any other, so it can impersonate every vehicle.
    `homeassistant` lets topsides announce to Home Assistant, and others read it; `blueos_mirror` lets a
    topside publish its own flat results for BlueOS, and others read them. A topside `for_pair` measures these
    vehicles alone and publishes no result: it runs on a vehicle's computer, whose clock is not the surface's.
    """
    own: dict[str, str] = {role: name} if role in {"vehicle", "topside"} else {}
    sent = [kind for kind in topics.TOPICS if role in kind.senders or (may_forget and _is_forgotten(kind))]
    if for_pair:
        sent = [kind for kind in sent if kind not in _NOT_FOR_PAIR]
    shared = [kind for kind in topics.TOPICS if kind.group and role == "topside"]
    read = [kind for kind in topics.TOPICS if role in kind.readers and kind not in shared]
    announces = may_forget or (homeassistant and role == "topside")
    reads_announcements = may_forget or (homeassistant and role != "topside")
    mirrors, mirrored = blueos_mirror and role == "topside", blueos_mirror and role != "topside"
    return Permissions(
        (
            *_sent(root, sent, own, topsides, for_pair),
            *[_HOMEASSISTANT] * announces,
            *[topics.blueos_mirror(name)] * mirrors,
        ),
        (
            *(topics.subscription(root, kind, **own) for kind in read),
            *(topics.subscription(root, kind) for kind in shared),
            *[_HOMEASSISTANT] * reads_announcements,
            *[topics.blueos_mirror()] * mirrored,
        ),
    )


def _sent(
    root: str,
    kinds: Sequence[TopicKind],
    own: dict[str, str],
    topsides: Sequence[str],
    vehicles: Sequence[str],
) -> Iterator[str]:
    for kind in kinds:
        if kind in topics.ADDRESSED:
            yield from (topics.subscription(root, kind, **own, topside=topside) for topside in topsides)
        elif vehicles and "{vehicle}" in kind.template:
            yield from (topics.subscription(root, kind, **own, vehicle=vehicle) for vehicle in vehicles)
        else:
            yield topics.subscription(root, kind, **own)


def _is_forgotten(kind: TopicKind) -> bool:
    return kind.retain and ("{vehicle}" in kind.template or "{topside}" in kind.template)
