"""Rows with their new fields: the bytes of the table, and the fields between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tidesync.sessions.correction.csv.layout import Kind
from tidesync.sessions.correction.table import COLUMNS
from tidesync.sessions.correction.timeline import NO_U95, STATES

if TYPE_CHECKING:
    from tidesync.sessions.correction.csv.dialect import Dialect
    from tidesync.sessions.correction.csv.layout import Layout
    from tidesync.sessions.correction.timeline import Corrections
    from topside_agent.estimator.blocks import Integers

Texts = NDArray[np.bytes_]
_STATES = np.array([*STATES, ""], dtype=bytes)  # UNREADABLE, -1, is the last one


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
        data, places = layout.data, layout.insert.tolist()
        pieces = [b""] * (2 * len(places) + 1)
        pieces[0::2] = [data[a:b] for a, b in zip([0, *places], [*places, layout.used], strict=True)]
        pieces[1::2] = added
        return b"".join(pieces)

    def _added(self, corrections: Corrections) -> Texts:
        """A delimiter before each field; those that are not known are empty."""
        delimiter = self._dialect.delimiter
        state = np.strings.add(delimiter, _STATES[corrections.state])
        known = np.flatnonzero(corrections.known)
        if not known.size:
            return np.strings.add(delimiter * (len(COLUMNS) - 1), state)
        stamp = np.strings.add(delimiter, self._stamps(corrections.topside_ns[known]))
        step_ns = self._form.step_ns
        fields = np.strings.add(stamp, self._errors(corrections.max_error_ns[known], step_ns))
        fields = np.strings.add(fields, self._errors(corrections.u95_ns[known], step_ns))
        fields = np.strings.add(fields, state[known])
        if known.size == state.size:
            return fields
        every = np.strings.add(delimiter * (len(COLUMNS) - 1), state).astype(
            f"S{max(fields.itemsize, state.itemsize + 3)}"
        )
        every[known] = fields
        return every

    def _stamps(self, unix_ns: Integers) -> Texts:
        texts = np.array(self._form.write(unix_ns), dtype=bytes)
        quoted = self._dialect.delimiter in texts[0]
        return np.strings.add(np.strings.add(b'"', texts), b'"') if quoted else texts

    def _errors(self, error_ns: Integers, step_ns: int) -> Texts:
        """A delimiter and the error in ms with three decimals, rounded up: a bound stays a bound."""
        rounded = np.where(error_ns == NO_U95, NO_U95, -(-(error_ns + step_ns) // 1000))
        values, which = np.unique(rounded, return_inverse=True)
        texts: Texts = np.array([self._dialect.delimiter + self._error(us) for us in values.tolist()])[which]
        return texts

    def _error(self, error_us: int) -> bytes:
        if error_us == NO_U95:
            return b""
        whole, rest = divmod(error_us, 1000)
        text = b"%d%s%03d" % (whole, self._decimal, rest)
        return b'"' + text + b'"' if self._decimal == self._dialect.delimiter else text
