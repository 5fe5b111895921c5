"""`tidesync pi`: the vehicle's agent, on this machine's clock or a simulated one."""

from __future__ import annotations

import click

from broker.settings import warn_of_other_name
from pi_agent.agent import PiAgent
from pi_agent.settings import PiSettings
from runtime.clock import Clock, SimulatedClock, Step, SystemClock
from runtime.lifecycle import run_agent
from tidesync.settings import with_settings

_MOST_SECONDS = 1e9
"""Some thirty years, so that a simulated clock stays after 1970."""
_MOST_PPM = 1000.0


def _bounded(number: float, most: float, unit: str) -> float:
    if not abs(number) <= most:  # so written, it refuses NaN too
        raise click.BadParameter(f"expected {unit} within ±{most:g} (received {number})")
    return number


def _seconds(text: str) -> float:
    try:
        return _bounded(float(text), _MOST_SECONDS, "seconds")
    except ValueError as error:
        raise click.BadParameter(f"expected seconds (received {text!r})") from error


def _step(text: str) -> Step:
    after, colon, by = text.partition(":")
    if not colon or _seconds(after) < 0:
        raise click.BadParameter(
            f"expected AFTER:BY, in seconds from the start, as in 30:3.0 (received {text!r})"
        )
    return Step(_seconds(after), round(_seconds(by) * 1e9))


def _offset_ns(_context: click.Context, _parameter: click.Parameter, text: str | None) -> int | None:
    return None if text is None else round(_seconds(text) * 1e9)


def _drift_ppm(_context: click.Context, _parameter: click.Parameter, ppm: float | None) -> float | None:
    return None if ppm is None else _bounded(ppm, _MOST_PPM, "ppm")


def _steps(_context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> tuple[Step, ...]:
    return tuple(_step(text) for text in texts)


@click.command(help="Run the vehicle's agent: answer pings, serve GET /api/sync/time.")
@click.option(
    "--simulate-offset-s",
    "offset_ns",
    callback=_offset_ns,
    metavar="S",
    help="Answer from a simulated clock, this far ahead of this machine's",
)
@click.option(
    "--simulate-drift-ppm",
    "drift_ppm",
    type=float,
    callback=_drift_ppm,
    metavar="PPM",
    help="Answer from a simulated clock that runs this much fast",
)
@click.option(
    "--simulate-step",
    "steps",
    callback=_steps,
    metavar="AFTER:BY",
    multiple=True,
    help="Step the simulated clock AFTER seconds from the start BY seconds; may be repeated",
)
@with_settings(PiSettings)
def command(
    settings: PiSettings,
    *,
    offset_ns: int | None,
    drift_ppm: float | None,
    steps: tuple[Step, ...],
) -> int:
    """Run the agent until SIGTERM or SIGINT."""
    warn_of_other_name(settings.account, "vehicle", settings.vehicle)
    clock: Clock = SystemClock()
    if steps or offset_ns is not None or drift_ppm is not None:
        clock = SimulatedClock(clock, offset_ns or 0, drift_ppm or 0.0, steps)
    return run_agent(PiAgent(settings, clock), settings.heartbeat_file)
