"""Which exchanges are recorded, pure: four bytes each, so that a session of any length fits in the memory.

`seq` starts again with each topside process. Where its instance id is not known, the origin tells its
exchanges from the earlier ones. Of the origin 32 bits are kept: an exchange would be taken for a recorded one
if an earlier process had one of the same `seq` whose origin has the same 32 bits, one chance in four thousand
million for each such pair.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from tidesync.sessions.errors import TornIndexError
from tidesync.sessions.journal import source_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.exchange import Exchange
    from tidesync.sessions.journal import Source
    from tidesync.sessions.recorder.index_file import Parts

SLOTS = 512
"""Consecutive numbers in a block."""
MOST_LAYERS = 32
"""Processes of one source whose equal numbers are kept in blocks; those of later ones take more memory."""
_MASK = 2**32 - 1
_ODD = 0x9E3779B97F4A7C15
_U32 = "I"


class RecordedExchanges:
    """Remembers every exchange by its source, `seq` and origin."""

    def __init__(self) -> None:
        self._by_source: dict[Source, Numbers] = {}

    def __contains__(self, exchange: Exchange) -> bool:
        numbers = self._by_source.get(source_of(exchange))
        return numbers is not None and numbers.has(exchange.seq, _print(exchange))

    def add(self, exchange: Exchange) -> bool:
        """Remember it; whether it was new."""
        return self.of(source_of(exchange)).add(exchange.seq, _print(exchange))

    @property
    def sources(self) -> list[tuple[str, str, str | None]]:
        """Those with an exchange that is recorded."""
        return list(self._by_source)

    def of(self, source: Source) -> Numbers:
        """The numbers of a source."""
        numbers = self._by_source.get(source)
        if numbers is None:
            numbers = self._by_source[source] = Numbers()
        return numbers

    def put(self, source: Source, numbers: Numbers) -> None:
        """Have the numbers of a source as they were saved."""
        self._by_source[source] = numbers


class Numbers:
    """The recorded numbers of one source, each with 32 bits that are not 0.

    A block is the first number in it, less the block's, and then the bits of each: 0 where none is recorded.
    A number that has come with other bits before is kept in the next layer.
    """

    def __init__(self) -> None:
        self._layers: list[dict[int, array[int]]] = []
        self._strays: set[tuple[int, int]] = set()

    def has(self, seq: int, bits: int) -> bool:
        """Whether it is recorded."""
        number, slot = divmod(seq, SLOTS)
        found = (_at(blocks.get(number), slot) for blocks in self._layers)
        return any(each == bits for each in found) or (seq, bits) in self._strays

    def add(self, seq: int, bits: int) -> bool:
        """Remember it; whether it was new."""
        number, slot = divmod(seq, SLOTS)
        for blocks in self._layers:
            found = _at(blocks.get(number), slot)
            if found == bits:
                return False
            if not found:
                _set(blocks, number, slot, bits)
                return True
        if (seq, bits) in self._strays:
            return False
        if len(self._layers) < MOST_LAYERS:
            self._layers.append({})
            _set(self._layers[-1], number, slot, bits)
        else:
            self._strays.add((seq, bits))
        return True

    def parts(self) -> Iterator[bytes | memoryview]:
        """What `from_parts` makes the same numbers of, in parts that need not be held at once."""
        yield array("Q", (len(self._layers), len(self._strays))).tobytes()
        for seq, bits in self._strays:
            yield array("Q", (seq, bits)).tobytes()
        for blocks in self._layers:
            yield array("Q", (len(blocks),)).tobytes()
            for number, block in blocks.items():
                yield array("Q", (number, len(block))).tobytes()
                yield memoryview(block).cast("B")

    @classmethod
    def from_parts(cls, parts: Parts) -> Numbers:
        """The numbers that were saved; TornIndexError where `parts` do not hold them."""
        made = cls()
        layers, strays = parts.integers(2)
        for _ in range(strays):
            seq, bits = parts.integers(2)
            made._strays.add((seq, bits))
        for _ in range(layers):
            (size,) = parts.integers(1)
            blocks: dict[int, array[int]] = {}
            for _ in range(size):
                number, length = parts.integers(2)
                if not 1 < length <= SLOTS + 1:
                    raise TornIndexError(f"a block of {length} entries")
                blocks[number] = array(_U32, parts.take(4 * length))
            made._layers.append(blocks)
        return made


def _at(block: array[int] | None, slot: int) -> int:
    """The bits in a slot, 0 where there are none."""
    if block is None:
        return 0
    place = slot - block[0] + 1
    return block[place] if 0 < place < len(block) else 0


def _set(blocks: dict[int, array[int]], number: int, slot: int, bits: int) -> None:
    block = blocks.get(number)
    if block is None:
        blocks[number] = array(_U32, (slot, bits))
        return
    if slot < block[0]:
        block[1:1] = array(_U32, bytes(4 * (block[0] - slot)))
        block[0] = slot
    place = slot - block[0] + 1
    if place >= len(block):
        block.frombytes(bytes(4 * (place + 1 - len(block))))
    block[place] = bits


def _print(exchange: Exchange) -> int:
    """32 bits of the origin, never 0."""
    return (exchange.origin_ns * _ODD >> 32 & _MASK) or 1
