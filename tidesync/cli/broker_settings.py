"""Every setting of `tidesync broker` and its subcommands, so that `[broker]` of the file knows them all."""

from __future__ import annotations

from broker.accounts.settings import AccountSettings
from broker.settings import EmbeddedBrokerSettings


class BrokerSettings(EmbeddedBrokerSettings, AccountSettings):
    """Those of the embedded broker and those of the accounts."""
