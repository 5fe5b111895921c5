"""Exchanges as columns: 72 bytes each where an object takes a kilobyte; long sessions fit in the memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from struct import Struct
from typing import Any, Generic, NamedTuple, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from schemas.base import maker
from schemas.exchange import Exchange, StampKind
from topside_agent.estimator.blocks import Integers

NUMBERS = (
    "seq",
    "origin_ns",
    "receive_ns",
    "transmit_ns",
    "destination_ns",
    "pi_realtime_minus_raw_ns",
    "topside_realtime_minus_raw_ns",
)
_SMALL = ("even_ns", "even_within_ns", "resolution_ns", "labels")
RECORD = np.dtype([*((name, "i8") for name in NUMBERS), *((name, "u4") for name in _SMALL)])
_PACK = Struct("=7q4I").pack
_PLACES = np.dtype(np.uint32)
NULL = -(2**63)
"""In place of a difference that is null; a valid one is never so far from 0."""
_CHUNK = 4096
_make = maker(Exchange)


class Labels(NamedTuple):
    """What many exchanges have in common, by the names of `Exchange`."""

    vehicle: str
    topside: str
    method: str
    boot_id: str | None
    topside_boot_id: str | None
    instance_id: str | None
    receive_stamp: StampKind | None
    transmit_stamp: StampKind | None
    origin_stamp: StampKind | None
    destination_stamp: StampKind | None


Made = TypeVar("Made")

_labels_of = attrgetter(*Labels._fields)


class ExchangeColumns:
    """Gathers exchanges one at a time."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._labels: dict[tuple[str | None, ...], int] = {}

    def __len__(self) -> int:
        return len(self._data) // RECORD.itemsize

    def add(self, exchange: Exchange) -> None:
        """Append an exchange."""
        labels = _labels_of(exchange)
        number = self._labels.setdefault(labels, len(self._labels))
        pi, topside = exchange.pi_realtime_minus_raw_ns, exchange.topside_realtime_minus_raw_ns
        self._data += _PACK(
            exchange.seq,
            exchange.origin_ns,
            exchange.receive_ns,
            exchange.transmit_ns,
            exchange.destination_ns,
            NULL if pi is None else pi,
            NULL if topside is None else topside,
            exchange.even_ns,
            exchange.even_within_ns,
            exchange.resolution_ns,
            number,
        )

    @property
    def labels(self) -> list[Labels]:
        """What was ever added carries, each once, by the number in the records."""
        return [Labels(*each) for each in self._labels]  # type: ignore[arg-type]

    def records(self) -> NDArray[np.void]:
        """All of them; nothing can be added while this is held."""
        return np.frombuffer(self._data, dtype=RECORD)

    def drained(self) -> NDArray[np.void]:
        """All of them, which are forgotten; their labels are not."""
        data, self._data = self._data, bytearray()
        return np.frombuffer(data, dtype=RECORD)

    def taken(self) -> Exchanges:
        """All of them; nothing can be added afterwards."""
        return Exchanges.in_table(self.records(), self.labels)


class Exchanges(Sequence[Exchange]):
    """Exchanges in an order, as places in a table that several share; each is made where it is asked for."""

    def __init__(self, table: NDArray[np.void], labels: Sequence[Labels], places: NDArray[np.uint32]) -> None:
        self._table, self._labels, self._places = table, labels, places

    @classmethod
    def in_table(cls, table: NDArray[np.void], labels: Sequence[Labels]) -> Exchanges:
        """All of a table, in its order."""
        return cls(table, labels, np.arange(table.size, dtype=_PLACES))

    @classmethod
    def of(cls, exchanges: Iterable[Exchange]) -> Exchanges:
        """These exchanges, as they are where they are columns already."""
        if isinstance(exchanges, Exchanges):
            return exchanges
        columns = ExchangeColumns()
        for exchange in exchanges:
            columns.add(exchange)
        return columns.taken()

    @classmethod
    def together(cls, parts: Sequence[Exchanges]) -> Exchanges:
        """All of `parts`, one after the other; their tables are copied."""
        labels: list[Labels] = []
        tables = []
        for part in parts:
            tables += [table := np.concatenate([*part.chunks(_CHUNK)])]
            table["labels"] += len(labels)
            labels += part.numbered_labels
        return cls.in_table(np.concatenate(tables), labels)

    def __len__(self) -> int:
        return self._places.size

    @overload
    def __getitem__(self, index: int) -> Exchange: ...
    @overload
    def __getitem__(self, index: slice) -> Exchanges: ...
    def __getitem__(self, index: int | slice) -> Exchange | Exchanges:
        if isinstance(index, slice):
            return self.at(index)
        record = self._table[self._places[index]].item()
        return _exchange(record, self._labels[record[-1]])

    def __iter__(self) -> Iterator[Exchange]:
        for chunk in self.chunks(_CHUNK):
            for record in chunk.tolist():
                yield _exchange(record, self._labels[record[-1]])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or len(other) != len(self):
            return False
        return all(one == another for one, another in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def at(self, places: slice | NDArray[np.integer] | NDArray[np.bool_]) -> Exchanges:
        """Those at these places of this order; the table is not copied."""
        return Exchanges(self._table, self._labels, self._places[places])

    def chunks(self, size: int) -> Iterator[NDArray[np.void]]:
        """Their records in this order, so many at a time."""
        for begin in range(0, self._places.size, size):
            yield self._table[self._places[begin : begin + size]]

    def numbers(self, *names: str) -> Iterator[tuple[int, ...]]:
        """These numbers of each, in turn; a difference that is null is `NULL`."""
        for chunk in self.chunks(_CHUNK):
            yield from zip(*(chunk[name].tolist() for name in names), strict=True)

    def column(self, name: str) -> Integers:
        """One number of each, int64; a difference that is null is void."""
        column: Integers = self._table[name][self._places].astype(np.int64, copy=False)
        return column

    def known(self, name: str) -> NDArray[np.bool_]:
        """Which of them have this difference."""
        known: NDArray[np.bool_] = self.column(name) != NULL
        return known

    @property
    def numbered_labels(self) -> list[Labels]:
        """All labels of the table, by the numbers in its records."""
        return list(self._labels)

    @property
    def labels(self) -> set[Labels]:
        """What they carry, each once."""
        return {self._labels[number] for number in np.unique(self._table["labels"][self._places])}

    def labelled(self, admits: Callable[[Labels], bool]) -> NDArray[np.bool_]:
        """Which of them have labels that are admitted."""
        admitted = np.fromiter(map(admits, self._labels), dtype=bool, count=len(self._labels))
        chosen: NDArray[np.bool_] = admitted[self._table["labels"][self._places]]
        return chosen

    @overload
    def by_destination(self) -> ByDestination[Exchange]: ...
    @overload
    def by_destination(self, made: Callable[[Exchange], Made]) -> ByDestination[Made]: ...
    def by_destination(self, made: Callable[[Exchange], Any] | None = None) -> ByDestination[Any]:
        """An exchange, or what is `made` of it, by its destination; of several the last in this order."""
        return ByDestination(self, made or (lambda exchange: exchange))


class ByDestination(Mapping[int, Made], Generic[Made]):
    """What is made of each exchange, by `destination_ns`; only the two asked for last are kept."""

    def __init__(self, exchanges: Exchanges, made: Callable[[Exchange], Made]) -> None:
        at_ns = exchanges.column("destination_ns")
        self._exchanges, self._made = exchanges, made
        self._order = np.argsort(at_ns, kind="stable").astype(_PLACES)
        self._at_ns = at_ns[self._order]
        self._recent: deque[tuple[int, Made]] = deque(maxlen=2)

    def __getitem__(self, destination_ns: int) -> Made:
        for known, made in self._recent:
            if known == destination_ns:
                return made
        after = int(np.searchsorted(self._at_ns, destination_ns, side="right"))
        if not after or self._at_ns[after - 1] != destination_ns:
            raise KeyError(destination_ns)
        found = self._made(self._exchanges[int(self._order[after - 1])])
        self._recent.append((destination_ns, found))
        return found

    def __iter__(self) -> Iterator[int]:
        yield from dict.fromkeys(self._at_ns.tolist())

    def __len__(self) -> int:
        return int(np.unique(self._at_ns).size)


def _exchange(record: tuple[int, ...], labels: Labels) -> Exchange:
    """The exchange as it was, field by field in their order: it was validated when it was first made."""
    seq, origin_ns, receive_ns, transmit_ns, destination_ns, pi, topside, *small, _ = record
    even_ns, even_within_ns, resolution_ns = small
    return _make(
        {
            "vehicle": labels.vehicle,
            "topside": labels.topside,
            "method": labels.method,
            "seq": seq,
            "boot_id": labels.boot_id,
            "origin_ns": origin_ns,
            "receive_ns": receive_ns,
            "transmit_ns": transmit_ns,
            "destination_ns": destination_ns,
            "pi_realtime_minus_raw_ns": None if pi == NULL else pi,
            "topside_realtime_minus_raw_ns": None if topside == NULL else topside,
            "topside_boot_id": labels.topside_boot_id,
            "instance_id": labels.instance_id,
            "receive_stamp": labels.receive_stamp,
            "transmit_stamp": labels.transmit_stamp,
            "resolution_ns": resolution_ns,
            "even_ns": even_ns,
            "even_within_ns": even_within_ns,
            "origin_stamp": labels.origin_stamp,
            "destination_stamp": labels.destination_stamp,
        }
    )
