"""Makes the common `Exchange` of a direct one, with the names and ids that the agreement gave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from schemas.exchange import UDP, Exchange, fault_of

if TYPE_CHECKING:
    from schemas.exchange import StampKind
    from topside_agent.udp.interface import DirectExchange


def exchange_of(
    direct: DirectExchange,
    *,
    topside: str,
    seq: int,
    boot_id: str,
    topside_boot_id: str | None = None,
    instance_id: str | None = None,
) -> Exchange | None:
    """The exchange as files, messages and the estimator have it; None if no exchange can have these stamps.

    `boot_id` is the Pi's, of its answer over MQTT: a key lives no longer than the process that made it.
    `seq` counts topside's exchanges of every method.
    """
    pi_ns, topside_ns = direct.pi_realtime_minus_raw_ns, direct.topside_realtime_minus_raw_ns
    try:
        exchange = Exchange(
            vehicle=direct.vehicle,
            topside=topside,
            method=UDP.name,
            seq=seq,
            boot_id=boot_id,
            origin_ns=direct.origin_raw_ns + topside_ns,
            receive_ns=direct.receive_raw_ns + pi_ns,
            transmit_ns=direct.transmit_raw_ns + pi_ns,
            destination_ns=direct.destination_raw_ns + topside_ns,
            pi_realtime_minus_raw_ns=pi_ns,
            topside_realtime_minus_raw_ns=topside_ns,
            topside_boot_id=topside_boot_id,
            instance_id=instance_id,
            receive_stamp=direct.receive_stamp,
            transmit_stamp=direct.transmit_stamp,
            resolution_ns=direct.resolution_ns,
            even_ns=direct.even_ns,
            even_within_ns=direct.even_within_ns,
            **_own_stamps(direct),
        )
    except ValidationError:
        return None
    return None if fault_of(exchange) else exchange


def _own_stamps(direct: DirectExchange) -> dict[str, StampKind]:
    """Topside's kinds of stamp, where its hardware took one of the two."""
    if direct.origin_stamp != "hardware" != direct.destination_stamp:
        return {}
    kinds = {"origin_stamp": direct.origin_stamp, "destination_stamp": direct.destination_stamp}
    return {name: kind for name, kind in kinds.items() if kind}
