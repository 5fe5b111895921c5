"""What an account may publish and read, pure: the topic table with the account's own name filled in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas import topics

if TYPE_CHECKING:
    from schemas.topics import Role


@dataclass(frozen=True, slots=True)
class Permissions:
    """Topic filters, in the table's order; what is in neither is forbidden."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def permissions(root: str, role: Role, name: str, *, may_forget: bool = False) -> Permissions:
    """The rights of the account `name`: a vehicle or topside stands in its topics under its own name alone.

    `may_forget` adds what `tidesync forget` clears: every retained topic. Nobody who cannot write an empty
    message can be kept from writing another, so such an account can speak for anyone.
    """
    own = {role: name} if role in {"vehicle", "topside"} else {}
    sent = [kind for kind in topics.TOPICS if role in kind.senders or (may_forget and kind.retain)]
    read = [kind for kind in topics.TOPICS if role in kind.readers]
    return Permissions(
        tuple(topics.subscription(root, kind, **own) for kind in sent),
        tuple(topics.subscription(root, kind, **own) for kind in read),
    )
