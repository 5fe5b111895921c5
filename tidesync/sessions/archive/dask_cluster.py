"""A Dask cluster that does tasks: its scheduler divides them, and tries one whose worker died on others.

Files stay where they are: workers read and write them by the same paths. `distributed` is imported by whoever
asks for a cluster alone.
"""

from __future__ import annotations

import logging
import platform
import warnings
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NoReturn

from runtime.version import VERSION
from tidesync.errors import NotSoError, SettingsError
from tidesync.sessions.archive.evidence import evidence_of
from tidesync.sessions.archive.workers import Lost
from tidesync.sessions.correction.stamps.zone_rules import rules_sha256

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from schemas.compat import Self
    from tidesync.sessions.archive.workers import Progress, Results, Work

_PATIENCE_S = 15
_CHATTY = ("distributed", "distributed.client")
_DISTRIBUTION = "tidesync"
_SAME_PATH = "all workers must have the files under the same path"


class DaskCluster:
    """See `workers.Workers`."""

    def __init__(self, address: str, *, patience_s: float = _PATIENCE_S) -> None:
        """NotSoError where no scheduler answers, it has no workers, or they are not as this program is."""
        from distributed import Client  # noqa: PLC0415 - of the extra `dask`

        for name in _CHATTY:  # its import has set their levels
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            self._client = Client(address, timeout=patience_s, set_as_default=False)
        except ValueError as error:
            raise SettingsError(f"--dask {address}: expected tcp://HOST:PORT: {error}") from error
        except (OSError, TimeoutError) as error:
            raise NotSoError(f"--dask {address}: no scheduler answers: {error}") from error
        self._address = address
        try:
            self._check_versions(patience_s)
        except BaseException:
            self._client.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def check_paths(self, paths: Iterable[Path]) -> None:
        """NotSoError where a worker does not see these files as they are here."""
        here = evidence_of(path.absolute() for path in paths)
        for worker, there in self._client.run(evidence_of, [*here]).items():
            for path, evidence in here.items():
                if there[path] != evidence:
                    how = "is not there" if there[path].size is None else "is another file there"
                    self._refuse(f"{path} {how} for the worker {worker}: {_SAME_PATH}")

    def each(self, work: Work, shared: Any, tasks: Sequence[Any], progress: Progress) -> Results:
        """As `workers.Workers`; what workers died with is tried by itself again: others may be to blame."""
        from distributed.scheduler import KilledWorker  # noqa: PLC0415 - of the extra `dask`

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sending large graph")
            common = self._client.submit(_given, shared, pure=False)
        given = work, tasks, common
        again: list[int] = []
        try:
            for number, future in self._done(given, range(len(tasks))):
                if isinstance(future.exception(), KilledWorker):
                    again.append(number)
                    continue
                yield number, future.result()
                progress(getattr(tasks[number], "size", 0))
            for each in again:
                for number, future in self._done(given, [each]):
                    error = future.exception()
                    killed = isinstance(error, KilledWorker)
                    yield number, Lost(_why_killed(error)) if killed else future.result()
                    progress(getattr(tasks[number], "size", 0))
        finally:
            self._client.cancel([common], force=True)

    def _done(
        self, given: tuple[Work, Sequence[Any], Any], numbers: Sequence[int]
    ) -> Iterator[tuple[int, Any]]:
        """The number and the future of each task, as they are done; whoever closes this cancels the rest."""
        from distributed import as_completed  # noqa: PLC0415 - of the extra `dask`

        work, tasks, common = given
        futures = {
            self._client.submit(_worked, work, tasks[number], common, pure=False, priority=-place): number
            for place, number in enumerate(numbers)
        }
        try:
            for future in as_completed([*futures], loop=self._client.loop):
                if future.cancelled():
                    self._refuse("its scheduler is gone, or has cancelled what it was asked for")
                yield futures[future], future
        finally:
            self._client.cancel([*futures], force=True)

    def _check_versions(self, patience_s: float) -> None:
        """NotSoError where a worker has not the same Tidesync, Python, NumPy, zones: bytes could differ."""
        try:
            self._client.wait_for_workers(1, timeout=patience_s)
        except TimeoutError:
            self._refuse("its scheduler has no worker")
        for name, expected in {_DISTRIBUTION: VERSION, "numpy": version("numpy")}.items():
            for worker, there in self._client.run(version, name, on_error="return").items():
                if there != expected:
                    has = f"{name} {there}" if isinstance(there, str) else f"no {name}"
                    self._refuse(f"the worker {worker} has {has}; expected {expected}, as here")
        for worker, there in self._client.run(rules_sha256, on_error="return").items():
            if there != rules_sha256():
                self._refuse(
                    f"the worker {worker} has other rules of time zones; expected the same tzdata as here"
                )
        here = platform.python_version()
        for worker, there in self._client.run(platform.python_version).items():
            if there.rpartition(".")[0] != here.rpartition(".")[0]:
                self._refuse(f"the worker {worker} runs Python {there}; expected {here}, as here")

    def _refuse(self, reason: str) -> NoReturn:
        raise NotSoError(f"--dask {self._address}: {reason}")


def _why_killed(error: Any) -> str:
    times, last = error.allowed_failures + 1, error.last_worker.address
    return f"{times} workers that worked on it alone died, the last one was {last}: too little memory?"


def _given(shared: Any) -> Any:
    """On a worker: what all tasks share, a task itself so that it is made again where its worker dies."""
    return shared


def _worked(work: Work, task: Any, shared: Any) -> Any:
    return work(task, shared, _unseen)


def _unseen(_done: int) -> None:
    """Workers do not tell how far they are."""
