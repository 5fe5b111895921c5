"""Corrects a Parquet table: its columns as they are, three more after them, row group by row group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidesync.sessions.correction.outcome import Outcome
from tidesync.sessions.correction.output import output_of, replacing
from tidesync.sessions.correction.stamps import EARLIEST_NS, LATEST_NS, NS_OF_UNIT, StampReader
from tidesync.sessions.correction.table import COLUMNS, Corrector, Job, Progress
from tidesync.sessions.correction.timeline import HOLDOVER, STATES
from tidesync.sessions.errors import NoTimestampError, UnusableFileError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidesync.sessions.correction.timeline import Answers, Timeline

_BATCH = 65_536


def correct_parquet(job: Job, timeline: Timeline, progress: Progress) -> Outcome:
    """Write `NAME.topside.parquet` beside `job.path`; the corrected instant is a UTC timestamp in ns."""
    import pyarrow as pa  # noqa: PLC0415 - only Parquet needs it
    from pyarrow import parquet  # noqa: PLC0415

    outcome = Outcome(job.path, output_of(job.path), job.vehicle)
    try:
        with parquet.ParquetFile(job.path) as file:
            _check(job, file.schema_arrow.names)
            corrector = Corrector(timeline)
            row_bytes = job.path.stat().st_size / max(file.metadata.num_rows, 1)
            field = file.schema_arrow.field(job.column)
            if corrector.passes > 1:
                column = _Column(job, timeline, field)
                for batch in file.iter_batches(_BATCH, columns=[job.column]):
                    corrector.note(column.stamps(batch.column(0)))
                    progress(round(batch.num_rows * row_bytes))
            column = _Column(job, timeline, field)
            for rows in _write(file, column, corrector, outcome):
                progress(round(rows * row_bytes))
    except pa.ArrowException as error:
        raise UnusableFileError(job.path, str(error).strip()) from error
    return outcome


def _write(file: Any, column: _Column, corrector: Corrector, outcome: Outcome) -> Iterator[int]:
    """Write the output, batch by batch; yields how many rows each had."""
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import parquet  # noqa: PLC0415

    kinds = (pa.timestamp("ns", tz="UTC"), pa.float64(), pa.string())
    schema = file.schema_arrow
    for name, kind in zip(COLUMNS, kinds, strict=True):
        schema = schema.append(pa.field(name, kind))
    with (
        replacing(outcome.output) as stream,
        parquet.ParquetWriter(stream, schema, compression=_compression(file)) as writer,
    ):
        for batch in _groups(file):
            added = column.corrected(batch, corrector, outcome, kinds)
            writer.write_batch(pa.record_batch([*batch.columns, *added], schema=schema))
            yield batch.num_rows


def _groups(file: Any) -> Iterator[Any]:
    for group in range(file.num_row_groups):
        yield from file.iter_batches(_BATCH, row_groups=[group])


def _check(job: Job, names: list[str]) -> None:
    if job.column not in names:
        raise NoTimestampError(job.path, f"there is no column {job.column!r} (received {names})")
    taken = [name for name in COLUMNS if name in names]
    if taken:
        raise UnusableFileError(
            job.path, f"there is a column {taken[0]} already: it has been corrected before"
        )


def _compression(file: Any) -> str:
    if file.num_row_groups and file.metadata.row_group(0).num_columns:
        return str(file.metadata.row_group(0).column(0).compression)
    return "SNAPPY"


class _Column:
    """One reading of the timestamp column, which holds timestamps, numbers or text."""

    def __init__(self, job: Job, timeline: Timeline, field: Any) -> None:
        from pyarrow import types  # noqa: PLC0415

        kind = field.type
        self._scale = NS_OF_UNIT[kind.unit] if types.is_timestamp(kind) else None
        texts = types.is_string(kind) or types.is_large_string(kind)
        if not (self._scale or texts or types.is_integer(kind) or types.is_floating(kind)):
            reason = f"column {job.column!r} holds {kind}: expected timestamps, numbers or text"
            raise UnusableFileError(job.path, reason)
        self._reader = StampReader(job.unit, timeline.middle_ns)
        self._name, self._row = job.column, 0

    def stamps(self, column: Any) -> list[int | None]:
        """Unix ns of each value, None where it is none."""
        if self._scale is None:
            return [None if value is None else self._reader.read(str(value)) for value in column.to_pylist()]
        counts = (
            None if value is None else value * self._scale for value in column.cast("int64").to_pylist()
        )
        return [ns if ns is not None and EARLIEST_NS <= ns <= LATEST_NS else None for ns in counts]

    def corrected(
        self, batch: Any, corrector: Corrector, outcome: Outcome, kinds: tuple[Any, ...]
    ) -> list[Any]:
        """The three new columns of a batch; null where there is no answer."""
        import pyarrow as pa  # noqa: PLC0415

        values = batch.column(self._name)
        stamps = self.stamps(values)
        answers = corrector.answer(stamps)
        outcome.count(answers)
        rows = _rows(stamps, answers)
        for place, stamp in enumerate(stamps, start=self._row + 1):
            if stamp is None:
                outcome.refuse(place, str(values[place - self._row - 1].as_py()))
        self._row += len(stamps)
        return [
            pa.array(list(column), kind) for column, kind in zip(zip(*rows, strict=True), kinds, strict=True)
        ]


def _rows(stamps: list[int | None], answers: Answers) -> list[tuple[int | None, float | None, str | None]]:
    """Topside instant (ns), max error (ms) and state of every row, malformed ones among them."""
    found = iter(zip(*(column.tolist() for column in answers), strict=True))
    rows: list[tuple[int | None, float | None, str | None]] = []
    for stamp in stamps:
        if stamp is None:
            rows.append((None, None, None))
            continue
        topside_ns, max_error_ns, state = next(found)
        given = state <= HOLDOVER
        rows.append((topside_ns if given else None, max_error_ns / 1e6 if given else None, STATES[state]))
    return rows
