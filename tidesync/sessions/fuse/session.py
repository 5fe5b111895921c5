"""A session's tables, corrected and fused, and what became of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runtime.files import replacing
from tidesync.errors import NotSoError
from tidesync.figures import counted
from tidesync.sessions.errors import NoTimestampError
from tidesync.sessions.fuse.axis import Fused, Manner, fused
from tidesync.sessions.fuse.fields import fields_of
from tidesync.sessions.fuse.sensors import CorrectedArrays, corrected_arrays, sensors_of
from tidesync.sessions.fuse.writers import WRITERS
from tidesync.sessions.isolation import complaint_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from tidesync.sessions.correction.driver import ProgressCallback
    from tidesync.sessions.correction.prepared import Prepared


@dataclass
class Fusion:
    """A fused session."""

    result: Fused
    left: list[str]
    """Tables that were not read, a sentence each."""
    failed: list[str] = field(default_factory=list)
    unused: Sequence[str] = ()
    """Which settings of single tables apply to none; a sentence each."""

    def write(self, output: Path, progress: ProgressCallback) -> None:
        """Read the texts of the rows that are used, and write the table; SessionError or OSError.

        Texts are kept in a file without a name beside the output meanwhile.
        """
        kinds = self.result.method == "linear" or output.suffix.lower() != ".csv"
        for sensor, pairs in zip(self.result.sensors, self.result.pairs, strict=True):
            sensor.read_texts(pairs.used(sensor.times.known.size), output.parent, progress, kinds=kinds)
        with replacing(output) as stream:
            WRITERS[output.suffix.lower()](fields_of(self.result), self.result.instants_ns.size, stream)

    def unpaired(self) -> Iterator[str]:
        """The sensors that have no row on the axis, a sentence each."""
        for sensor, pairs in zip(self.result.sensors, self.result.pairs, strict=True):
            if not pairs.paired.any():
                counts = ", ".join(f"{number} {name}" for name, number in sensor.counts.items() if number)
                yield f"{sensor.name}: none of its rows is on the time axis ({counts or 'there is none'})"

    def lines(self) -> Iterator[str]:
        """The summary: a line for each sensor."""
        for sensor, pairs, reasons in self._by_sensor():
            counts = ", ".join(f"{number} {name}" for name, number in sensor.counts.items() if number)
            missing = "".join(f", none at {number} ({reason})" for reason, number in reasons.items())
            yield f"{sensor.name}: {counts}; a row at {counted(int(pairs.paired.sum()), 'instant')}{missing}"
        for line in self.left:
            yield f"{line}; left as it is"

    def document(self) -> dict[str, Any]:
        """All as JSON; reasons count instants of the axis."""
        errors = self.result.max_error_ns(0, self.result.instants_ns.size)
        return {
            "rows": int(self.result.instants_ns.size),
            "states": self.result.counts(),
            "max_error_ms": int(errors.max()) / 1e6 if errors.any() else None,
            "sensors": [
                {
                    "sensor": sensor.name,
                    "vehicle": sensor.vehicle,
                    "files": [str(table.job.path) for table in sensor.tables],
                    **sensor.counts,
                    "paired": int(pairs.paired.sum()),
                    "unpaired": reasons,
                }
                for sensor, pairs, reasons in self._by_sensor()
            ],
            "left": self.left,
            "failed": self.failed,
            "unused_settings": [*self.unused],
        }

    def _by_sensor(self) -> Iterator[tuple[Any, Any, dict[str, int]]]:
        found = zip(self.result.sensors, self.result.pairs, self.result.unpaired, strict=True)
        for sensor, pairs, reasons in found:
            yield sensor, pairs, dict(reasons)


def fuse(prepared: Prepared, manner: Manner, named: Collection[Path], progress: ProgressCallback) -> Fusion:
    """Correct the tables and pair their rows; NotSoError where there is none.

    `named` are the tables, resolved, that were asked for by name.
    """
    tables: list[CorrectedArrays] = []
    left = [*prepared.sentences, *(f"{sensor}: {reason}" for sensor, reason in prepared.skipped.items())]
    failed = [*prepared.faults]
    for job in prepared.jobs:
        try:
            tables.append(corrected_arrays(job, prepared.timeline_of(job), progress))
        except NoTimestampError as error:
            (failed if job.path.resolve() in named else left).append(str(error))
        except Exception as error:  # noqa: BLE001 - the other tables are fused
            failed.append(complaint_of(str(job.path), error))
    if not tables:
        raise NotSoError(
            "; ".join(failed)
            or "there is no table to fuse; those of the sensors are found, others named with --file"
        )
    return Fusion(fused(sensors_of(tables), manner), left, failed, prepared.unused)
