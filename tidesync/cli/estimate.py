"""`tidesync estimate FILE`: offset and drift computed again from recorded exchanges."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runtime.files import replacing
from schemas.instants import iso_from_ns
from schemas.metadata import EXCHANGES_NAME
from schemas.names import vehicle_name
from tidesync.cli.choice_options import choice_options
from tidesync.errors import NotSoError, SettingsError, named
from tidesync.sessions.errors import UnknownVehicleError
from tidesync.sessions.folder import writing_table
from tidesync.sessions.frames import SUFFIX, open_lines, parts_of
from tidesync.sessions.isolation import StreamFaults, each_made
from tidesync.sessions.journal import LineCounts, Stream, journal_lines, lines_in
from tidesync.sessions.processes import Choice, chosen
from tidesync.sessions.streams import Streams, read_streams
from topside_agent.estimator import Estimate, EstimatorSettings, Segment, Track, online, smooth

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tidesync.sessions.folder import AddRows


@click.command("estimate")
@click.argument("file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option(
    "--track",
    metavar="OUT.csv",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the offset at every exchange.",
)
@click.option(
    "--online",
    "as_online",
    is_flag=True,
    help="What was knowable at each instant; else what is known afterwards, from both sides.",
)
@click.option("--vehicle", metavar="V", help="This vehicle only.")
@choice_options
@click.option(
    "--rate-limit-ppm",
    type=click.FloatRange(0, 100_000, min_open=True),
    default=EstimatorSettings().rate_limit_ppm,
    show_default=True,
    help="Promise that the RAW clocks run no faster apart: narrows the first seconds.",
)
@click.option(
    "--asymmetry-share",
    type=click.FloatRange(0, 1),
    default=EstimatorSettings().asymmetry_share,
    show_default=True,
    help="Share of half the least round trip that u95 includes for unequal ways.",
)
@click.option(
    "--asymmetry-ms",
    type=click.FloatRange(-10_000, 10_000),
    default=0.0,
    show_default=True,
    help="Least delay out less that back, where it is known: the offset is corrected by half of it.",
)
def command(
    *,
    file: str,
    as_json: bool,
    track: Path | None,
    as_online: bool,
    vehicle: str | None,
    choice: Choice,
    rate_limit_ppm: float,
    asymmetry_share: float,
    asymmetry_ms: float,
) -> None:
    """Compute offset and drift again from recorded exchanges.

    FILE is a session's exchanges.jsonl, one exchange a line; - reads standard input. Where there is an
    exchanges.jsonl.zst beside it, either stands for both.
    """
    wanted = named("--vehicle", vehicle_name, vehicle) if vehicle is not None else None
    counts, failed = LineCounts(), StreamFaults()
    with _opened(file) as lines:
        streams = read_streams(lines, counts, lambda exchange: wanted in {None, exchange.vehicle})
    for fault in counts.faults:
        click.echo(fault, err=True)
    settings = EstimatorSettings(
        rate_limit_ppm=rate_limit_ppm, asymmetry_share=asymmetry_share, asymmetry_ms=asymmetry_ms
    )
    estimate = online if as_online else smooth
    found = each_made(_chosen(streams, choice), lambda _, exchanges: estimate(exchanges, settings), failed)
    with _table(track) as add:
        tracks = dict(_without_rows(found, add))
        usable = {stream: each for stream, each in tracks.items() if each.exchanges}
        if not usable:
            whose = f" of vehicle {wanted}" if wanted else ""
            faults = "".join(f"; {complaint}" for complaint in failed.complaints())
            left_out = f"({counts.malformed} malformed lines)"
            raise NotSoError(f"no usable exchange{whose} in {file} {left_out}{faults}")
    if as_json:
        click.echo(_document(tracks, failed, counts))
    else:
        click.echo("\n\n".join(_summary(*item) for item in usable.items()))
    for stream in tracks.keys() - usable.keys():
        click.echo(_unusable(stream, tracks[stream]), err=True)
    if counts.malformed:
        click.echo(f"{counts.malformed} malformed lines were skipped", err=True)
    if failed:
        raise NotSoError("; ".join(failed.complaints()))


@contextmanager
def _opened(file: str) -> Iterator[Iterable[bytes]]:
    path = Path(file)
    if file != "-" and path.name in {part.name for part in parts_of(Path(EXCHANGES_NAME))}:
        yield journal_lines(path.with_name(EXCHANGES_NAME))
    elif path.suffix == SUFFIX:
        with open_lines(path) as stream:
            yield lines_in(stream)
    else:
        with click.open_file(file, "rb") as stream:
            yield stream


def _chosen(streams: Streams, choice: Choice) -> Streams:
    try:
        return chosen(streams, choice)
    except UnknownVehicleError as error:
        raise SettingsError(str(error)) from error


def _without_rows(found: Iterator[tuple[Stream, Track]], add: AddRows) -> Iterator[tuple[Stream, Track]]:
    """Each track in short; its rows go to the table."""
    for stream, track in found:
        if track.rows:
            add(stream, track.rows)
        short = replace(track, rows=())
        del track
        yield stream, short


@contextmanager
def _table(path: Path | None) -> Iterator[AddRows]:
    """Replace `path`, if there is one, by the tracks that are added until the block ends."""
    if path is None:
        yield lambda *_: None
        return
    try:
        with replacing(path) as stream, writing_table(stream) as add:
            yield add
    except OSError as error:
        raise SettingsError(f"--track {path}: {error.strerror}") from error


def _document(tracks: Mapping[Stream, Track], faults: StreamFaults, counts: LineCounts) -> str:
    vehicles = [_entry(*stream, track) for stream, track in tracks.items() if track.exchanges]
    unusable = [_unusable(stream, track) for stream, track in tracks.items() if not track.exchanges]
    failed = [*unusable, *faults.complaints()]
    return json.dumps({"vehicles": vehicles, "malformed": counts.malformed, "failed": failed}, indent=2)


def _unusable(stream: Stream, track: Track) -> str:
    return f"{stream[0]}, measured by {stream[1]}: no usable exchange, {track.rejected} refused"


def _entry(vehicle: str, topside: str, track: Track) -> dict[str, Any]:
    final = _final(track)
    return {
        "vehicle": vehicle,
        "topside": topside,
        "at": iso_from_ns(final.measured_at_ns),
        "offset_ms": _ms(final.offset_ns),
        "max_error_ms": _ms(final.max_error_ns),
        "lower_ms": _ms(final.lower_ns),
        "upper_ms": _ms(final.upper_ns),
        "u95_ms": _ms(final.u95_ns),
        "precision_ms": _ms(final.precision_ns),
        "drift_ppm": final.drift_ppm,
        "drift_error_ppm": final.drift_error_ppm,
        "exchanges": track.exchanges,
        "rejected": track.rejected,
        "segments": [_segment(segment) for segment in track.segments],
    }


def _segment(segment: Segment) -> dict[str, Any]:
    return {
        "from": iso_from_ns(segment.from_ns),
        "to": iso_from_ns(segment.to_ns),
        "offset_ms": _ms(segment.offset_ns),
        "drift_ppm": segment.drift_ppm,
        "max_error_ms": _ms(segment.max_error_ns),
        "cause": segment.cause,
    }


def _final(track: Track) -> Estimate:
    assert track.final is not None, "a track with rows has an estimate"
    return track.final


def _ms(ns: int | None) -> float | None:
    return None if ns is None else ns / 1e6


def _summary(stream: Stream, track: Track) -> str:
    return "\n".join(_lines(stream, track))


def _lines(stream: Stream, track: Track) -> Iterator[str]:
    final = _final(track)
    vehicle, topside = stream
    yield f"{vehicle}, measured by {topside}: {track.exchanges} exchanges used, {track.rejected} refused"
    yield f"  at                {iso_from_ns(final.measured_at_ns)} (topside's clock)"
    yield f"  Pi - topside      {final.offset_ns / 1e6:+.6f} ms"
    yield f"  max error         {final.max_error_ns / 1e6:.6f} ms"
    u95 = "unknown" if final.u95_ns is None else f"{final.u95_ns / 1e6:.6f} ms"
    yield f"  95 % error (u95)  {u95}"
    precision = "unknown" if final.precision_ns is None else f"{final.precision_ns / 1e6:.6f} ms"
    yield f"  precision         {precision} (without asymmetry)"
    yield f"  drift             {_drift(final)}"
    yield "  segments"
    for segment in track.segments:
        drift = "drift unknown" if segment.drift_ppm is None else f"{segment.drift_ppm:+.4f} ppm"
        begun = "" if segment.cause == "start" else f", after: {segment.cause}"
        yield f"    {iso_from_ns(segment.from_ns)} to {iso_from_ns(segment.to_ns)}{begun}"
        yield (
            f"      {segment.offset_ns / 1e6:+.6f} ms at its start, {drift},"
            f" max error {segment.max_error_ns / 1e6:.6f} ms"
        )


def _drift(final: Estimate) -> str:
    if final.drift_ppm is None:
        return "unknown"
    error = "" if final.drift_error_ppm is None else f" ± {final.drift_error_ppm:.4f}"
    return f"{final.drift_ppm:+.4f}{error} ppm"
