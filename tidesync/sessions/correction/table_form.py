"""How a table is written, as the correction takes it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from schemas.base import expectation
from tidesync.sessions.correction.instrument_clock import InstrumentClock, instrument_clock
from tidesync.sessions.correction.stamps.options import AS_FOUND, StampOptions
from tidesync.sessions.correction.table import TextLayout
from tidesync.sessions.correction.table_settings import TableSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


@dataclass(frozen=True, slots=True)
class TableForm:
    """The column of a table's timestamps, how they are written, and how the table is laid out."""

    column: str = "timestamp"
    unit: str | None = None
    stamps: StampOptions = AS_FOUND
    layout: TextLayout = TextLayout()  # noqa: RUF009 - frozen
    clock: InstrumentClock | None = None
    """Which clock stamped it, where it is stated."""
    sample_clock_ppm: float = 100.0
    """How far off an instrument's sample clock may run."""


def form_of(values: Mapping[str, Any]) -> TableForm:
    """The form that settings state; ValueError, which names the option and what was received."""
    try:
        return _form(TableSettings.model_validate(values))
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        option = str(fault["loc"][0]).replace("_", "-")
        reason = f"--{option}: {expectation(fault['msg'])}, received {fault['input']!r}"
        raise ValueError(reason) from error


def stated_by(form: TableForm) -> TableSettings:
    """The settings that state `form`: the inverse of `form_of`."""
    stamps, layout = form.stamps, form.layout
    return TableSettings(
        column=form.column,
        unit=form.unit,
        zone=stamps.zone,
        time_format=stamps.time_format,
        columns=",".join(stamps.columns) or None,
        decimal=stamps.decimal,
        since=stamps.since,
        resolution_ms=stamps.resolution_ms,
        instrument_clock=None if form.clock is None else form.clock.text,
        sample_clock_ppm=form.sample_clock_ppm,
        header_line=layout.header_line,
        comment=layout.comment,
        no_header=not layout.header,
    )


def unused(stated: Iterable[str], known: Iterable[str]) -> Iterator[str]:
    """A sentence for each name in `stated` that no table has."""
    for name in sorted({*stated} - {*known}):
        close = difflib.get_close_matches(name, sorted(known), 1)
        suggested = f'; did you mean "{close[0]}"?' if close else ""
        yield f'[correct."{name}"] of tidesync.toml applies to no table of this session{suggested}'


def _form(stated: TableSettings) -> TableForm:
    if stated.no_header and stated.header_line is not None:
        raise ValueError(f"--header-line {stated.header_line} and --no-header: expected one of them")
    columns = () if stated.columns is None else tuple(stated.columns.split(","))
    stamps = StampOptions(
        stated.zone, stated.time_format, columns, stated.decimal, stated.since, stated.resolution_ms
    )
    layout = TextLayout(stated.header_line, stated.comment, header=not stated.no_header)
    clock = None if stated.instrument_clock is None else instrument_clock(stated.instrument_clock)
    return TableForm(stated.column, stated.unit, stamps.checked(), layout, clock, stated.sample_clock_ppm)
