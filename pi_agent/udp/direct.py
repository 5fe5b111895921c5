"""The direct path in the vehicle's agent: its service, and the sessions that topsides ask for over MQTT."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from broker.interface import Outgoing
from pi_agent.udp.addresses import address_towards, own_addresses
from pi_agent.udp.agreement import Sessions
from pi_agent.udp.service import UdpService
from schemas import topics
from schemas.direct_path import UDP_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable

    from pi_agent.responder import Answerer
    from pi_agent.settings import PiSettings
    from pi_agent.udp.interface import SessionTerms, UdpCounts
    from runtime.clock import Clock
    from runtime.watchdog import Loop
    from schemas.direct_path import UdpRequest

_log = logging.getLogger(__name__)


class Service(Protocol):
    """What the agent uses of `UdpService`; a simulation brings its own."""

    @property
    def loop(self) -> Loop:
        """The loop that the watchdog watches."""

    @property
    def port(self) -> int:
        """The UDP port."""

    def start(self) -> None:
        """Begin to answer."""

    def stop(self) -> None:
        """End."""

    def open(self, session: SessionTerms) -> None:
        """Answer this session from now on."""

    def counts(self) -> UdpCounts:
        """A snapshot."""


class DirectPath:
    """Used in the network thread, `start`, `stop` and the properties in any."""

    def __init__(
        self,
        settings: PiSettings,
        answerer: Answerer,
        addresses: Callable[[], list[str]] = own_addresses,
    ) -> None:
        self._settings = settings
        self._sessions = Sessions(answerer)
        self._addresses = addresses
        self.service: Service | None = None
        self.key_public = settings.account is None and settings.cert_file is None
        """Whether anybody at the broker may read the keys, as far as is known here: it has no account."""

    def start(self, clock: Clock) -> None:
        """Take the port and begin to answer; ListenError if a port that was set cannot be had."""
        if not self._settings.no_udp:
            self.service = UdpService(
                clock, port=self._settings.udp_port, hardware=self._settings.hardware_stamps
            )
            self.service.start()
            _log.info("measured directly over UDP port %d, if topside asks for it", self.service.port)

    def stop(self) -> None:
        """Answer no more."""
        if self.service is not None:
            self.service.stop()

    @property
    def loops(self) -> tuple[Loop, ...]:
        """The loops that the watchdog watches."""
        return () if self.service is None else (self.service.loop,)

    @property
    def version(self) -> int | None:
        """Of the datagrams that are answered; None: none are."""
        return None if self.service is None else UDP_VERSION

    @property
    def port(self) -> int | None:
        """Where they are answered."""
        return None if self.service is None else self.service.port

    @property
    def answered(self) -> int:
        """Datagrams answered so far."""
        return 0 if self.service is None else self.service.counts().answered

    @property
    def dropped(self) -> dict[str, int]:
        """Datagrams dropped so far, by reason."""
        return {} if self.service is None else dict(self.service.counts().dropped)

    def requested(self, request: UdpRequest, topside: str, now_ns: int, broker: str = "") -> Outgoing | None:
        """The answer to a topside's request, to be published; its session is answered from now on.

        `broker` is the host of the broker: the address on the way to it comes first.
        """
        if self.service is None:
            return None
        addresses = list(dict.fromkeys([*address_towards(broker), *self._addresses()]))
        port = self.service.port
        agreed = self._sessions.answer(request, topside, now_ns, addresses=addresses, port=port)
        if agreed is None:
            return None
        if agreed.terms is not None:
            self.service.open(agreed.terms)
        kind = topics.UDP_ANSWER
        topic = topics.build(self._settings.topic_root, kind, vehicle=self._settings.vehicle, topside=topside)
        return Outgoing(topic, agreed.answer.encode(), kind.qos)
