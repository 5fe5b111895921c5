"""How a table's timestamps are written, as far as a user states it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidesync.sessions.correction.stamps.calendar import DAY_FIRST, MONTH_FIRST, UNDECIDED, pattern_of_format
from tidesync.sessions.correction.stamps.numbers import NAMED
from tidesync.sessions.correction.stamps.readers import CalendarReader
from tidesync.sessions.correction.stamps.zones import zone_of

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    from tidesync.sessions.correction.stamps.zones import Zone

DATES = {"day-first": DAY_FIRST, "month-first": MONTH_FIRST}
_MOST_COLUMNS = 2


class UndecidedError(ValueError):
    """A column's form cannot be decided; the sentence names what was received, and the option."""


@dataclass(frozen=True, slots=True)
class StampOptions:
    """The options for one table; every field is checked by `checked`."""

    zone: str | None = None
    """Of times that state none: a name, a distance from UTC, or UTC."""
    time_format: str | None = None
    """A strptime format, a name of `numbers.NAMED`, or a name of DATES."""
    columns: tuple[str, ...] = ()
    """Two columns that together are the timestamp; empty: the job's one."""
    decimal: str = "."
    """The decimal sign of numbers."""
    since: str | None = None
    """The instant at which elapsed time is zero, as ISO 8601 or as the column that has it."""
    resolution_ms: float | None = None
    """The user's promise of how finely the timestamps resolve."""

    def checked(self) -> StampOptions:
        """These; ValueError, which names the option, what was received and what is accepted."""
        if self.zone is not None:
            _named("--zone", lambda: zone_of(self.zone or ""))
        if self.time_format is not None and not self.scales and not self.dates:
            accepted = ", ".join((*NAMED, *DATES))
            _named(f"--time-format {self.time_format!r}", self.pattern, f"; or one of {accepted}")
        if self.columns and (len(self.columns) != _MOST_COLUMNS or not all(self.columns)):
            raise ValueError(
                f"--columns: expected two names, as DATE,TIME, received {','.join(self.columns)!r}"
            )
        if self.decimal not in {".", ","}:
            raise ValueError(f"--decimal: expected '.' or ',', received {self.decimal!r}")
        if self.since is not None and self.columns:
            raise ValueError("--since and --columns: expected one of them")
        if self.resolution_ms is not None and self.resolution_ms < 0:
            raise ValueError(f"--resolution-ms: expected 0 or more, received {self.resolution_ms}")
        return self

    @property
    def since_column(self) -> str | None:
        """The column that has the anchors of elapsed times, where `since` is no instant."""
        if self.since is None or CalendarReader(UNDECIDED).parse(self.since.strip()) is not None:
            return None
        return self.since

    @property
    def scales(self) -> bool:
        """Whether the format is that of numbers."""
        return self.time_format in NAMED

    @property
    def dates(self) -> tuple[re.Pattern[str], ...]:
        """The patterns of `day-first` and `month-first`; else none."""
        return DATES.get(self.time_format or "", ())

    def pattern(self) -> re.Pattern[str]:
        """The pattern of a strptime format."""
        return pattern_of_format(self.time_format or "")

    @property
    def stated_zone(self) -> Zone | None:
        """The zone, where one is stated."""
        return None if self.zone is None else zone_of(self.zone)


AS_FOUND = StampOptions()
"""Nothing is stated."""


def _named(option: str, check: Callable[[], object], accepted: str = "") -> None:
    try:
        check()
    except ValueError as error:
        raise ValueError(f"{option}: {error}{accepted}") from error
