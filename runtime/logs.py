"""Logging, configured once by the entry point: to standard error, so that `--json` stays clean."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def configure_logging(*, verbose: bool = False, quiet: bool = False) -> None:
    """Send log lines to standard error, in UTC."""
    level = logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO
    handler = logging.StreamHandler()
    formatter = logging.Formatter("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for chatty in ("amqtt", "transitions", "asyncio", "uvicorn", "passlib", "sse_starlette"):
        logging.getLogger(chatty).setLevel(logging.WARNING if verbose else logging.CRITICAL)


@contextmanager
def broker_log_at(level: int) -> Iterator[None]:
    """Have the connection log nothing below `level` meanwhile: who asks once says it in a line of his own."""
    log = logging.getLogger("broker")
    before = log.level
    log.setLevel(level)
    try:
        yield
    finally:
        log.setLevel(before)
