"""RabbitMQ's accounts, pure: the definitions that it loads, with rights to topics as regular expressions."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from broker.accounts.book import Book, User

_QUEUES = "mqtt-subscription-.*qos[01]"
"""RabbitMQ makes them, by client id. By MQTT alone nobody reaches those of another client."""
_VHOST, _EXCHANGE = "/", "amq.topic"
_NOTHING = "^$"


def rabbitmq(book: Book) -> str:
    """What its `load_definitions` names. An account without a hash of RabbitMQ's is left out."""
    known = [user for user in book.users() if user.account.sha256]
    document = {
        "vhosts": [{"name": _VHOST}],
        "users": [_user(user) for user in known],
        "permissions": [_permission(user) for user in known],
        "topic_permissions": [_topics(user) for user in known],
    }
    return json.dumps(document, indent=2) + "\n"


def _user(user: User) -> dict[str, Any]:
    return {
        "name": user.name,
        "password_hash": user.account.sha256,
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": [],
    }


def _permission(user: User) -> dict[str, Any]:
    both = f"^({_QUEUES}|{re.escape(_EXCHANGE)})$"
    return {
        "user": user.name,
        "vhost": _VHOST,
        "configure": f"^{_QUEUES}$",
        "write": both,
        "read": both,
    }


def _topics(user: User) -> dict[str, Any]:
    return {
        "user": user.name,
        "vhost": _VHOST,
        "exchange": _EXCHANGE,
        "write": _expression(user.allowed.publish),
        "read": _expression(user.allowed.subscribe),
    }


def _expression(filters: Iterable[str]) -> str:
    """For routing keys, with dots for slashes: a topic, or a filter that asks for no more than these."""
    each = [r"\.".join(_level(level) for level in name.split("/")) for name in filters]
    return f"^({'|'.join(each)})$" if each else _NOTHING


def _level(level: str) -> str:
    """No right of ours ends with `#`, and none is given for it."""
    return r"[^.#]+" if level == "+" else re.escape(level)
