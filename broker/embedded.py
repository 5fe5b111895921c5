"""The embedded MQTT broker (amqtt), for the demo, the tests and a bench: on loopback only.

amqtt 0.12 lets an allowed `x/+` subscribe `x/#`, checks no rights for wills, lets a wrong password silence
somebody's client id, and does not notice a frozen client. None of that matters between programs of one user
on one machine; on a network it does.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import threading
from typing import TYPE_CHECKING, Any

from amqtt.errors import AMQTTError
from amqtt.errors import BrokerError as AmqttBrokerError

from broker.errors import BrokerError, EmbeddedBrokerError
from broker.loopback_broker import LoopbackBroker
from runtime.errors import ListenError
from runtime.listener import free_port

if TYPE_CHECKING:
    from broker.settings import EmbeddedBrokerSettings

_log = logging.getLogger(__name__)

_START_TIMEOUT_S = 10.0
_PLUGINS: dict[str, dict[str, Any]] = {
    "amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}
}


class EmbeddedBroker:
    """amqtt in a thread of its own; retained messages and sessions live in memory and end with it."""

    def __init__(self, settings: EmbeddedBrokerSettings) -> None:
        self._host = _loopback(settings.host)
        self.port = settings.port or free_port(self._host)
        self.websocket_port = settings.websocket_port
        if self.websocket_port == 0:
            self.websocket_port = self._another_port()
        self.failure: BrokerError | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None
        self._settled = threading.Event()
        self._thread = threading.Thread(target=self._run, name="embedded-broker", daemon=True)

    @property
    def url(self) -> str:
        """Where to connect, as `--broker` takes it."""
        return f"mqtt://{self._bracketed}:{self.port}"

    @property
    def websocket_url(self) -> str | None:
        """The same for MQTT inside a WebSocket, when that was asked for."""
        return f"ws://{self._bracketed}:{self.websocket_port}" if self.websocket_port else None

    def start(self) -> None:
        """Listen; returns once it does. EmbeddedBrokerError when it cannot (a port is taken)."""
        self._thread.start()
        if not self._settled.wait(_START_TIMEOUT_S):
            raise EmbeddedBrokerError(f"the embedded broker did not start within {_START_TIMEOUT_S:g} s")
        if self.failure:
            raise self.failure
        _log.info("embedded broker listens on %s", " and ".join(filter(None, [self.url, self.websocket_url])))

    def stop(self) -> None:
        """Close every connection and end."""
        if self._loop and self._end and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
        if self._thread.is_alive():
            self._thread.join(2.0)

    def wait_until_finished(self, timeout_s: float | None) -> bool:
        """Whether it has ended by itself within `timeout_s`."""
        if not self._settled.is_set():
            return False
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def _bracketed(self) -> str:
        return f"[{self._host}]" if ":" in self._host else self._host

    def _another_port(self) -> int:
        """A free one besides `port`, on which nobody listens yet either."""
        while (port := free_port(self._host)) == self.port:
            pass
        return port

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except (AMQTTError, AmqttBrokerError, OSError) as error:
            ports = [port for port in (self.port, self.websocket_port) if port]
            cause = error.__cause__ or error
            self.failure = EmbeddedBrokerError(
                f"the embedded broker cannot listen on {self._host}, port {' or '.join(map(str, ports))}: "
                f"{cause.reason if isinstance(cause, ListenError) else cause}"
            )
        finally:
            self._settled.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        broker = LoopbackBroker({"listeners": self._listeners(), "plugins": _PLUGINS})
        await broker.start()
        self._settled.set()
        await self._end.wait()
        await broker.shutdown()

    def _listeners(self) -> dict[str, dict[str, Any]]:
        listeners = {"default": {"type": "tcp", "bind": f"{self._bracketed}:{self.port}"}}
        if self.websocket_port:
            listeners["websocket"] = {"type": "ws", "bind": f"{self._bracketed}:{self.websocket_port}"}
        return listeners


def _loopback(host: str) -> str:
    """`host` as a loopback address, else the refusal that says why and what to use."""
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        address = None
    if address is None or not address.is_loopback:
        raise EmbeddedBrokerError(
            f"the embedded broker does not listen on {host!r}, only on loopback: it checks no access rights "
            "well enough for a network. Run mosquitto there, with broker/mosquitto.conf and the accounts that"
            " `tidesync broker add-vehicle` and its like make"
        )
    return str(address)
