"""The table of a dataflash log's times: a line for each record with a time since boot."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from runtime.files import replacing
from tidesync.sessions.messages.sidecar import Sidecar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidesync.sessions.correction.timeline import Corrections
    from tidesync.sessions.messages.format import Block, Target, Write

_COLUMNS = ("byte", "type", "TimeUS")


@contextmanager
def dataflash_output(target: Target) -> Iterator[Write]:
    """Write the table; see `format.Messages.output`."""
    with replacing(target.output) as stream:
        table = Sidecar(stream, _COLUMNS)

        def write(block: Block, columns: Sequence[Corrections]) -> None:
            records, places, kinds = block.records
            at = (records.begin + records.starts[places]).tolist()
            boot_us = records.field(places, 3, "<u8").tolist()
            names = (kinds[each].name for each in records.types[places].tolist())
            fronts = (f"{byte},{name},{us}" for byte, name, us in zip(at, names, boot_us, strict=True))
            table.write(fronts, columns[0], 1_000)

        yield write
