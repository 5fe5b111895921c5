"""Topside's UDP transport: a socket for each address family and one thread, for all vehicles."""

from __future__ import annotations

import threading
from collections import Counter, deque
from functools import partial
from typing import TYPE_CHECKING

from runtime.faults import FaultLog
from runtime.flood import FloodBrake
from runtime.hardware_socket import HardwareSocket
from runtime.hardware_stamp_clock import HardwareStampClock
from runtime.stamp_clock import SAMPLE_S, StampClock
from runtime.stamped_socket import StampedSocket
from runtime.watchdog import Loop
from schemas.datagram import SIZE, parse_answer
from topside_agent.measuring.scheduler import DeadlineQueue
from topside_agent.udp.path import DirectPath
from topside_agent.udp.sockets import Sockets

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.clock import Clock
    from runtime.stamp_clock import Look
    from topside_agent.udp.interface import DirectExchange, PathCounts, PathState, PathTerms, Report
    from topside_agent.udp.path import ToSend

_IDLE_S, _STOP_S, _PAUSE_S = 1.0, 1.0, 0.1
_SAMPLE_NS = round(SAMPLE_S * 1e9)


class UdpTransport:
    """Every method may be called from any thread and returns at once; `report` is called in its own."""

    def __init__(self, clock: Clock, report: Report, *, hardware: bool = False) -> None:
        """`clock` is the agent's: all stamps are its RAW, a simulated one's too.

        `hardware`: have the network hardware stamp datagrams, where it can.
        """
        self.loop = Loop("the UDP transport")
        """The loop that the watchdog watches."""
        self.generation = 0
        """Exchanges of another one are of before this computer slept."""
        self._clock = HardwareStampClock(clock) if hardware else StampClock(clock)
        self._look = self._clock.look()
        self._heard = False
        """Whether an answer came since the last look."""
        self._sockets = Sockets(clock, HardwareSocket if hardware else StampedSocket)
        self._report = report
        self._paths: dict[str, DirectPath] = {}
        self._sessions: dict[int, DirectPath] = {}
        self._deadlines = DeadlineQueue()
        self._commands: deque[Callable[[], list[DirectExchange | PathState]]] = deque()
        self._events: list[DirectExchange | PathState] = []
        self._refused: Counter[str] = Counter()
        self._brake = FloodBrake()
        self._faults = FaultLog()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="udp", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, within a second; what is unfinished is reported first."""
        self._stopping.set()
        self._sockets.wake()
        if self._thread.ident is None:
            self._close()
        else:
            self._thread.join(_STOP_S)

    def measure(self, vehicle: str, terms: PathTerms) -> None:
        """Measure `vehicle` from now on; with new terms while it is measured already, go on with those.

        The address in use is kept if the new terms have it. What is under way of the old session is finished.
        """
        self._command(partial(self._measure, vehicle, terms))

    def forget(self, vehicle: str) -> None:
        """Measure it no more; reports what is unfinished, and `PathState(…, alive=False, "stopped")`."""
        self._command(partial(self._forget, vehicle))

    def burst(self, vehicle: str) -> None:
        """Make sixteen exchanges as soon as possible, if the path is alive."""
        self._command(partial(self._burst, vehicle))

    def slept(self) -> None:
        """This computer slept, as the agent noticed: exchanges of before have another `generation`."""
        self.generation += 1

    def counts(self) -> dict[str, PathCounts]:
        """A snapshot, by vehicle."""
        return {vehicle: path.counts for vehicle, path in list(self._paths.items())}

    @property
    def refused(self) -> dict[str, int]:
        """Datagrams that belong to no vehicle's session, by reason."""
        return dict(self._refused)

    # Commands, in the transport's thread

    def _command(self, command: Callable[[], list[DirectExchange | PathState]]) -> None:
        self._commands.append(command)
        self._sockets.wake()

    def _measure(self, vehicle: str, terms: PathTerms) -> list[DirectExchange | PathState]:
        now_ns = self._clock.raw_ns()
        events: list[DirectExchange | PathState] = []
        path = self._paths.get(vehicle)
        if path is None:
            path = self._paths[vehicle] = DirectPath(vehicle, terms, now_ns)
        else:
            events += path.renew(terms, now_ns)
        self._sessions = {session: each for each in self._paths.values() for session in each.sessions}
        self._deadlines.set(vehicle, now_ns)
        return events

    def _forget(self, vehicle: str) -> list[DirectExchange | PathState]:
        path = self._paths.pop(vehicle, None)
        if path is None:
            return []
        self._deadlines.forget(vehicle)
        for session in path.sessions:
            self._sessions.pop(session, None)
        state = path.end()
        return [*path.settle(self._take_look(self._clock.raw_ns()), self._clock), state]

    def _burst(self, vehicle: str) -> list[DirectExchange | PathState]:
        if path := self._paths.get(vehicle):
            path.burst(self._clock.raw_ns())
            self._deadlines.set(vehicle, path.due_ns)
        return []

    # The transport's thread

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.loop.iterations += 1
            try:
                self._turn()
            except Exception as error:  # noqa: BLE001 - one datagram must not end the transport
                now_ns = self._clock.raw_ns()
                self._faults.note(error, "the UDP transport: an internal fault", now_ns)
                self._stopping.wait(_PAUSE_S)
                for vehicle in self._paths:  # none is left without a deadline
                    self._deadlines.set(vehicle, now_ns)
        for vehicle in list(self._paths):
            self._events += self._forget(vehicle)
        if self._events:
            self._report(self._events)
        self._close()

    def _close(self) -> None:
        self._sockets.close()
        self._clock.close()

    def _turn(self) -> None:
        """Wait, take what arrived, serve what is due, report what came of it."""
        for used in self._sockets.wait(self._wait_s()):
            self._receive(used)
        while self._commands:
            self._events += self._commands.popleft()()
        now_ns = self._clock.raw_ns()
        if self._paths and now_ns - self._look.raw_ns >= _SAMPLE_NS:
            self._take_look(now_ns)
        while vehicle := self._deadlines.pop(now_ns):
            self._serve(self._paths[vehicle], now_ns)
        if self._events:
            events, self._events = self._events, []
            self._report(events)

    def _wait_s(self) -> float:
        if not self._paths:
            return _IDLE_S
        due_ns = min(self._deadlines.due_ns, self._look.raw_ns + _SAMPLE_NS)
        return min(max(0.0, (due_ns - self._clock.raw_ns()) / 1e9), _IDLE_S)

    def _receive(self, used: StampedSocket) -> None:
        received = used.receive(SIZE + 1)
        now_ns = self._clock.raw_ns()
        if received is None:
            used.collect(-1)
            return
        data, stamp_ns, _ = received
        answer = parse_answer(data)
        path = None if answer is None else self._sessions.get(answer.session)
        if answer is None or path is None:
            self._refused["length" if len(data) != SIZE else "kind" if answer is None else "session"] += 1
            self._refuse(now_ns)
            return
        states = path.answered(data, answer, stamp_ns, now_ns)
        if isinstance(states, str):
            self._refuse(now_ns)
            return
        self._events += states
        self._heard = True
        self._serve(path, self._clock.raw_ns())

    def _refuse(self, now_ns: int) -> None:
        if pause_s := self._brake.refused(now_ns):
            self._stopping.wait(pause_s)

    def _serve(self, path: DirectPath, now_ns: int) -> None:
        to_send, states = path.serve(now_ns)
        self._events += states
        for each in to_send:
            self._send(path, each)
        if path.has_finished and (not to_send or path.holds_many):
            look = self._take_look(now_ns) if self._heard else self._look
            self._events += path.settle(look, self._clock)
        self._deadlines.set(path.vehicle, path.due_ns)

    def _send(self, path: DirectPath, to_send: ToSend) -> None:
        before_ns = self._clock.raw_ns()
        sent = self._sockets.send(to_send.data, to_send.address)
        if sent is None:
            path.was_not_sent(to_send)
        else:
            used, number = sent
            look, generation = self._look, self.generation
            path.was_sent(to_send, number, used, sent_ns=before_ns, look=look, generation=generation)

    def _take_look(self, now_ns: int) -> Look:
        self._heard = False
        before, self._look = self._look, self._clock.look(now_ns)
        if before.slept_ns != self._look.slept_ns:
            for path in self._paths.values():
                path.slept()
        return self._look
