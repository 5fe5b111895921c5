"""What a session decides, to be done by the agent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from schemas.events import EventLine
    from schemas.exchange import Exchange
    from tidesync.sessions.recorder.resend import Resend


@dataclass(slots=True)
class Actions:
    """What the agent has to do after an update."""

    resend: list[Resend] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    """Sentences: which pieces of clock histories were given up."""
    refused: int = 0
    """Lines without room since the last update."""
    smooth: bool = False
    """The recording is complete: compute the track, then call `close`."""


@dataclass(frozen=True, slots=True)
class NewLines:
    """What of a batch is new and is to be written."""

    exchanges: list[Exchange] = field(default_factory=list)
    events: list[EventLine] = field(default_factory=list)
