"""The accounts of a broker and their passwords, as values; the content of `accounts.json`."""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, TypedDict

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from broker.accounts.crypt import bcrypted
from broker.accounts.permissions import Permissions, permissions
from broker.errors import BrokerError
from schemas.compat import Self
from schemas.instants import UtcInstant
from schemas.names import PING_SUFFIX, Root, Vehicle, account_name
from schemas.topic_kind import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

_HASH = r"^\$7\$[0-9]+\$[A-Za-z0-9+/]{16}\$[A-Za-z0-9+/]{86}==$"
_BCRYPT = r"^\$2b\$[0-9]{2}\$[A-Za-z0-9./]{53}$"
_SHA256 = r"^[A-Za-z0-9+/]{48}$"

_TOKEN_BYTES = 20
_SALT_BYTES = 12
"""mosquitto 2.0 takes salts of just this length."""
_ITERATIONS = 101
"""mosquitto_passwd's own number. The broker hashes in the one thread that passes messages on, at each
CONNECT: 10 000 would delay every ping by 7 ms when somebody tries a password. 160 random bits need no slow
hash.
"""
SHORTEST = 12
"""Characters of a password that somebody chose."""
LONGEST = 256


class AccountsError(BrokerError):
    """The accounts cannot be changed, read or written as asked."""


class UnknownAccountError(AccountsError):
    """There is no account of that name."""


class Account(BaseModel):
    """One user of the broker; its name is also its client id."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, AfterValidator(account_name)]
    role: Role
    password: str = Field(pattern=_HASH, repr=False)
    bcrypt: str | None = Field(None, pattern=_BCRYPT, repr=False)
    """For NATS; None where the account was made by an earlier version, or on a system without it."""
    sha256: str | None = Field(None, pattern=_SHA256, repr=False)
    """For RabbitMQ; None where the account was made by an earlier version."""
    created_at: UtcInstant
    may_forget: bool = False
    homeassistant: bool = False
    blueos_mirror: bool = False
    for_pair: tuple[Vehicle, ...] = ()


class User(NamedTuple):
    """A name that the broker knows, with the password of `account`."""

    name: str
    account: Account
    allowed: Permissions


class Book(BaseModel):
    """All accounts of one broker, below one topic root."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    topic_root: Root = "tidesync"
    accounts: tuple[Account, ...] = ()

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [account.name for account in self.accounts]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"account {name} is listed twice")
        return self

    @classmethod
    def decode(cls, text: str) -> Self:
        """The accounts in `text`, else AccountsError."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
            where = ".".join(str(part) for part in fault["loc"])  # and not the value: it may be a password
            raise AccountsError(f"{where + ': ' if where else ''}{fault['msg']}") from None

    def encode(self) -> str:
        """As `accounts.json` holds it."""
        return self.model_dump_json(indent=2) + "\n"

    def find(self, name: str) -> Account | None:
        """The account of that name."""
        return next((account for account in self.accounts if account.name == name), None)

    def permissions(self, account: Account) -> Permissions:
        """What one of these accounts may publish and read."""
        return permissions(
            self.topic_root,
            account.role,
            account.name,
            topsides=[one.name for one in self.accounts if one.role == "topside"],
            may_forget=account.may_forget,
            homeassistant=account.homeassistant,
            blueos_mirror=account.blueos_mirror,
            for_pair=account.for_pair,
        )

    def users(self) -> Iterator[User]:
        """Every account, and after each that pings or answers pings the one that does nothing else.

        It has the same password: whoever has that may do more anyway, and there is no second secret to carry.
        """
        for account in self.accounts:
            allowed = self.permissions(account)
            yield User(account.name, account, allowed)
            if allowed.of_pings.publish:
                yield User(account.name + PING_SUFFIX, account, allowed.of_pings)

    def added(self, account: Account, *, replace: bool = False) -> Self:
        """With `account`; one of its name must be of its role, and to be replaced."""
        present = self.find(account.name)
        if present and present.role != account.role:
            raise AccountsError(f"account {account.name} is there already, of role {present.role}")
        if present and not replace:
            raise AccountsError(f"account {account.name} is there already; --replace renews its password")
        others = [one for one in self.accounts if one.name != account.name]
        return self._of(sorted([*others, account], key=lambda one: one.name))

    def without(self, name: str) -> Self:
        """Without the account of that name; UnknownAccountError when there is none."""
        if self.find(name) is None:
            raise UnknownAccountError(f"there is no account {name!r}")
        return self._of([one for one in self.accounts if one.name != name])

    def _of(self, accounts: list[Account]) -> Self:
        return self.model_copy(update={"accounts": tuple(accounts)})


class UnusablePasswordError(ValueError):
    """A chosen password that is refused; the sentence does not repeat it."""


def new_password() -> str:
    """160 random bits in 32 small letters and digits, safe to type and to pass to any program."""
    return base64.b32encode(secrets.token_bytes(_TOKEN_BYTES)).decode().lower()


def checked(password: str) -> str:
    """A chosen `password`, else UnusablePasswordError."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise UnusablePasswordError(
            f"a password has {SHORTEST} to {LONGEST} characters, received {len(password)}"
        )
    if not password.isprintable():
        raise UnusablePasswordError("a password has no control characters")
    return password


def matches(password: str, stored: str) -> bool:
    """Whether `stored` is what `hashed` makes of the password."""
    salt = base64.b64decode(stored.split("$")[3])
    return secrets.compare_digest(hashed(password, salt), stored)


class Hashes(TypedDict):
    """What an account keeps of its password: one hash for each broker."""

    password: str
    bcrypt: str | None
    sha256: str


def hashes(password: str) -> Hashes:
    """For mosquitto, NATS and RabbitMQ."""
    return Hashes(password=hashed(password), bcrypt=bcrypted(password), sha256=salted_sha256(password))


def salted_sha256(password: str) -> str:
    """As RabbitMQ reads it: four bytes of salt, then SHA-256 of salt and password, in base 64."""
    salt = secrets.token_bytes(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def hashed(password: str, salt: bytes | None = None) -> str:
    """`$7$iterations$salt$hash`: PBKDF2 with SHA-512, as mosquitto 2.0 and later read it."""
    salt = secrets.token_bytes(_SALT_BYTES) if salt is None else salt
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS)
    return f"$7${_ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"
