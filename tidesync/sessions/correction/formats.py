"""The formats of tables and of messages, by their files' names, and the names of their outputs.

A format of tables is a module that opens its files as a `table.Table`, and an entry of FORMATS; one of
messages opens them as `messages.format.Messages`, and has an entry of MESSAGES. Text may be compressed
(`session.csv.gz`), and rotated (`session.csv.1`).
"""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from tidesync.sessions.correction.csv.source import COMPRESSED
from tidesync.sessions.correction.csv.table import open_csv
from tidesync.sessions.correction.instrument_clock import HOW
from tidesync.sessions.correction.json_table import open_json_lines
from tidesync.sessions.correction.parquet_table import open_parquet
from tidesync.sessions.errors import NoTimestampError, UnusableFileError
from tidesync.sessions.messages.ass_file import open_ass
from tidesync.sessions.messages.cnv_file import open_cnv
from tidesync.sessions.messages.cockpit_start import EXPECTED, begin_of_name
from tidesync.sessions.messages.log_file import open_influx, open_log
from tidesync.sessions.messages.rosbag2_file import open_rosbag2
from tidesync.sessions.messages.rsk_file import open_rsk
from tidesync.sessions.messages.tlog_file import open_tlog
from tidesync.sessions.messages.video_file import open_video
from tidesync.sessions.messages.wav_file import open_wav

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tidesync.sessions.correction.table import Job, Measured, OpenTable, Table
    from tidesync.sessions.messages.format import Messages, OpenMessages


def _open_netcdf(job: Job, measured: Measured) -> AbstractContextManager[Table]:
    from tidesync.sessions.correction.netcdf_table import open_netcdf  # noqa: PLC0415 - it needs h5netcdf

    return open_netcdf(job, measured)


FORMATS: Mapping[str, OpenTable] = {
    ".cdf": _open_netcdf,
    ".csv": open_csv,
    ".jsonl": open_json_lines,
    ".nc": _open_netcdf,
    ".nc4": _open_netcdf,
    ".ndjson": open_json_lines,
    ".parquet": open_parquet,
    ".tsv": open_csv,
    ".txt": open_csv,
}
"""What opens the tables with a suffix."""


def _open_mcap(job: Job, measured: Measured) -> AbstractContextManager[Messages]:
    from tidesync.sessions.messages.mcap_file import open_mcap  # noqa: PLC0415 - only this format needs mcap

    return open_mcap(job, measured)


def _open_dataflash(job: Job, measured: Measured) -> AbstractContextManager[Messages]:
    from tidesync.sessions.messages.dataflash_file import open_dataflash  # noqa: PLC0415 - it needs pymavlink

    return open_dataflash(job, measured)


def _open_rosbag1(job: Job, measured: Measured) -> AbstractContextManager[Messages]:
    from tidesync.sessions.messages.rosbag1_file import open_rosbag1  # noqa: PLC0415 - it needs rosbags

    return open_rosbag1(job, measured)


_VIDEOS = (".mkv", ".mp4", ".webm")
MESSAGES: Mapping[str, OpenMessages] = {
    ".ass": open_ass,
    ".bag": _open_rosbag1,
    ".bin": _open_dataflash,
    ".cnv": open_cnv,
    ".db3": open_rosbag2,
    ".log": open_log,
    ".lp": open_influx,
    ".mcap": _open_mcap,
    ".nmea": open_log,
    ".rsk": open_rsk,
    ".tlog": open_tlog,
    ".wav": open_wav,
    **dict.fromkeys(_VIDEOS, open_video),
}
"""What opens the files of messages with a suffix."""

_TEXT = {".csv", ".jsonl", ".log", ".lp", ".ndjson", ".nmea", ".tsv", ".txt"}
"""Formats that may be compressed."""
_OF_EITHER = {".tlog"}
_COCKPITS_NAME, _COCKPITS_HEADER = "Cockpit_Data_Log_", b"epoch,timestamp"
"""Of the tables that Cockpit writes."""
_INSTRUMENTS = {".cdf", ".cnv", ".nc", ".nc4", ".rsk", ".wav"}
"""Files of instruments, which have clocks of their own: it must be stated which one stamped them."""
WITHOUT_CLOCK = (
    f"an instrument has a clock of its own: say with --instrument-clock which one stamped it: {HOW}"
)
_COUNTED = {".bin", ".cnv", ".wav"}
"""Files that may count time since a start, which goes on whatever is done to a computer's clock."""
_WITH_SIDECAR = {*_VIDEOS, ".wav"}
"""Continuous recordings: when they began is in JSON beside them."""
_UNCHANGED = {".bin", ".cnv", ".rsk"}
"""Files that stay as they are: their times are in a table beside them."""
_WITH_UNANSWERED = {".ass", ".bag", ".db3", ".log", ".lp", ".mcap", ".nmea", ".tlog"}
"""Files whose messages without an answer go to a file of their own."""
_WITH_ERRORS = _WITH_UNANSWERED - {".db3", ".mcap"}
"""Files that have no place for errors: these are in a table beside the corrected one."""
_OUTPUT, _UNANSWERED = ".topside", ".unanswered"
_ROTATED = re.compile(r"\.\d{1,3}")


def open_table(job: Job, measured: Measured) -> AbstractContextManager[Table]:
    """The job's table; UnusableFileError where no format is known for its name. See `table.OpenTable`.

    NoTimestampError for a file of messages, which has no rows.
    """
    _, suffix, _ = _divided(job.path)
    if suffix.lower() in MESSAGES:
        raise NoTimestampError(job.path, "it has messages, which `tidesync correct` corrects, and no rows")
    if not suffix and job.path.suffix.lower() in _VIDEOS:
        raise NoTimestampError(job.path, f"its name does not say when it began: expected {EXPECTED}")
    if not suffix:
        known = ", ".join((*FORMATS, *MESSAGES))
        reason = f"no format is known for the suffix {job.path.suffix!r} (known: {known})"
        raise UnusableFileError(job.path, reason)
    _check_clock(job, suffix)
    try:
        return FORMATS[suffix.lower()](job, measured)
    except ModuleNotFoundError as error:
        raise _missing(job, error, "export") from error


def open_messages(job: Job, measured: Measured) -> AbstractContextManager[Messages]:
    """The job's file of messages; see `messages.format.OpenMessages`."""
    suffix = _divided(job.path)[1]
    _check_clock(job, suffix)
    try:
        return MESSAGES[suffix.lower()](job, measured)
    except ModuleNotFoundError as error:
        raise _missing(job, error, "logs") from error


def _check_clock(job: Job, suffix: str) -> None:
    """NoTimestampError where an instrument's clock stamped a job's file, and nothing is stated of it."""
    if suffix.lower() in _INSTRUMENTS and job.clock is None:
        raise NoTimestampError(job.path, WITHOUT_CLOCK)


def _missing(job: Job, error: ModuleNotFoundError, extra: str) -> UnusableFileError:
    reason = f"{error.name} is not installed here; it comes with: pip install 'tidesync[{extra}]'"
    return UnusableFileError(job.path, reason)


def is_messages(path: Path) -> bool:
    """Whether a file of this name has messages instead of rows."""
    return _divided(path)[1].lower() in MESSAGES


def is_table(path: Path) -> bool:
    """Whether a file of this name has a known format."""
    return bool(_divided(path)[1])


def format_of(path: Path) -> str:
    """The suffix that decides how a file of this name is read, without its dot; empty: none is known."""
    return _divided(path)[1].lower().removeprefix(".")


def is_netcdf(path: Path) -> bool:
    """Whether a file of this name is netCDF."""
    return FORMATS.get(_divided(path)[1].lower()) is _open_netcdf


def is_of_either_clock(path: Path) -> bool:
    """Whether vehicles and ground stations record such files alike, so that it must be stated whose it is."""
    return _divided(path)[1].lower() in _OF_EITHER or is_of_cockpit(path)


def is_of_cockpit(path: Path) -> bool:
    """Whether Cockpit wrote it, by the clock of the computer on which it ran, which is not the vehicle."""
    suffix = _divided(path)[1].lower()
    if suffix in {".ass", *_VIDEOS} or (suffix and path.name.startswith(_COCKPITS_NAME)):
        return True
    if path.suffix.lower() != ".csv" or not path.is_file():
        return False
    with path.open("rb") as stream:
        begin = stream.read(len(_COCKPITS_HEADER) + 1)
    return begin.startswith(_COCKPITS_HEADER) and begin[-1:] in b",\r\n"


def needs_clock(path: Path) -> bool:
    """Whether an instrument wrote such a file, by a clock of its own that has to be stated."""
    return _divided(path)[1].lower() in _INSTRUMENTS


def needs_topside_raw(path: Path) -> bool:
    """Whether such a file counts time since a start, by a clock that no computer sets."""
    return _divided(path)[1].lower() in _COUNTED


def companions_of(path: Path) -> list[Path]:
    """The files beside one at `path` that are read with it: the subtitles of a video."""
    subtitles = path.with_suffix(".ass")
    return [subtitles] if path.suffix.lower() in _VIDEOS and subtitles.is_file() else []


def output_of(path: Path) -> Path:
    """`NAME.topside.csv` for `NAME.csv`, `NAME.topside.csv.gz` for `NAME.csv.gz`.

    `NAME.bin.topside.csv` for a file of which there is only a table of its times; of a recording `.json`.
    """
    stem, suffix, rest = _divided(path)
    if suffix.lower() in _WITH_SIDECAR:
        return path.with_name(f"{stem}{_OUTPUT}.json")
    if suffix.lower() in _UNCHANGED:
        return sidecar_of(path)
    return path.with_name(f"{stem}{_OUTPUT}{suffix}{rest}")


def is_output(path: Path) -> bool:
    """Whether `path` has the name of an output: never an input."""
    return _divided(path)[0].endswith((_OUTPUT, _UNANSWERED) if is_messages(path) else _OUTPUT)


def written_with(path: Path, output: Path) -> list[Path]:
    """All files that the correction of a file at `path` may write, of which one is `output`."""
    suffix = _divided(path)[1].lower()
    unanswered = [unanswered_of(output)] if suffix in _WITH_UNANSWERED else []
    return [output, *unanswered, *([sidecar_of(output)] if suffix in _WITH_ERRORS else [])]


def unanswered_of(output: Path) -> Path:
    """`NAME.unanswered.mcap` for `NAME.topside.mcap`."""
    stem, suffix, rest = _divided(output)
    return output.with_name(f"{stem.removesuffix(_OUTPUT)}{_UNANSWERED}{suffix}{rest}")


def sidecar_of(output: Path) -> Path:
    """`NAME.tlog.topside.csv` for `NAME.topside.tlog`."""
    stem, suffix, rest = _divided(output)
    return output.with_name(f"{stem.removesuffix(_OUTPUT)}{suffix}{rest}{_OUTPUT}.csv")


def _divided(path: Path) -> tuple[str, str, str]:
    """A file's name before its format's suffix, that suffix, and what follows it; both empty: no format."""
    name, rest = path.name, ""
    for further in (COMPRESSED, None):
        stem, dot, last = name.rpartition(".")
        suffix = f"{dot}{last}"
        is_further = suffix.lower() in further if further else _ROTATED.fullmatch(suffix) is not None
        if stem and is_further:
            name, rest = stem, suffix + rest
    stem, dot, last = name.rpartition(".")
    suffix = f"{dot}{last}"
    text_only = rest.lower().endswith(COMPRESSED)
    known = suffix.lower() in {*FORMATS, *MESSAGES}
    known &= not text_only or suffix.lower() in _TEXT
    known &= suffix.lower() not in _VIDEOS or _is_recording(path, stem)
    return (stem, suffix, rest) if stem and known else (path.stem, "", path.suffix)


def _is_recording(path: Path, stem: str) -> bool:
    """Whether a video is one of Cockpit's: by its name, or by the subtitles beside it."""
    return begin_of_name(stem) is not None or path.with_suffix(".ass").is_file()
