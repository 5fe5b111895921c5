"""A warning for an agent whose name is not its account's: a broker with our accounts would not hear it."""

from __future__ import annotations

import logging

_log = logging.getLogger(__name__)


def warn_of_other_name(account: str | None, role: str, name: str) -> None:
    """Say so once; no error, as another broker's accounts may be allowed it."""
    if account and account != name:
        _log.warning(
            "account %r but %s %r: accounts made by `tidesync broker` speak for their own name only",
            account,
            role,
            name,
        )
