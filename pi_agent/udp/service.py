"""The vehicle's UDP service: one socket and one thread, which answer the datagrams of agreed sessions."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from pi_agent.udp.answerer import Answerer
from pi_agent.udp.interface import UdpCounts
from runtime.faults import FaultLog
from runtime.flood import FloodBrake
from runtime.hardware_socket import HardwareSocket
from runtime.hardware_stamp_clock import HardwareStampClock
from runtime.stamp_clock import SAMPLE_S, StampClock
from runtime.stamped_socket import StampedSocket, listening
from runtime.watchdog import Loop
from schemas.datagram import SIZE

if TYPE_CHECKING:
    from pi_agent.udp.interface import SessionTerms
    from runtime.clock import Clock
    from runtime.realtime_line import RawStamp
    from runtime.stamped_socket import SocketAddress

_STOP_S = 1.0
_SAMPLE_NS = round(SAMPLE_S * 1e9)
_PAUSE_S = 0.1


class _Departures:
    """The transmit stamps of one socket, on the agent's RAW."""

    def __init__(self, stamped: StampedSocket, clock: StampClock) -> None:
        self._socket, self._clock = stamped, clock
        self.are_known = False
        """Whether the last one that was asked for was."""

    def departed(self, number: int, sent_raw_ns: int) -> RawStamp | None:
        stamp_ns = self._socket.left(number)
        stamp = self._clock.departed_at(stamp_ns, sent_raw_ns) if stamp_ns else None
        self.are_known = stamp is not None
        return stamp


class UdpService:
    """Every method may be called from any thread; nothing is called back.

    `clock` is the agent's: all stamps are its RAW, a simulated one's too.
    """

    def __init__(self, clock: Clock, *, host: str = "", port: int = 0, hardware: bool = False) -> None:
        """Take the port (0: one that is free), of `host` or of all addresses, IPv4 and IPv6.

        `hardware`: have the network hardware stamp datagrams, where it can. Raises ListenError where the
        port cannot be had.
        """
        self._socket = listening("--udp-port", host, port, HardwareSocket if hardware else StampedSocket)
        self._socket.wait_at_most(SAMPLE_S)
        self.port: int = self._socket.socket.getsockname()[1]
        """The UDP port."""
        self.refused = self._socket.refused
        """Why the kernel gives no stamps; None if it accepted the request."""
        self.loop = Loop("the UDP service")
        """The loop that the watchdog watches."""
        self._answerer = Answerer()
        self._clock = HardwareStampClock(clock) if hardware else StampClock(clock)
        self._departures = _Departures(self._socket, self._clock)
        self._kernel_receive = False
        self._looked_ns = 0
        self._brake = FloodBrake()
        self._faults = FaultLog()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="udp", daemon=True)

    def start(self) -> None:
        """Begin to answer; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and release the port, within a second."""
        self._stopping.set()
        if self._thread.ident is None:
            self._close()
        else:
            self._thread.join(_STOP_S)

    def open(self, session: SessionTerms) -> None:
        """Answer this session from now on; of one topside the last two sessions are kept.

        The second last is kept so that what is under way when a key is renewed is still answered.
        """
        self._answerer.open(session)

    def close(self, number: int) -> None:
        """Answer this session no more."""
        self._answerer.close(number)

    def counts(self) -> UdpCounts:
        """A snapshot."""
        answerer = self._answerer
        stamps = self._kernel_receive, self._departures.are_known
        return UdpCounts(answerer.answered, dict(answerer.dropped), *stamps)

    # The service's thread

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.loop.iterations += 1
            try:
                self._turn()
            except Exception as error:  # noqa: BLE001 - one datagram must not end the service
                self._faults.note(error, "the UDP service: an internal fault", self._clock.raw_ns())
                self._stopping.wait(_PAUSE_S)
        self._close()

    def _close(self) -> None:
        self._socket.close()
        self._clock.close()

    def _turn(self) -> None:
        """Wait for a datagram and answer it, or for the time-out."""
        received = self._socket.receive(SIZE + 1)
        now_ns = self._clock.raw_ns()
        if received is not None and not self._clock.is_asleep:
            self._received(*received, now_ns)
        if now_ns - self._looked_ns > _SAMPLE_NS * 3 // 4 and not self._answerer.is_idle:
            self._look(now_ns)
            self._answerer.expire(now_ns)

    def _received(self, data: bytes, stamp_ns: int, sender: SocketAddress, now_ns: int) -> None:
        admitted = self._answerer.admit(data, now_ns)
        if isinstance(admitted, str):
            if pause_s := self._brake.refused(now_ns):
                self._stopping.wait(pause_s)
            return
        self._looked_ns = now_ns
        look, kernel, transmit_ns = self._clock.answering(now_ns, stamp_ns)
        answer = self._answerer.answer(admitted, kernel, look, self._departures, transmit_ns)
        if answer is not None:
            self._answerer.sent(admitted, self._socket.send(answer, sender), kernel, look, transmit_ns)
            self._kernel_receive = kernel is not None

    def _look(self, now_ns: int) -> None:
        self._looked_ns = now_ns
        self._clock.look()
