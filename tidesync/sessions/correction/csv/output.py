"""Rows with their new fields: the bytes of the table, and the fields between them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from tidesync.sessions.correction.csv.layout import Kind
from tidesync.sessions.correction.table import COLUMNS
from tidesync.sessions.correction.timeline import NO_U95, STATES

if TYPE_CHECKING:
    from tidesync.sessions.correction.csv.dialect import Dialect
    from tidesync.sessions.correction.csv.layout import Layout
    from tidesync.sessions.correction.stamps.writing import Texts
    from tidesync.sessions.correction.timeline import Corrections
    from topside_agent.estimator.blocks import Integers

_STATES = [state.encode() for state in (*STATES, "")]  # UNREADABLE, -1, is the last one
_CLOSE = 1 << 14
"""Less than the rows of a block."""


class FieldWriter:
    """Makes the new fields of a table's rows."""

    def __init__(self, form: Any, dialect: Dialect, decimal: str) -> None:
        """`decimal` is the decimal sign of the errors."""
        self._form, self._dialect = form, dialect
        self._decimal = decimal.encode()

    def header(self, head: bytes) -> bytes:
        """The table's bytes up to its first row, with the names of the new columns."""
        dialect = self._dialect
        if dialect.header is None:
            return head[: dialect.begin]
        names = b"".join(dialect.delimiter + name.encode() for name in COLUMNS)
        return head[: dialect.header_end] + names + head[dialect.header_end : dialect.begin]

    def rows(self, layout: Layout, corrections: Corrections) -> bytes:
        """The records of `layout`, each with its new fields."""
        added = self._added(corrections).tolist()
        delimiter = self._dialect.delimiter
        for record in np.flatnonzero(layout.missing).tolist():
            added[record] = delimiter * int(layout.missing[record]) + added[record]
        for record in np.flatnonzero(layout.kind >= Kind.BLANK).tolist():
            added[record] = b""
        line_end = _line_end(layout)
        if line_end:  # as of most tables
            texts = layout.data[: layout.used].split(line_end)
            pieces = [line_end] * (3 * len(added))
            pieces[0::3], pieces[1::3] = texts[:-1], added
        else:
            places = layout.insert.tolist()
            pieces = [b""] * (2 * len(added) + 1)
            pieces[0::2] = [layout.data[a:b] for a, b in pairwise([0, *places, layout.used])]
            pieces[1::2] = added
        return b"".join(pieces)

    def _added(self, corrections: Corrections) -> Texts:
        """A delimiter before each field; those that are not known are empty."""
        delimiter = self._dialect.delimiter
        every, known = self._rest(corrections), np.flatnonzero(corrections.known)
        if not known.size:
            return np.char.add(delimiter, every)
        stamps = np.char.add(delimiter, self._stamps(corrections.topside_ns[known]))
        if known.size == every.size:
            return np.char.add(stamps, every)
        fields = np.char.add(delimiter, every).astype(f"S{stamps.itemsize + every.itemsize}")
        fields[known] = np.char.add(stamps, every[known])
        return fields

    def _stamps(self, unix_ns: Integers) -> Texts:
        texts = self._form.write(unix_ns)
        quoted = self._dialect.delimiter in texts[0]
        return np.char.add(np.char.add(b'"', texts), b'"') if quoted else texts

    def _rest(self, corrections: Corrections) -> Texts:
        """The fields after the time, each with its delimiter before it; few of them differ."""
        columns = [
            _distinct(values)
            for values in (
                self._error_us(corrections.max_error_ns, corrections),
                self._error_us(corrections.u95_ns, corrections),
                corrections.state,
            )
        ]
        which = np.zeros(corrections.state.shape, dtype=np.int64)
        for values, place in columns:
            which = which * values.size + place
        codes, place = _distinct(which)
        errors, u95s, states = (values.tolist() for values, _ in columns)
        made = []
        for code in codes.tolist():
            others, state = divmod(code, len(states))
            error, u95 = divmod(others, len(u95s))
            fields = (self._error(errors[error]), self._error(u95s[u95]), _STATES[states[state]])
            made.append(b"".join(self._dialect.delimiter + each for each in fields))
        texts: Texts = np.array(made, dtype=bytes)[place]
        return texts

    def _error_us(self, error_ns: Integers, corrections: Corrections) -> Integers:
        """An error in whole us, rounded up: a bound stays a bound; NO_U95 where it is not known."""
        known = corrections.known & (error_ns != NO_U95)
        return np.where(known, -(-(error_ns + self._form.step_ns) // 1000), NO_U95)

    def _error(self, error_us: int) -> bytes:
        """In ms, with three decimals."""
        if error_us == NO_U95:
            return b""
        whole, rest = divmod(error_us, 1000)
        text = b"%d%s%03d" % (whole, self._decimal, rest)
        return b'"' + text + b'"' if self._decimal == self._dialect.delimiter else text


def _line_end(layout: Layout) -> bytes:
    """What ends every record, where new fields stand before it and it is nowhere else; else empty."""
    sizes = np.unique(layout.next - layout.end).tolist()
    line_end = {1: b"\n", 2: b"\r\n"}.get(sizes[0], b"") if len(sizes) == 1 else b""
    usual = bool(line_end) and bool((layout.insert == layout.end).all())
    if usual and len(line_end) == 1:  # a lone CR is as short
        usual = bool((np.frombuffer(layout.data, dtype=np.uint8)[layout.end] == line_end[0]).all())
    return line_end if usual and layout.data.count(line_end, 0, layout.used) == layout.end.size else b""


def _distinct(values: Integers) -> tuple[Integers, Integers]:
    """The distinct values, rising, and the place among them of each; without sorting if they are close."""
    least = int(values.min(initial=0))
    if int(values.max(initial=0)) - least >= _CLOSE:
        found, which = np.unique(values, return_inverse=True)
        return found, which
    there = np.zeros(_CLOSE, dtype=np.int64)
    there[values - least] = 1
    return np.flatnonzero(there) + least, (np.cumsum(there) - 1)[values - least]
