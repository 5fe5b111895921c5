"""The settings of a correction as data: what `tidesync correct` was asked for, and how each table is written.

They are recorded in the session, and in what is published of it; tables are named by their paths.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

from schemas.metadata import CONSUMER_TOLERANCE_MS
from schemas.names import Topside, Vehicle
from tidesync.sessions.correction.session import Options
from tidesync.sessions.correction.table_form import TableForm, form_of, stated_by
from tidesync.sessions.correction.table_settings import TableSettings
from tidesync.sessions.messages.since_file import divided, since_file
from tidesync.sessions.processes import Choice
from topside_agent.estimator import EstimatorSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tidesync.sessions.correction.table import Job

_Name = Annotated[str, Field(min_length=1, max_length=255)]


class CorrectionSettings(BaseModel):
    """What a correction was asked for; ValidationError names what no correction can be asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    sensors: dict[_Name, Vehicle] = {}
    """Sensor to vehicle."""
    vehicle: Vehicle | None = None
    """Whose clock stamped tables that were named."""
    topside_clock: bool = False
    """Whether topside's own did."""
    topside: Topside | None = None
    instances: tuple[_Name, ...] = ()
    message_stamps: bool = False
    max_error_ms: float = Field(CONSUMER_TOLERANCE_MS, gt=0, le=1e6)
    slew_limit_ppm: float | None = Field(None, ge=0, le=100_000)
    rate_limit_ppm: float = Field(EstimatorSettings().rate_limit_ppm, gt=0, le=100_000)


class RecordedRun(BaseModel):
    """A correction: its settings, and the tables whose corrected files are its."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    settings: CorrectionSettings
    tables: dict[str, TableSettings]
    """Each table, and how it is written."""
    named: tuple[str, ...] = ()
    """Those in no sensor's folder."""

    @classmethod
    def of(cls, options: Options, jobs: list[Job], path_of: Callable[[Path], str]) -> RecordedRun:
        """What was asked for the tables of `jobs`, whose paths are as `path_of` has them."""
        settings = CorrectionSettings(
            sensors=dict(options.sensors),
            vehicle=options.vehicle,
            topside_clock=options.topside_clock,
            topside=options.choice.topside,
            instances=options.choice.instances,
            message_stamps=options.message_stamps,
            max_error_ms=options.max_error_ms,
            slew_limit_ppm=options.slew_limit_ppm,
            rate_limit_ppm=options.rate_limit_ppm,
        )
        tables = {path_of(job.path): _stated(job, path_of) for job in jobs}
        named = tuple(sorted(path_of(job.path) for job in jobs if job.sensor is None))
        return cls(settings=settings, tables=dict(sorted(tables.items())), named=named)

    def paths(self) -> Iterator[str]:
        """The tables, and what they refer to."""
        for path, stated in self.tables.items():
            yield from files_of(path, stated)

    def renamed(self, path_of: Callable[[str], str]) -> RecordedRun:
        """The same where each path is another one."""
        tables = {
            path_of(path): stated.model_copy(update={"since": divided(stated.since).renamed(path_of)})
            for path, stated in self.tables.items()
        }
        return self.model_copy(update={"tables": tables, "named": tuple(map(path_of, self.named))})

    def options(self, placed: Callable[[str], Path]) -> Options:
        """The options; `placed` has where each path is. ValueError names a setting that cannot be used."""
        stated = self.renamed(lambda path: placed(path).as_posix())
        return Options(
            sensors=self.settings.sensors,
            files=[placed(path) for path in self.named],
            vehicle=self.settings.vehicle,
            topside_clock=self.settings.topside_clock,
            forms={path: form_of(each.model_dump()) for path, each in stated.tables.items()},
            choice=Choice(self.settings.topside, self.settings.instances),
            message_stamps=self.settings.message_stamps,
            max_error_ms=self.settings.max_error_ms,
            slew_limit_ppm=self.settings.slew_limit_ppm,
            rate_limit_ppm=self.settings.rate_limit_ppm,
        )


def files_of(path: str, stated: TableSettings) -> Iterator[str]:
    """The path of a table, and of what its settings refer to."""
    yield path
    if log := divided(stated.since).path:
        yield log


def _stated(job: Job, path_of: Callable[[Path], str]) -> TableSettings:
    stated = stated_by(
        TableForm(job.column, job.unit, job.stamps, job.layout, job.clock, job.sample_clock_ppm)
    )
    since = divided(stated.since)
    if since.path is None:
        return stated
    place = path_of(since_file(job.path, since.path))
    return stated.model_copy(update={"since": since.renamed(lambda _: place)})
