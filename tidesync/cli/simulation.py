"""Options that put a simulated clock in place of this machine's: offset, drift, steps, slews, suspends."""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from runtime.clock import SimulatedClock, Slew, Step, Suspend, SystemClock
from tidesync.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.clock import Clock

_MOST_SECONDS = 1e9
"""Some thirty years, so that a simulated clock stays after 1970."""
_MOST_PPM = 100_000.0
_MOST_SLEW_PPM = 100_500.0
"""Linux slews no faster: ±10 % by its tick, ±500 ppm by its frequency."""


def _bounded(number: float, most: float, unit: str) -> float:
    if not abs(number) <= most:  # so written, it refuses NaN too
        raise click.BadParameter(f"expected {unit} within ±{most:g}, received {number}")
    return number


def _number(text: str, unit: str, most: float = _MOST_SECONDS) -> float:
    try:
        number = float(text)
    except ValueError as error:
        raise click.BadParameter(f"expected {unit}, received {text!r}") from error
    return _bounded(number, most, unit)


def _parts(text: str, form: str, example: str) -> list[str]:
    parts = text.split(":")
    if len(parts) != form.count(":") + 1 or _number(parts[0], "seconds") < 0:
        raise click.BadParameter(
            f"expected {form}, in seconds from the start, as in {example}, received {text!r}"
        )
    return parts


def _step(text: str) -> Step:
    after, by = _parts(text, "AFTER:BY", "30:3.0")
    return Step(_number(after, "seconds"), round(_number(by, "seconds") * 1e9))


def _slew(text: str) -> Slew:
    after, ppm, seconds = _parts(text, "START_S:PPM:SECONDS", "10:83333:24")
    return Slew(_number(after, "seconds"), _number(ppm, "ppm", _MOST_SLEW_PPM), _duration_s(seconds))


def _suspend(text: str) -> Suspend:
    after, seconds = _parts(text, "START_S:SECONDS", "5:3")
    return Suspend(_number(after, "seconds"), _duration_s(seconds))


def _duration_s(text: str) -> float:
    seconds = _number(text, "seconds")
    if seconds <= 0:
        raise click.BadParameter(f"expected more than 0 seconds, received {text!r}")
    return seconds


def _each(parse: Callable[[str], Any]) -> Callable[..., tuple[Any, ...]]:
    return lambda _context, _parameter, texts: tuple(parse(text) for text in texts)


def _offset_ns(_context: click.Context, _parameter: click.Parameter, text: str | None) -> int | None:
    return None if text is None else round(_number(text, "seconds") * 1e9)


def _drift_ppm(_context: click.Context, _parameter: click.Parameter, ppm: float | None) -> float | None:
    return None if ppm is None else _bounded(ppm, _MOST_PPM, "ppm")


_OPTIONS = (
    click.option(
        "--simulate-offset-s",
        "offset_ns",
        callback=_offset_ns,
        metavar="S",
        help="Use a simulated clock, this far ahead of this machine's",
    ),
    click.option(
        "--simulate-drift-ppm",
        "drift_ppm",
        type=float,
        callback=_drift_ppm,
        metavar="PPM",
        help="Use a simulated clock that runs this much fast",
    ),
    click.option(
        "--simulate-step",
        "steps",
        callback=_each(_step),
        metavar="AFTER:BY",
        multiple=True,
        help="Step the simulated clock AFTER seconds from the start BY seconds; may be repeated",
    ),
    click.option(
        "--simulate-slew",
        "slews",
        callback=_each(_slew),
        metavar="START_S:PPM:SECONDS",
        multiple=True,
        help="Slew its realtime alone, START_S seconds from the start, for SECONDS; may be repeated",
    ),
    click.option(
        "--simulate-suspend",
        "suspends",
        callback=_each(_suspend),
        metavar="START_S:SECONDS",
        multiple=True,
        help="Let the machine sleep, START_S seconds from the start, for SECONDS; may be repeated",
    ),
    click.option(
        "--simulate-kernel-flag",
        "kernel_flag",
        type=click.Choice(["synchronized", "unsynchronized"]),
        help="What the simulated clock's kernel claims about it",
    ),
    click.option(
        "--simulate-truth",
        "truth",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Write one JSON line at the start, from which this clock can be computed at any instant",
    ),
)


def with_simulation(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a click command: the options choose its `clock`, this machine's where none is given."""

    @functools.wraps(function)
    def command(
        *positional: Any,
        offset_ns: int | None,
        drift_ppm: float | None,
        steps: tuple[Step, ...],
        slews: tuple[Slew, ...],
        suspends: tuple[Suspend, ...],
        kernel_flag: Literal["synchronized", "unsynchronized"] | None,
        truth: Path | None,
        **values: Any,
    ) -> Any:
        clock: Clock = SystemClock()
        plain = offset_ns is None and drift_ppm is None and kernel_flag is None and truth is None
        if steps or slews or suspends or not plain:
            clock = SimulatedClock(
                clock,
                offset_ns or 0,
                drift_ppm or 0.0,
                steps,
                slews=slews,
                suspends=suspends,
                kernel_flag=kernel_flag or "unsynchronized",
            )
            if truth is not None:
                _write(truth, clock)
        return function(*positional, clock=clock, **values)

    decorated: Callable[..., Any] = command
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


def truth_of(clock: SimulatedClock) -> dict[str, Any]:
    """What determines a simulated clock. All seconds are on the RAW of the machine that it runs on.

    With t = that machine's RAW − `started_raw_ns`, all in ns: asleep(t) is the part of t in `suspends`,
    awake(t) the rest. RAW is `started_raw_ns` + awake × (1 + `drift_ppm`/10⁶); realtime is
    `started_realtime_ns` + `offset_ns` + awake × (1 + `drift_ppm`/10⁶) + asleep + the steps until t +
    `ppm`/10⁶ × the part of t in each of the `slews`.
    """
    return {
        "suspends": [dataclasses.asdict(suspend) for suspend in clock.suspends],
        "started_raw_ns": clock.started_raw_ns,
        "started_realtime_ns": clock.started_realtime_ns,
        "offset_ns": clock.offset_ns,
        "drift_ppm": clock.drift_ppm,
        "steps": [dataclasses.asdict(step) for step in clock.steps],
        "slews": [dataclasses.asdict(slew) for slew in clock.slews],
    }


def _write(path: Path, clock: SimulatedClock) -> None:
    try:
        path.write_text(json.dumps(truth_of(clock)) + "\n", encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"--simulate-truth: {path}: {(error.strerror or str(error)).lower()}") from error
