"""What a standby keeps of the vehicles' exchanges with their owners, and gives to its estimator, pure.

An exchange says how far the vehicle's RAW clock is from that of topside's machine, whichever process made it:
it holds for this process too if both read one and the same RAW clock. Of another machine nothing is used: its
RAW clock differs by an unknown offset, and by a rate that is known no better than that of any clock.
"""

from __future__ import annotations

import zlib
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from schemas.base import MAX_MESSAGE_BYTES, InvalidMessageError
from schemas.exchange import fault_of, method_named
from schemas.messages import ExchangeBatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from schemas.exchange import Exchange

KEEP_NS = 120_000_000_000
"""For so long a standby remembers a vehicle's exchanges."""
_MOST_BYTES = 262_144
"""Of one vehicle, compressed; a busy one is remembered for less long."""
_THIN_NS = 2_000_000_000
"""The estimator keeps the narrowest of so long: the others would cost time and narrow nothing."""
_RECENT_NS = 16_000_000_000
_FEW, _MANY = 16, 100
"""Where more vehicles are taken over together, the narrowest of each 8 s, or 16, are used of what is older
than `_RECENT_NS`: the last vehicle is not to wait for seconds. The bound hardly widens, as it rests on few;
u95 is greater for a while."""


class Batch(NamedTuple):
    """Exchanges that `topside` published, arrived at this topside's RAW `received_ns`."""

    received_ns: int
    topside: str
    payload: bytes


class Followed:
    """Batches of exchanges as they came, compressed, for each vehicle that is followed."""

    def __init__(self) -> None:
        self._batches: dict[str, deque[Batch]] = {}
        self._bytes: dict[str, int] = {}

    def __contains__(self, vehicle: str) -> bool:
        """Whether `vehicle` is followed."""
        return vehicle in self._batches

    def __len__(self) -> int:
        """How many they are."""
        return len(self._batches)

    def __iter__(self) -> Iterator[str]:
        """The vehicles that are followed."""
        return iter(self._batches)

    def begin(self, vehicle: str) -> None:
        """Keep what comes from now on."""
        self._batches.setdefault(vehicle, deque())
        self._bytes.setdefault(vehicle, 0)

    def add(self, vehicle: str, topside: str, payload: bytes, received_ns: int) -> None:
        """A batch of `vehicle` came from `topside`, at this one's RAW `received_ns`."""
        kept = self._batches.get(vehicle)
        if kept is None or len(payload) > MAX_MESSAGE_BYTES:
            return
        batch = Batch(received_ns, topside, zlib.compress(payload, 1))
        kept.append(batch)
        self._bytes[vehicle] += len(batch.payload)
        while kept and (received_ns - kept[0].received_ns > KEEP_NS or self._bytes[vehicle] > _MOST_BYTES):
            self._bytes[vehicle] -= len(kept.popleft().payload)

    def take(self, vehicle: str) -> list[Batch]:
        """What was kept of `vehicle`, oldest first; it is kept no longer."""
        self._bytes.pop(vehicle, None)
        kept = self._batches.pop(vehicle, ())
        return [batch._replace(payload=zlib.decompress(batch.payload)) for batch in kept]

    def clear(self) -> None:
        """This machine slept: RAW stood still, so nothing of before agrees with what comes."""
        for vehicle in self._batches:
            self._batches[vehicle], self._bytes[vehicle] = deque(), 0


def usable(
    batches: Iterable[Batch],
    *,
    vehicle: str,
    boot_id: str,
    now_ns: int,
    same_clock: Callable[[str, str], bool],
    together: int = 1,
) -> list[Exchange]:
    """Those exchanges in `batches` that were made by this machine's RAW clock in the last `KEEP_NS`, thinned.

    So many vehicles are taken over `together`. `same_clock` says of a topside and its process whether it was
    proved to read the same RAW clock as this one, `boot_id` is this machine's. Who may publish as one topside
    says nothing for another.
    """
    found: list[Exchange] = []
    for received_ns, topside, payload in batches:
        try:
            exchanges = ExchangeBatch.decode(payload).exchanges
        except InvalidMessageError:
            continue
        for exchange in exchanges:
            raw_ns = _destination_raw_ns(exchange)
            if (
                raw_ns is not None
                and now_ns - KEEP_NS <= raw_ns <= received_ns
                and exchange.vehicle == vehicle
                and exchange.topside == topside
                and exchange.topside_boot_id == boot_id
                and exchange.instance_id is not None
                and same_clock(topside, exchange.instance_id)
                and not method_named(exchange.method).standalone
                and fault_of(exchange) is None
            ):
                found.append(exchange)
    return _thinned(found, _THIN_NS * (1 if together <= _FEW else 4 if together <= _MANY else 8))


def _destination_raw_ns(exchange: Exchange) -> int | None:
    if exchange.topside_realtime_minus_raw_ns is None or exchange.pi_realtime_minus_raw_ns is None:
        return None
    return exchange.destination_ns - exchange.topside_realtime_minus_raw_ns


def _thinned(exchanges: Iterable[Exchange], of_ns: int) -> list[Exchange]:
    """In the order of their arrival, of each `of_ns` those with the narrowest bounds, and the last.

    Of the last `_RECENT_NS`, of each `_THIN_NS`.
    """
    dated = [(_destination_raw_ns(exchange) or 0, exchange) for exchange in exchanges]
    recent_ns = max((raw_ns for raw_ns, _ in dated), default=0) - _RECENT_NS
    blocks: dict[tuple[int, int, str | None], list[Exchange]] = {}
    for raw_ns, exchange in dated:
        thin_ns = _THIN_NS if raw_ns > recent_ns else of_ns
        blocks.setdefault((thin_ns, raw_ns // thin_ns, exchange.boot_id), []).append(exchange)
    kept: dict[tuple[int, int], Exchange] = {}
    for block in blocks.values():
        for best in (min(block, key=_upper_ns), max(block, key=_lower_ns), block[-1]):
            kept[_destination_raw_ns(best) or 0, best.seq] = best
    return [kept[key] for key in sorted(kept)]


def _upper_ns(exchange: Exchange) -> int:
    """The RAW offset is not above it."""
    pi_ns, topside_ns = exchange.pi_realtime_minus_raw_ns or 0, exchange.topside_realtime_minus_raw_ns or 0
    return (exchange.receive_ns - pi_ns) - (exchange.origin_ns - topside_ns)


def _lower_ns(exchange: Exchange) -> int:
    """The RAW offset is not below it."""
    pi_ns, topside_ns = exchange.pi_realtime_minus_raw_ns or 0, exchange.topside_realtime_minus_raw_ns or 0
    return (exchange.transmit_ns - pi_ns) - (exchange.destination_ns - topside_ns)
