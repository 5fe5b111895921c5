"""`tidesync handshake URL`: one handshake over HTTP, by the consumer's rules."""

from __future__ import annotations

import click

from runtime.clock import SystemClock
from tidesync.errors import NotSoError, SettingsError
from tidesync.figures import error_figure
from topside_agent.http_fallback.handshake import Handshake, from_response
from topside_agent.http_fallback.http_get import InvalidUrlError, get, parse_url


@click.command("handshake")
@click.argument("url")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document with the consumer's keys.")
def command(url: str, *, as_json: bool) -> int:
    """Ask the vehicle at URL (such as http://192.168.2.2:9150) for its time once, and print the offset.

    Exit code 1 when that gives no offset.
    """
    try:
        address = parse_url(url)
    except InvalidUrlError as error:
        raise SettingsError(f"URL: {error}") from error
    handshake = from_response(get(address, SystemClock()))
    if as_json:
        click.echo(handshake.entry().model_dump_json(by_alias=True))
    elif handshake.synced:
        click.echo(_sentence(handshake))
    else:
        raise NotSoError(f"{url}: {handshake.error}: {handshake.detail}")
    return 0 if handshake.synced else 1


def _sentence(handshake: Handshake) -> str:
    entry = handshake.entry()
    assert entry.offset_ms is not None
    ahead = "ahead of" if entry.offset_ms >= 0 else "behind"
    most = error_figure(entry.uncertainty_ms, 3, entry.offset_ms)
    return (
        f"The vehicle's clock is {abs(entry.offset_ms):.3f} ms {ahead} this computer's"
        f" (offset {entry.offset_ms:+.3f} ms), to within {most} ms;"
        f" the round trip took {handshake.rtt_ns / 1e6:.3f} ms."
    )
