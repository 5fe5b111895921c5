"""Exchanges of a vehicle as a standby hears them of their owner."""

from tests.unit.contracts import EXCHANGE

S = 1_000_000_000


def exchange_at(at_ns, **changes):
    """One that was made at this RAW, with the vehicle 5 ms ahead and a way of 1 ms out and back."""
    fields = {
        "topside_boot_id": "boot",
        "instance_id": "owner-1",
        "seq": at_ns // S,
        "origin_ns": at_ns - 2_000_000,
        "receive_ns": at_ns + 4_000_000,
        "transmit_ns": at_ns + 4_000_000,
        "destination_ns": at_ns,
        "topside_realtime_minus_raw_ns": 0,
        "pi_realtime_minus_raw_ns": 0,
        **changes,
    }
    return EXCHANGE.model_copy(update=fields)
