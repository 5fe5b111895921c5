"""The table of a dataflash log's times: a line for each record with a time since boot."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidesync.sessions.messages.format import Block

COLUMNS = ("byte", "type", "TimeUS")


def fronts_of(block: Block) -> Iterator[str]:
    """The columns of its own of each record."""
    records, places, kinds = block.records
    at = (records.begin + records.starts[places]).tolist()
    boot_us = records.field(places, 3, "<u8").tolist()
    names = (kinds[each].name for each in records.types[places].tolist())
    return (f"{byte},{name},{us}" for byte, name, us in zip(at, names, boot_us, strict=True))
