"""Corrects a file of messages of any format: the passes over it, the counts of its messages, and its outputs.

The same as for a table's rows: each column of stamps is a column of timestamps, in the order of the file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runtime.version import VERSION
from tidesync.sessions.correction.driver import CorrectedTable, stated_of, unconfirmed
from tidesync.sessions.correction.formats import open_messages, output_of, sidecar_of, unanswered_of
from tidesync.sessions.correction.local_time import certain_rows, corrected_stamps, timeline_for
from tidesync.sessions.correction.order import RowCorrector
from tidesync.sessions.correction.own_clock import TOPSIDE_CLOCK
from tidesync.sessions.errors import ForeignFileError, UnusableFileError
from tidesync.sessions.messages.format import Outcome, Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tidesync.sessions.correction.driver import Confirm, ProgressCallback
    from tidesync.sessions.correction.table import Job
    from tidesync.sessions.correction.timeline import Corrections, Timeline
    from tidesync.sessions.correction.unexplained import Flags
    from tidesync.sessions.messages.format import Block, Messages
    from topside_agent.estimator.blocks import Integers

_MOST_SHOWN = 5


@dataclass(slots=True)
class CorrectedMessages(CorrectedTable):
    """The counts of a file's messages by their state, what of it could not be read, and what was written."""

    outcome: Outcome = field(default_factory=Outcome)
    least_offset_ns: int | None = None
    greatest_offset_ns: int | None = None
    """Pi − topside, of the answered messages."""

    @property
    def of_what(self) -> str:
        """What is counted, one of them."""
        return "message"

    @property
    def remarks(self) -> Sequence[str]:
        """What a summary says besides: losses first."""
        losses = self.outcome.losses
        shown = [f"lost: {each.reason} (byte {each.at}, {each.size} bytes)" for each in losses[:_MOST_SHOWN]]
        shown += [f"{len(losses) - _MOST_SHOWN} more losses"] if len(losses) > _MOST_SHOWN else []
        shown += [f"{self.outcome.missing} of its messages are missing"] if self.outcome.missing else []
        shown += [f"also written: {path.name}" for path in self.outcome.beside]
        return [*CorrectedTable.remarks.fget(self), *shown, *self.outcome.notes]  # type: ignore[attr-defined]

    def count_offsets(self, pi_ns: Integers, corrections: Corrections) -> None:
        """Take the offsets of a block's messages."""
        answered: Flags = corrections.answered
        if answered.any():
            offsets = (pi_ns - corrections.topside_ns)[answered]
            found = int(offsets.min()), int(offsets.max())
            self.least_offset_ns = min(
                found[0], found[0] if self.least_offset_ns is None else self.least_offset_ns
            )
            self.greatest_offset_ns = max(
                found[1], found[1] if self.greatest_offset_ns is None else self.greatest_offset_ns
            )

    def summary(self) -> Mapping[str, str]:
        """The same for the file itself."""
        counts = {state: str(number) for state, number in self.counts.items()}
        offsets = {
            "offset": "the vehicle's clock minus topside's, ns",
            "offset_least_ns": str(self.least_offset_ns),
            "offset_greatest_ns": str(self.greatest_offset_ns),
            "max_error_ns": str(self.max_error_ns),
        }
        return {"messages": str(self.rows), **counts, **(offsets if self.corrected else {})}

    def document(self) -> dict[str, Any]:
        """The counts as JSON."""
        return {
            **CorrectedTable.document(self),
            "lost": [each._asdict() for each in self.outcome.losses],
            "missing": self.outcome.missing,
            "also_written": [str(path) for path in self.outcome.beside],
            "notes": [*self.outcome.notes],
        }


def correct_messages(
    job: Job,
    timeline: Timeline,
    progress: ProgressCallback,
    output: Path | None = None,
    session: str = "",
    *,
    confirm: Confirm = unconfirmed,
    dry: bool = False,
) -> CorrectedMessages:
    """Write the corrected file to `output`, or beside its original; UnusableFileError, and none is written.

    An existing output is replaced only if it was written by this function. `session`: its name, for the file.
    `confirm`, `dry`: as for a table.
    """
    output = output or output_of(job.path)
    try:
        with open_messages(job, timeline.measured) as messages:
            how = "message", job.sensor, messages.forms[0], messages.names
            result = CorrectedMessages(job.path, output, job.vehicle, *how)
            result.stated = stated_of(job)
            about = {"version": VERSION, "session": session, "vehicle": _named(job.vehicle)}
            target = Target(output, unanswered_of(output), sidecar_of(output), about, result.summary)
            _refuse_foreign(messages, target)
            own = messages.timeline(timeline, lambda other, by: _answered(other, by, result, _uncounted))
            result.outcome = messages.outcome
            if dry:
                return result
            output.parent.mkdir(parents=True, exist_ok=True)
            answered = _answered(messages, own, result, progress)
            with messages.output(target) as write:
                for block, found in answered:
                    result.count(found[0], block.columns[0].malformed)
                    result.too_coarse.count(block.columns[0], found[0], messages.forms[0], own.max_error_ns)
                    result.count_offsets(block.columns[0].unix_ns, found[0])
                    write(block, found)
                confirm()
            result.max_error_ns += messages.step_ns if result.corrected else 0
    except OSError as error:
        raise UnusableFileError(job.path, f"{error.strerror or error}; its output was not written") from error
    return result


def _answered(
    messages: Messages, timeline: Timeline, result: CorrectedMessages, progress: ProgressCallback
) -> Iterator[tuple[Block, Sequence[Corrections]]]:
    """All blocks with the corrections of their columns; whether order decided any is noted in `result`."""
    correctors = _scanned(messages, timeline, progress)
    for block in messages.read():
        columns = zip(block.columns, messages.forms, correctors, strict=True)
        yield block, [corrected_stamps(batch, form, timeline, each) for batch, form, each in columns]
        progress(block.columns[0].size)
    result.by_order |= any(each.decided for each in correctors)


def _named(vehicle: str) -> str:
    return "none: topside's own clock" if vehicle == TOPSIDE_CLOCK else vehicle


def _uncounted(_size: int) -> None:
    """Progress over a file that is not counted."""


def _scanned(messages: Messages, timeline: Timeline, progress: ProgressCallback) -> list[RowCorrector]:
    """What corrects each column; after a first pass over the file, where it takes one."""
    correctors = [RowCorrector(timeline_for(timeline, form)) for form in messages.forms]
    if any(each.passes > 1 for each in correctors):
        for columns in messages.scan():
            for batch, form, corrector in zip(columns, messages.forms, correctors, strict=True):
                corrector.note(certain_rows(batch, timeline, form)[1])
            progress(columns[0].size)
    return correctors


def _refuse_foreign(messages: Messages, target: Target) -> None:
    """ForeignFileError where a file would be replaced that was not written for such a file."""
    for path in (target.output, target.unanswered, target.sidecar):
        if path.is_symlink():
            raise ForeignFileError(path, "it is a link, which is not ours to replace: remove it")
    for path in messages.foreign(target):
        reason = "it is there already, and was not written by tidesync correct: move it, or use --output"
        raise ForeignFileError(path, reason)
