"""The record of a session's correction, `time_sync/corrected_files.jsonl`: what need not be done again.

A line of it holds only for its `basis`: the code, the versions of libraries, the rules of time zones, the
options of the whole session, and what was measured in it (`basis_of`). Within one the last line of a file
counts. A line that is not as it has to be (record_lines.py) is none: then the file is corrected again, to the
same bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.files import read
from runtime.files import replace as replace_file
from runtime.version import VERSION
from tidesync.sessions.archive.evidence import digest_of, evidence_of
from tidesync.sessions.archive.one_file import report_of
from tidesync.sessions.archive.record_lines import BeginningLine, line_of
from tidesync.sessions.correction.stamps.zone_rules import rules_sha256
from tidesync.sessions.crate.software import code_sha256, versions
from tidesync.sessions.errors import UnusableFileError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidesync.sessions.archive.one_file import FileReport, FileTask
    from tidesync.sessions.archive.record_lines import Beginning, FileLine
    from tidesync.sessions.correction.session import Options
    from tidesync.sessions.folder import SessionFolder

_log = logging.getLogger(__name__)

_KEPT = ("action", "why", "reason", "format", "columns", "document", "of_what", "place", "remarks")


def basis_of(folder: SessionFolder, options: Options) -> str:
    """What all corrections of a session rest on, libraries and time zones too; UnusableFileError."""
    paths = *folder.growing_paths, folder.events_path, folder.metadata_path
    try:
        digests = [digest_of(path) for path in paths]
    except OSError as error:
        raise UnusableFileError(Path(error.filename or folder.path), error.strerror or str(error)) from error
    limits = options.max_error_ms, options.slew_limit_ppm, options.rate_limit_ppm
    software = VERSION, code_sha256(), rules_sha256(), *sorted(versions().items())
    parts = *software, folder.path.resolve().name, options.choice, limits, *digests
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogateescape")).hexdigest()


def session_of(folder: SessionFolder) -> Path | None:
    """The session of which the files in `folder` were made; None: it is not known."""
    with contextlib.suppress(OSError):
        for content in (read(folder.corrected_files_path) or b"").splitlines():
            line = line_of(content)
            if isinstance(line, BeginningLine):
                return Path(line.session.of)
    return None


@dataclass(slots=True)
class CorrectionRecord:
    """The lines that hold; written one by one, so that whatever ends the program leaves what was done."""

    path: Path
    basis: str
    beginning: Beginning | None = None
    _files: dict[str, tuple[FileLine, bytes]] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: SessionFolder, basis: str) -> CorrectionRecord:
        """That of what was written to `folder`."""
        record = cls(folder.corrected_files_path, basis)
        with contextlib.suppress(OSError):
            content = read(record.path) or b""
            for line in content.splitlines(keepends=True):
                record._take(line)
        return record

    def kept(self, task: FileTask) -> FileReport | None:
        """What became of a file before, if it would come to the same and all that was written is there."""
        line, _ = self._files.get(self._name(task.job.path), (None, b""))
        if line is None:
            return None
        written = {self.path.parent.parent / path: each for path, each in line.outputs.items()}
        same = (
            (line.how, line.output) == (_how(task), self._name(task.output))
            and line.inputs == {self._name(path): each for path, each in task.seen.items()}
            and evidence_of(written) == written
        )
        if not same:
            return None
        report = line.report.model_dump()
        if report["action"] == "corrected":
            report["action"] = "unchanged"
        else:
            report["action"] = "failed" if task.named else "left"
        if report["document"]:
            beside = [str(path) for path in written if path.absolute() != task.output.absolute()]
            also = {"also_written": beside} if "also_written" in report["document"] else {}
            report["document"] |= {"file": str(task.job.path), "output": str(task.output), **also}
        return replace(report_of(task, "unchanged"), **report, written=written)

    def begin(self, beginning: Beginning) -> None:
        """Note it, and forget all lines that do not hold."""
        self.beginning = beginning
        known = {each.name: getattr(beginning, each.name) for each in fields(beginning)}
        lines = [_line({"basis": self.basis, "session": known}), *(each for _, each in self._files.values())]
        with self._named_errors():
            replace_file(self.path, b"".join(lines))

    def add(self, task: FileTask, report: FileReport) -> None:
        """Note what became of a file, if that proves something."""
        if not report.proven or (report.action != "corrected" and report.why != "no_timestamp"):
            return
        line = {
            "basis": self.basis,
            "file": self._name(report.path),
            "output": self._name(report.output),
            "how": _how(task),
            "inputs": {self._name(path): each for path, each in task.seen.items()},
            "outputs": {self._name(path): each for path, each in report.written.items()},
            "report": {name: getattr(report, name) for name in _KEPT},
        }
        with self._named_errors(), self.path.open("ab") as stream:
            stream.write(_line(line))

    def _take(self, content: bytes) -> None:
        line = line_of(content)
        if line is None or line.basis != self.basis or not content.endswith(b"\n"):
            return
        if isinstance(line, BeginningLine):
            self.beginning = line.session
        else:
            self._files[line.file] = line, content

    def _name(self, path: Path) -> str:
        """Within the folder that is written to, where it is in it; else in full."""
        full, folder = path.absolute(), self.path.parent.parent.absolute()
        return full.relative_to(folder).as_posix() if full.is_relative_to(folder) else full.as_posix()

    @contextlib.contextmanager
    def _named_errors(self) -> Any:
        try:
            yield
        except OSError as error:
            _log.warning("%s: %s: a further run does all again", self.path, error.strerror or error)


def _how(task: FileTask) -> str:
    """All that is stated for a file."""
    return repr(replace(task.job, path=Path()))


def _line(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, separators=(",", ":")).encode() + b"\n"
