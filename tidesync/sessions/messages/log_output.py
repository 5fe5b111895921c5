"""The files of a corrected log: lines with an answer, those without one, and a table of all errors."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import numpy as np

from runtime.files import replacing
from tidesync.sessions.messages.sidecar import marked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tidesync.sessions.correction.csv.source import Source
    from tidesync.sessions.correction.stamps.writing import Texts
    from tidesync.sessions.correction.timeline import Corrections
    from tidesync.sessions.messages.format import Block, Outcome, Target, Write
    from tidesync.sessions.messages.log_stamps import LogBlock
    from topside_agent.estimator.blocks import Integers

    Written = Callable[[Integers], Texts]

STEP_NS = 1_000
"""The unit of the table of errors."""
_COLUMNS = ("line", "timestamp")


@contextmanager
def log_output(target: Target, outcome: Outcome, source: Source, written: Written) -> Iterator[Write]:
    """Write the corrected files; see `format.Messages.output`. Lines before the first timestamp are kept."""
    unanswered: list[Callable[[bytes], object]] = []
    with ExitStack() as stack, marked(target, _COLUMNS) as table:

        def opened(path: Path) -> Callable[[bytes], object]:
            return stack.enter_context(source.sink(stack.enter_context(replacing(path))))

        kept = opened(target.output)
        last = kept

        def write(block: Block, columns: Sequence[Corrections]) -> None:
            nonlocal last, unanswered
            log_block: LogBlock = block.records
            (found,) = columns
            data, stamped = log_block.data, log_block.stamped
            if not found.answered.all():
                unanswered = unanswered or [opened(target.unanswered)]
            last(data[: stamped[0].begin] if stamped else data)
            times = written(np.where(found.answered, found.topside_ns, 0)).tolist()
            ends = [*(each.begin for each in stamped), len(data)][1:]
            for each, end, time, answered in zip(stamped, ends, times, found.answered.tolist(), strict=True):
                if answered:
                    last = kept
                    last(data[each.begin : each.first] + time + data[each.last : end])
                else:
                    (last,) = unanswered
                    last(data[each.begin : end])
            table.write(_fronts(log_block), found, STEP_NS)

        yield write
    outcome.beside.append(target.sidecar)
    if unanswered:
        outcome.beside.append(target.unanswered)
    else:
        target.unanswered.unlink(missing_ok=True)


def _fronts(block: LogBlock) -> Iterator[str]:
    """Each line's number, and its timestamp as it was recorded."""
    for each in block.stamped:
        text = block.data[each.first : each.last].decode("utf-8", "backslashreplace")
        yield f'{block.line + each.line},"{text}"' if "," in text else f"{block.line + each.line},{text}"
