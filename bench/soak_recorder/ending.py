"""The end of a session: a stop is answered after three seconds, whatever is still being written."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from schemas.metadata import BLOCK_KEY

if TYPE_CHECKING:
    from tidesync.sessions.folder import SessionFolder

_LOOK_S = 0.05


def block_of(folder: SessionFolder) -> dict[str, Any]:
    """The recorder's part of the metadata."""
    block: dict[str, Any] = json.loads(folder.metadata_path.read_bytes())["timeSync"][BLOCK_KEY]
    return block


def claimed(block: dict[str, Any]) -> int:
    """How many exchanges the recorder says are recorded."""
    return sum(vehicle["exchanges"] for vehicle in block["vehicles"].values())


def wait_until_written(folder: SessionFolder, longest_s: float) -> dict[str, Any]:
    """Wait for all that is written of a session that was stopped; returns the last block.

    TimeoutError when that takes longer.
    """
    deadline = time.monotonic() + longest_s
    while (block := block_of(folder))["state"] != "stopped":
        if time.monotonic() > deadline:
            raise TimeoutError(f"the stopped session is still being written after {longest_s:g} s: {block}")
        time.sleep(_LOOK_S)
    return block
