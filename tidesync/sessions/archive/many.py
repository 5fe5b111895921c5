"""Corrects an archive of sessions: each is a task of its own, and one that fails ends no other."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from runtime.errors import TidesyncError
from tidesync.errors import NotSoError
from tidesync.figures import bound_figure, counted, in_columns
from tidesync.sessions.archive.finding import targets_of
from tidesync.sessions.archive.found import shown
from tidesync.sessions.archive.one_session import correct_session
from tidesync.sessions.archive.results import CorrectionResults
from tidesync.sessions.archive.workers import InTurn, Lost
from tidesync.sessions.errors import AlreadyCorrectedError, SessionError
from tidesync.sessions.folder import SessionFolder
from tidesync.sessions.isolation import reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tidesync.sessions.archive.finding import FoundSessions
    from tidesync.sessions.archive.one_session import Meter, Request
    from tidesync.sessions.archive.workers import Progress, Workers
    from tidesync.sessions.correction.tables import Left

_HEADS = ("SESSION", "CORRECTED", "BEFORE", "LEFT", "FAILED", "MAX ERROR MS")
_RECORDING = "it is being recorded, or its recorder was ended ({}): once that is so, correct it by itself"


@dataclass(slots=True)
class SessionOutcome:
    """What became of a session."""

    results: CorrectionResults
    left: str = ""
    """Why nothing was done with it."""

    def faults(self) -> list[str]:
        """Why what was asked for is not so."""
        return [] if self.left else self.results.faults()


@dataclass(frozen=True, slots=True)
class _Task:
    session: Path
    request: Request


@dataclass(slots=True)
class ArchiveResults:
    """What became of an archive."""

    outcomes: Sequence[SessionOutcome]
    left: Sequence[Left] = field(default_factory=list)
    """What was named and is no session, or cannot be read."""

    def exit_code(self, *, shown: bool = False) -> int:  # noqa: ARG002 - it repeats none of them
        """0; NotSoError where there is no session, or of one what was asked for is not so."""
        failed = [each for each in self.outcomes if each.faults()]
        if not self.outcomes:
            raise NotSoError("; ".join(map(str, self.left)) or "there is no session")
        if failed:
            names = ", ".join(str(each.results.session) for each in failed[:3])
            more = f" and {len(failed) - 3} more" if len(failed) > 3 else ""  # noqa: PLR2004
            raise NotSoError(f"{len(failed)} of {len(self.outcomes)} sessions have failures: {names}{more}")
        return 0

    def lines(self) -> Iterator[str]:
        """A row for each session, below it what is wrong."""
        if self.outcomes:
            yield in_columns(
                _HEADS,
                [_row(each) for each in self.outcomes],
                [[shown(line) for line in _notes(each) if line] for each in self.outcomes],
            )
        for each in self.left:
            yield f"{shown(each)}; left as it is"

    def document(self) -> dict[str, Any]:
        """All as JSON: of each session the same as if it were corrected by itself."""
        return {
            "sessions": [
                {
                    "state": "left" if each.left else "failed" if each.faults() else "done",
                    "reason": each.left or "; ".join(each.faults()) or None,
                    **each.results.document(),
                }
                for each in self.outcomes
            ],
            "left": [{"path": str(each.path), "why": each.why, "reason": each.reason} for each in self.left],
        }


def correct_archive(
    found: FoundSessions, request: Request, workers: Workers, meter: Meter, done: Callable[[str], None]
) -> ArchiveResults:
    """Correct all sessions; `done` takes a line for each. SettingsError as `targets_of`."""
    targets = targets_of(found, request.output)
    tasks = [_Task(session, replace(request, output=target)) for session, target in targets.items()]
    meter.length = len(tasks)
    outcomes: dict[int, SessionOutcome] = {}
    with closing(workers.each(correct_one, None, tasks, lambda _: None)) as results:
        for number, result in results:
            lost = isinstance(result, Lost)
            outcomes[number] = _failed(tasks[number], result.reason) if lost else result
            meter.update(1)
            done(f"{tasks[number].session}: {_summary(outcomes[number])} ({len(outcomes)} of {len(tasks)})")
    return ArchiveResults([outcomes[number] for number in range(len(tasks))], found.left)


def correct_one(task: _Task, _shared: None, progress: Progress) -> SessionOutcome:
    """Correct a session of an archive; whatever happens is reported."""
    folder = SessionFolder(task.session)
    nothing = SessionOutcome(CorrectionResults(task.session, folder.offsets_path, {}, dry=task.request.dry))
    if folder.recording_path.exists():
        nothing.left = _RECORDING.format(folder.recording_path.relative_to(folder.path))
        return nothing
    try:
        return SessionOutcome(correct_session(task.session, task.request, InTurn(), _Unshown(progress)))
    except AlreadyCorrectedError as error:
        nothing.left = str(error)
        return nothing
    except (SessionError, OSError, TidesyncError) as error:
        return _failed(task, str(error))
    except Exception as error:  # noqa: BLE001 - the other sessions are corrected
        return _failed(task, reason_of(error))


class _Unshown:
    """Counts for whoever started this worker."""

    def __init__(self, progress: Progress) -> None:
        self.length, self.update = 1, progress


def _failed(task: _Task, reason: str) -> SessionOutcome:
    offsets = SessionFolder(task.session).offsets_path
    dry = task.request.dry
    return SessionOutcome(CorrectionResults(task.session, offsets, {}, failed=[reason], dry=dry))


def _notes(outcome: SessionOutcome) -> Iterator[str]:
    yield from outcome.faults() or [outcome.left]
    yield from outcome.results.forgotten_lines()


def _row(outcome: SessionOutcome) -> tuple[str, ...]:
    results = outcome.results
    count = {
        action: sum(each.action == action for each in results.files)
        for action in ("corrected", "planned", "unchanged", "left", "failed")
    }
    left = count["left"] + sum(each.number for each in results.left if each.why != "product")
    errors = [each.document["max_error_ms"] for each in results.tables if each.answered]
    worst = bound_figure(max(errors, default=None), 3)
    done = count["corrected"] + count["planned"]
    numbers = done, count["unchanged"], left, max(count["failed"], len(outcome.faults()))
    return (shown(results.session), *map(str, numbers), worst)


def _summary(outcome: SessionOutcome) -> str:
    if outcome.left:
        return "left as it is"
    if faults := outcome.faults():
        return faults[0].removeprefix(f"{outcome.results.session}: ")
    return counted(len(outcome.results.tables), "file")
