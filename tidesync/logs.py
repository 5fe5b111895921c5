"""Logging, configured once by the entry point: to standard error, so that `--json` stays clean."""

from __future__ import annotations

import logging
import time


def configure_logging(*, verbose: bool = False, quiet: bool = False) -> None:
    """Send log lines to standard error, in UTC."""
    level = logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO
    handler = logging.StreamHandler()
    formatter = logging.Formatter("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for chatty in ("amqtt", "transitions", "asyncio", "uvicorn", "passlib"):
        logging.getLogger(chatty).setLevel(logging.WARNING if verbose else logging.CRITICAL)
