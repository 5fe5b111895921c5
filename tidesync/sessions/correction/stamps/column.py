"""The form of a job's timestamp column; refusals name the table."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tidesync.sessions.correction.stamps.accepted import ColumnContext, elapsed_scales
from tidesync.sessions.correction.stamps.candidates import of_numbers, of_texts
from tidesync.sessions.correction.stamps.numbers import NAMED, UNIX, Scale
from tidesync.sessions.correction.stamps.options import UndecidedError
from tidesync.sessions.correction.stamps.readers import NumberReader
from tidesync.sessions.correction.stamps.session_span import SessionSpan
from tidesync.sessions.correction.stamps.survey import form_of, survey
from tidesync.sessions.errors import UnusableFileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tidesync.sessions.correction.stamps.form import StampForm
    from tidesync.sessions.correction.table import Job
    from topside_agent.estimator.blocks import Floats, Integers

Measured = "Sequence[tuple[int, int]]"
"""`Timeline.measured`."""


def form_of_texts(job: Job, measured: Sequence[tuple[int, int]], texts: Iterable[bytes]) -> StampForm:
    """The form of a column of texts, by some thousands of them, the first and the last included.

    Those of several columns (`Job.columns`) have a space between. UnusableFileError where it is not decided.
    """
    try:
        decoded = [text.decode("utf-8", "replace") for text in texts]
        return survey(decoded, _context(job, measured))
    except UndecidedError as error:
        raise UnusableFileError(job.path, str(error)) from error


def form_of_numbers(
    job: Job,
    measured: Sequence[tuple[int, int]],
    values: Integers | Floats,
    scale: Scale | None = None,
    *,
    fixed: bool = False,
) -> StampForm:
    """The form of a column of numbers; `scale` where their type says what they count.

    `fixed`: the file's format says so, and no option says otherwise.
    """
    try:
        context = replace(_context(job, measured), fixed=fixed)
        named = NAMED.get(job.stamps.time_format or "", UNIX)
        if job.stamps.since is not None:
            named = elapsed_scales(context)
        scales = [scale] if scale else [each for each in named if job.unit in {None, each.name}] or named
        found = [of_numbers(each, values, context.span) for each in scales]
        return form_of(max(found, key=lambda each: (each.within, each.count)), context)
    except UndecidedError as error:
        raise UnusableFileError(job.path, str(error)) from error


def form_of_digits(
    job: Job, measured: Sequence[tuple[int, int]], texts: Iterable[bytes], scale: Scale
) -> StampForm:
    """The form of a column of numbers as texts, of which it is known what they count."""
    try:
        context = _context(job, measured)
        decoded = [text.decode("utf-8", "replace").strip() for text in texts]
        return form_of(of_texts(NumberReader(scale), scale, decoded, context.span), context)
    except UndecidedError as error:
        raise UnusableFileError(job.path, str(error)) from error


def _context(job: Job, measured: Sequence[tuple[int, int]]) -> ColumnContext:
    if job.stamps.since is not None and len(measured) > 1:
        raise UndecidedError(
            "--since: the vehicle's clock was set or restarted in this session; elapsed time does not follow"
        )
    return ColumnContext(",".join(job.columns), SessionSpan.of(measured), job.stamps, job.unit, job.zone)
