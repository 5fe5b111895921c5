"""The broker's own files, pure: mosquitto's passwords and ACL, NATS's permissions, RabbitMQ's definitions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker.accounts.rabbitmq import rabbitmq

if TYPE_CHECKING:
    from collections.abc import Iterable

    from broker.accounts.book import Book, User

_ACL_HEAD = """\
# Made by `tidesync broker`: change accounts with it, not here.
# Literal entries for each account: a `pattern` would hold for every user, whatever its role.
"""
_NATS_HEAD = """\
# Made by `tidesync broker`: change accounts with it, not here. `include` this in nats-server's configuration.
# NATS does not bind client ids to users, as mosquitto does with use_username_as_clientid.
"""
_NATS_PASSWORDS = """\
# NATS cannot check the passwords of accounts made by an earlier version, or where the system has no bcrypt.
# Make them again here (`--replace`), or write nats-passwords.conf beside this file, with a line for each
#   PASSWORD_name: "$2a$11$…"    as `nats server passwd` prints it for the account's password
include nats-passwords.conf
"""
_NATS_SESSIONS = "$MQTT.sub.>"
"""What a subscriber at QoS 1 needs besides its topics: NATS delivers to it there."""


def texts(book: Book) -> dict[str, str]:
    """Each file's name and content."""
    return {
        "passwords": passwords(book),
        "acl": acl(book),
        "nats.conf": nats(book),
        "rabbitmq.json": rabbitmq(book),
    }


def passwords(book: Book) -> str:
    """What mosquitto calls password_file."""
    return "".join(f"{user.name}:{user.account.password}\n" for user in book.users())


def acl(book: Book) -> str:
    """What mosquitto calls acl_file; what it does not allow is denied."""
    return _ACL_HEAD + "".join(map(_acl_of, book.users()))


def _acl_of(user: User) -> str:
    lines = [f"# {user.account.role}", f"user {user.name}"]
    lines += [f"topic write {topic}" for topic in user.allowed.publish]
    lines += [f"topic read {topic}" for topic in user.allowed.subscribe]
    return "\n" + "\n".join(lines) + "\n"


def nats(book: Book) -> str:
    """NATS's `authorization` block, for its MQTT listener."""
    users = "".join(map(_nats_user, book.users()))
    lacking = "" if all(account.bcrypt for account in book.accounts) else _NATS_PASSWORDS
    return f"{_NATS_HEAD}{lacking}authorization {{\n  users = [\n{users}  ]\n}}\n"


def _nats_user(user: User) -> str:
    _, account, allowed = user
    password = f'"{account.bcrypt}"' if account.bcrypt else f"$PASSWORD_{account.name}"
    return (
        f"    {{ # {account.role}\n"
        f'      user: "{user.name}", password: {password}\n'
        '      allowed_connection_types: ["MQTT"]\n'
        "      permissions {\n"
        f"        publish {{ {_allowed(allowed.publish)} }}\n"
        f"        subscribe {{ {_allowed(allowed.subscribe, _NATS_SESSIONS)} }}\n"
        "      }\n"
        "    }\n"
    )


def _subject(topic_filter: str) -> str:
    """NATS's subject for an MQTT filter; no level of ours has a dot, which would be written `//`."""
    return topic_filter.replace("/", ".").replace("+", "*")


def _allowed(filters: Iterable[str], *subjects: str) -> str:
    """What is allowed and nothing else: NATS takes an empty list for no limit at all."""
    listed = ", ".join(f'"{subject}"' for subject in [*map(_subject, filters), *subjects])
    return f"allow: [{listed}]" if listed else 'deny: [">"]'
