"""The accounts of a broker as values: added, renewed, revoked; what `accounts.json` holds."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from broker.accounts.permissions import Permissions, permissions
from broker.errors import BrokerError
from schemas.instants import UtcInstant
from schemas.names import Root, account_name
from schemas.topics import Role

_HASH = r"^\$7\$[0-9]+\$[A-Za-z0-9+/]{16}\$[A-Za-z0-9+/]{86}==$"


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
    created_at: UtcInstant
    may_forget: bool = False
    homeassistant: bool = False
    blueos_mirror: bool = False

    def permissions(self, root: str) -> Permissions:
        """What it may publish and read below `root`."""
        return permissions(
            root,
            self.role,
            self.name,
            may_forget=self.may_forget,
            homeassistant=self.homeassistant,
            blueos_mirror=self.blueos_mirror,
        )


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
                raise ValueError(f"account {name} stands there twice")
        return self

    @classmethod
    def decode(cls, text: str) -> Self:
        """The accounts in `text`, else AccountsError."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
            where = ".".join(str(part) for part in fault["loc"])  # and not what: it may be a password
            raise AccountsError(f"{where + ': ' if where else ''}{fault['msg']}") from None

    def encode(self) -> str:
        """As `accounts.json` holds it."""
        return self.model_dump_json(indent=2) + "\n"

    def find(self, name: str) -> Account | None:
        """The account of that name."""
        return next((account for account in self.accounts if account.name == name), None)

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
