"""A client made from the settings: who it is, its will, its secrets."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from broker.client.paho_compat import client_class
from broker.tls.context import client_context

if TYPE_CHECKING:
    from broker.client.plain import PlainClient
    from broker.interface import Outgoing
    from broker.settings import ConnectionSettings

_CONNECT_TIMEOUT_S = 5.0


def make_client(
    settings: ConnectionSettings, name: str, will: Outgoing | None, *, persistent: bool
) -> PlainClient:
    """An unconnected client; its id is the account where there is one, else made from `name`.

    CertificateFileError or PasswordFileError for a file that cannot be used: an agent that starts so would
    never connect.
    """
    address = settings.address
    client = client_class()(
        CallbackAPIVersion.VERSION2,
        client_id=settings.account or (name if persistent else f"{name}-{secrets.token_hex(4)}"),
        clean_session=not persistent,
        protocol=MQTTProtocolVersion.MQTTv311,
        transport="websockets" if address.websocket else "tcp",
        reconnect_on_failure=False,
    )
    client.connect_timeout = _CONNECT_TIMEOUT_S
    client.user_timeout_ms = settings.keepalive_s * 1500
    client.max_inflight_messages_set(1000)
    if will:
        client.will_set(will.topic, will.payload, will.qos, will.retain)
    if address.websocket:
        client.ws_set_options(path=address.path)
    if settings.account:
        settings.secret()
    if address.tls:
        client.tls_set_context(client_context(settings))
    return client


def authenticate(client: PlainClient, settings: ConnectionSettings) -> None:
    """Read secrets and certificates anew, so that a renewed file is taken at the next connect."""
    if settings.account:
        client.username_pw_set(settings.account, settings.secret())
    if settings.address.tls:
        client._ssl_context = None  # noqa: SLF001 - else tls_set_context refuses another
        client.tls_set_context(client_context(settings))
