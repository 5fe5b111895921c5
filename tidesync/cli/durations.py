"""Durations as options have them: a number and its unit."""

from __future__ import annotations

import re
from decimal import Decimal

import click

_NS_OF = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "min": 60 * 10**9, "h": 3600 * 10**9}
_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)\s?(ns|us|µs|ms|s|min|h)", re.ASCII)


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """Integer ns of `100ms`, `0.5s`, `2min`; a number without its unit is refused."""

    name = "duration"

    def __init__(self, *, zero: bool = False) -> None:
        """`zero`: whether nothing at all is a duration here."""
        self._least = 0 if zero else 1

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The duration, ns."""
        if isinstance(value, int):
            return value
        found = _DURATION.fullmatch(str(value).strip())
        count = Decimal(found[1]) * _NS_OF[found[2]] if found else Decimal(-1)
        if count != int(count) or not self._least <= count < 2**62:
            accepted = f"expected a number and one of {', '.join(_NS_OF)}, as 100ms, in whole ns"
            self.fail(f"{accepted}, received {value!r}", param, ctx)
        return int(count)
