"""The live screen's loop: takes letters, draws, and restores the terminal however it ends."""

from __future__ import annotations

import sys
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live

from runtime.clock import SystemClock, read
from runtime.system_modules import if_present
from schemas import topics
from schemas.messages import Event, OffsetResult
from tidesync.figures import span
from tidesync.fleet.model import Fleet
from tidesync.terminal.listener import BrokerChange, Ended, Listener
from tidesync.terminal.text import clock_of, plain_line
from tidesync.terminal.view import View, draw

if TYPE_CHECKING:
    from collections.abc import Iterator

    from broker.inbox import Letter
    from runtime.clock import Reading

_REFRESH_S = 0.25
_MOST_LINES = 100


def show(listener: Listener, ended: Ended) -> None:
    """Draw until `ended`; in the alternate screen, so that a change of size leaves nothing behind."""
    console, screen = Console(), Screen(listener)
    with unseen_interrupt(), Live(console=console, screen=True, auto_refresh=False) as live:
        while not ended.is_set():
            if listener.failure:
                raise listener.failure
            screen.gather(_REFRESH_S)
            size = console.size
            live.update(draw(screen.view(), size.width, size.height), refresh=True)


@contextmanager
def unseen_interrupt() -> Iterator[None]:
    """Keep the terminal from printing `^C`: where it wraps, the table would be drawn once more below."""
    termios = if_present("termios")
    if termios is None:  # Windows, whose terminal prints none
        yield
        return
    try:
        before = termios.tcgetattr(sys.stdin)
    except (OSError, ValueError, termios.error):  # no terminal
        yield
        return
    local_modes = 3
    quiet = [*before]
    quiet[local_modes] = before[local_modes] & ~termios.ECHOCTL
    termios.tcsetattr(sys.stdin, termios.TCSADRAIN, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


class Screen:
    """What the screen shows, from what was heard."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._clock = SystemClock()
        self._fleet = Fleet()
        self._lines: deque[str] = deque(maxlen=_MOST_LINES)
        self._problem: str | None = "connecting"
        self._refused = False
        self._problem_since_ns = self._clock.raw_ns()

    def gather(self, seconds: float) -> None:
        """Take what arrives within `seconds`; return at once when the connection changes."""
        until_ns = self._clock.raw_ns() + round(seconds * 1e9)
        while (left_ns := until_ns - self._clock.raw_ns()) > 0:
            heard = self._listener.next(left_ns / 1e9)
            if isinstance(heard, BrokerChange):
                self._changed(heard)
                return
            if heard is not None:
                self._take(heard)

    def view(self) -> View:
        """What to draw now."""
        now = read(self._clock)
        unshown = self._fleet.unshown
        where = f"{self._listener.connection.address}   {clock_of(now.realtime_ns)} here"
        return View(
            f"Vehicle clocks, Pi − topside   {where}",
            self._away(now),
            self._fleet.rows(now),
            [entry.shown(now) for entry in self._fleet.sessions() if entry.lasts],
            tuple(self._lines),
            (f"{unshown} vehicles are not shown: there is no room for more",) if unshown else (),
        )

    def _away(self, now: Reading) -> str | None:
        if self._problem is None:
            return None
        since_s = (now.raw_ns - self._problem_since_ns) / 1e9
        if self._problem == "connecting":
            return f"connecting to {self._listener.connection.address}, {since_s:.0f} s"
        if self._refused:
            return self._problem
        return f"BROKER AWAY for {span(since_s)}: {self._problem}; numbers are old"

    def _changed(self, change: BrokerChange) -> None:
        self._problem, self._problem_since_ns = change.problem, self._clock.raw_ns()
        self._refused = change.refused
        text = "connected to the broker" if change.connected else "broker away"
        self._lines.append(f"{clock_of(self._clock.realtime_ns())} {text}")

    def _take(self, letter: Letter) -> None:
        measured = (letter.topic.vehicle or "", letter.topic.topside or "")
        before = self._fleet.result(*measured)
        new = self._fleet.take(letter) == "new"
        if isinstance(letter.body, OffsetResult):
            self._note_change(before, self._fleet.result(*measured), letter)
        elif new and not letter.incoming.retain and _worth_a_line(letter):
            self._lines.append(plain_line(letter))

    def _note_change(self, before: OffsetResult | None, result: OffsetResult | None, letter: Letter) -> None:
        if before and result and before.state != result.state:
            at = clock_of(letter.incoming.received.realtime_ns)
            reason = f" ({result.error})" if result.error else ""
            self._lines.append(f"{at} {result.vehicle}: {before.state} → {result.state}{reason}")


def _worth_a_line(letter: Letter) -> bool:
    return isinstance(letter.body, Event) or letter.topic.kind in (topics.STATUS, topics.TOPSIDE_STATUS)
