"""The live screen's loop: takes what is heard, draws, and gives the terminal back whatever happens."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live

from runtime.clock import SystemClock, read
from schemas import topics
from schemas.messages import Event, OffsetResult
from tidesync.fleet.rows import Fleet
from tidesync.terminal.figures import span
from tidesync.terminal.keys import unseen_interrupt
from tidesync.terminal.lines import clock_of, plain_line
from tidesync.terminal.listener import BrokerChange, Listener
from tidesync.terminal.view import Scene, draw

if TYPE_CHECKING:
    import threading

    from broker.inbox import Letter
    from runtime.clock import Reading

_REFRESH_S = 0.25
_REMEMBERED = 100


def show(listener: Listener, ended: threading.Event) -> None:
    """Draw until `ended`; on the terminal's other screen, so that a change of size leaves nothing behind."""
    console, stage = Console(), Stage(listener)
    with unseen_interrupt(), Live(console=console, screen=True, auto_refresh=False) as live:
        while not ended.is_set():
            if listener.failure:
                raise listener.failure
            stage.gather(_REFRESH_S)
            size = console.size
            live.update(draw(stage.scene(), size.width, size.height), refresh=True)


class Stage:
    """What the screen shows, from what was heard."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._clock = SystemClock()
        self._fleet = Fleet()
        self._states: dict[tuple[str, str], str] = {}
        self._happened: deque[str] = deque(maxlen=_REMEMBERED)
        self._away: str | None = "connecting"
        self._away_since_ns = self._clock.raw_ns()

    def gather(self, seconds: float) -> None:
        """Take what comes within `seconds`; a change of the connection is shown at once."""
        until_ns = self._clock.raw_ns() + round(seconds * 1e9)
        while (left_ns := until_ns - self._clock.raw_ns()) > 0:
            heard = self._listener.next(left_ns / 1e9)
            if isinstance(heard, BrokerChange):
                self._changed(heard)
                return
            if heard is not None:
                self._take(heard)

    def scene(self) -> Scene:
        """What there is to be seen now."""
        now = read(self._clock)
        sessions = [state for state in self._fleet.sessions.values() if state.state != "stopped"]
        where = f"{self._listener.connection.address}   {clock_of(now.realtime_ns)}"
        return Scene(
            f"Vehicle clocks, Pi − topside   {where}",
            self._told_away(now),
            self._fleet.rows(now),
            sessions,
            tuple(self._happened),
        )

    def _told_away(self, now: Reading) -> str | None:
        if self._away is None:
            return None
        since_s = (now.raw_ns - self._away_since_ns) / 1e9
        if self._away == "connecting":
            return f"connecting to {self._listener.connection.address}, {since_s:.0f} s"
        return f"BROKER AWAY for {span(since_s)}: {self._away}; numbers are old"

    def _changed(self, change: BrokerChange) -> None:
        self._away, self._away_since_ns = change.problem, self._clock.raw_ns()
        word = "broker away" if change.problem else "connected to the broker"
        self._happened.append(f"{clock_of(self._clock.realtime_ns())} {word}")

    def _take(self, letter: Letter) -> None:
        new = self._fleet.take(letter)
        if isinstance(letter.body, OffsetResult):
            self._note_state(letter, letter.body)
        elif new and not letter.incoming.retain and self._worth_a_line(letter):
            self._happened.append(plain_line(letter))

    def _worth_a_line(self, letter: Letter) -> bool:
        kinds = (topics.STATUS, topics.TOPSIDE_STATUS)
        return isinstance(letter.body, Event) or letter.topic.kind in kinds

    def _note_state(self, letter: Letter, result: OffsetResult) -> None:
        key = (result.vehicle, result.topside)
        before, self._states[key] = self._states.get(key), result.state
        if before not in {None, result.state}:
            at = clock_of(letter.incoming.received.realtime_ns)
            why = f" ({result.error})" if result.error else ""
            self._happened.append(f"{at} {result.vehicle}: {before} → {result.state}{why}")
