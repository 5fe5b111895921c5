"""paho's client through its public methods alone, as the connection uses it; stamps in user space."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections import deque
from typing import TYPE_CHECKING, Any

from paho.mqtt.enums import MQTTErrorCode

from broker.client.limited import LimitedClient

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from paho.mqtt.client import Client, MQTTMessage, MQTTMessageInfo
    from paho.mqtt.reasoncodes import ReasonCode

    from broker.client.stamps import KernelStamp
    from broker.interface import Outgoing


NOT_MQTT = "it sent what is not MQTT 3.1.1 (is it an MQTT broker, and takes that version?)"
_CONNACK_OF = {132: 1, 133: 2, 136: 3, 134: 4, 135: 5}
"""The return code of MQTT 3.1.1 by paho's reason code, which is of MQTT 5."""
_UNKNOWN = 255


class PlainClient(LimitedClient):
    """`deliver` is given each message's topic, payload and retain flag.

    `accepted` is called when the broker accepts the connection; `subscribed` is given the packet identifier
    and the codes of each SUBACK.
    """

    user_timeout_ms = 0
    is_account = False
    """Whether its client id is its account, where it has one."""
    connack: int | None = None
    """The code of MQTT 3.1.1 by which the last connection was refused; None: it was not."""
    deliver: Callable[[str, bytes, bool], None]
    reads = 0
    """How often it has read."""
    acknowledged = 0
    """How many messages at QoS 1 it has acknowledged, where `gathers`."""
    more = False
    """Whether the last read left something that it had no room for."""
    last_of_read = True
    """Whether the packet that is being handled is the last of its read."""
    gathers = False
    """Whether messages may be let gather before a read."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._published: deque[MQTTMessageInfo] = deque()
        self.accepted: Callable[[], object] = _ignore
        self.subscribed: Callable[[int, Sequence[int]], object] = _ignore
        self.on_message = self._message_arrived
        self.on_connect = self._connect_answered
        self.on_subscribe = self._subscribe_answered

    @property
    def stamps_writes(self) -> bool:
        """Whether a one-step timestamp is taken at the socket write."""
        return False

    def tune(self) -> bool:
        """Tune the TCP socket beneath; whether Nagle's algorithm is off, as the system itself says."""
        open_socket = self.socket()
        if open_socket is None:
            return False
        with socket.fromfd(open_socket.fileno(), socket.AF_INET, socket.SOCK_STREAM) as tcp:
            tune(tcp, self.user_timeout_ms)
            return tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0

    def send(self, messages: Sequence[Outgoing], raw_ns: Callable[[], int]) -> None:
        """Publish at once; where writes are stamped, `raw_ns` is read for one-step timestamps."""
        del raw_ns
        for message in messages:
            info = self.publish(message.topic, message.payload, message.qos, message.retain)
            if message.qos:
                self._drop_acknowledged()
                self._published.append(info)
        self.loop_write()

    def resume(self) -> None:
        """After a reconnect: send first what the broker did not acknowledge before. paho does so itself."""

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:
        """Read once; `on_disconnect` would wait for ever after a write that failed in another callback."""
        self.reads += 1
        code = super().loop_read(max_packets)
        if code == MQTTErrorCode.MQTT_ERR_PROTOCOL:
            self.refuse(NOT_MQTT)
        return code

    def arrival(self) -> KernelStamp | None:
        """When the kernel received the packet that is being handled, where it stamped it."""
        return None

    @property
    def unstamped_because(self) -> str | None:
        """Why the kernel is not asked for stamps."""
        return "paho's socket is not ours"

    def read_together(self) -> None:
        """Prepare for reads that are far between; paho's own way to read does not gather."""

    def pending(self) -> int:
        """Bytes that `loop_read` would find although the socket is not readable."""
        pending = getattr(self.socket(), "pending", None)
        return pending() if pending else 0

    @property
    def unacknowledged(self) -> bool:
        """Whether a published message may not have reached the broker."""
        self._drop_acknowledged()
        return self.want_write() or bool(self._published)

    def unacknowledged_topics(self, most: int = 5) -> list[str]:
        """The topics of the oldest messages that the broker has not acknowledged, where they are known."""
        del most
        return []

    def peer_certificate(self) -> Mapping[str, Any] | None:
        """The broker's certificate, verified; None without TLS, or where paho hides it."""
        decode = getattr(self.socket(), "getpeercert", None)
        return decode() if decode else None

    @property
    def alert(self) -> ssl.SSLError | None:
        """The TLS alert that ended the last connection, where it is known."""
        return None

    @property
    def wants_to_write(self) -> bool:
        """Whether `flush` or `loop_write` has something to do once the socket is writable."""
        return self.want_write()

    def flush(self) -> None:
        """Send what the socket did not accept before."""

    def _drop_acknowledged(self) -> None:
        """Asked of paho's infos: `on_publish` would wait for ever when publishing from within a callback."""
        while self._published and _acknowledged(self._published[0]):
            self._published.popleft()

    def _message_arrived(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        with contextlib.suppress(UnicodeDecodeError):  # which a broker must not pass on [MQTT-1.5.3-1]
            self.deliver(message.topic, bytes(message.payload), message.retain)

    def _connect_answered(
        self, _client: Client, _userdata: object, _flags: object, reason: ReasonCode, *_rest: object
    ) -> None:
        if reason.is_failure:
            self.connack = _CONNACK_OF.get(reason.value, _UNKNOWN)
        else:
            self.accepted()

    def _subscribe_answered(
        self, _client: Client, _userdata: object, mid: int, codes: Sequence[ReasonCode], *_rest: object
    ) -> None:
        self.subscribed(mid, [code.value for code in codes])


def _ignore(*_: object) -> None:
    """Until the owner asks to be called."""


def _acknowledged(info: MQTTMessageInfo) -> bool:
    try:
        return info.is_published()
    except (RuntimeError, ValueError):  # it was not sent
        return True


def tune(tcp: socket.socket, user_timeout_ms: int) -> None:
    """Turn Nagle's algorithm off, and have the kernel give up a silent peer after `user_timeout_ms`."""
    tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if user_timeout_ms and hasattr(socket, "TCP_USER_TIMEOUT"):
        tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, user_timeout_ms)
