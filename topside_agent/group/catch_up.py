"""What a new standby has the vehicle's owner on the same machine tell it: exchanges of before it followed.

It asks whoever it hears measuring the vehicle, over a channel past the broker: few vehicles at a time, and
each a few times. The answer is all that the owner's own estimate rests on of the last 120 s, whoever made
it: also what it took over itself. Only a process that was proved to have the same clock is asked, so it
vouches for the others' exchanges. Without an answer the standby knows what it hears from now on.
"""

from __future__ import annotations

import logging
import struct
import zlib
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from topside_agent.group.local_socket import MOST_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from topside_agent.group.followed import Followed
    from topside_agent.group.interface import LocalChannel
    from topside_agent.group.local_socket import LocalMessage

_log = logging.getLogger(__name__)

_ASK, _ANSWER = b"1?", b"1!"
"""What a message begins with: the protocol's version, and what it is; the vehicle's name follows."""
_AT_ONCE = 8
"""Vehicles that are asked for at each look, of which there are four a second: some systems let ten messages
wait, and an answer takes the owner half a millisecond."""
_AGAIN_NS, _TRIES = 2_000_000_000, 3
_MOST_WAITING = 64
"""Questions of others that are answered one by one; what is more is asked again."""
_MOST_SILENT = 100
_LENGTH = struct.Struct(">I")
_ROOM = 1024
"""Bytes of an answer for what is not exchanges."""


@dataclass(slots=True)
class _Missing:
    """Of a vehicle whose exchanges of before are to be asked for."""

    owner: str | None = None
    """The topside whose exchange with it was heard last."""
    tries: int = 0
    due_ns: int = 0


class CatchUp:
    """Used in the network thread alone; times are this topside's RAW, in ns."""

    def __init__(
        self, followed: Followed, channel: LocalChannel, known: Callable[[str], Iterable[bytes]]
    ) -> None:
        """`known` returns encoded batches of what this topside knows of a vehicle, oldest first."""
        self._followed, self._channel, self._known = followed, channel, known
        self._missing: dict[str, _Missing] = {}
        self._questions: dict[tuple[str, str, str], None] = {}
        self._silent: set[tuple[str, str]] = set()

    def begin(self, vehicle: str) -> None:
        """`vehicle` is followed from now on, or some of its exchanges may have been missed."""
        self._missing[vehicle] = _Missing()

    def again(self) -> None:
        """Exchanges of any vehicle may have been missed."""
        for vehicle in self._followed:
            self.begin(vehicle)

    def end(self, vehicle: str) -> None:
        """`vehicle` is followed no longer."""
        self._missing.pop(vehicle, None)

    def heard(self, vehicle: str, topside: str) -> None:
        """`topside` has measured `vehicle` just now."""
        if missing := self._missing.get(vehicle):
            missing.owner = topside

    def look(self, now_ns: int, near: Mapping[str, str]) -> None:
        """Take in what came, and ask; `near` are the processes with the same clock, by topside."""
        for _ in range(_MOST_WAITING):
            if (message := self._channel.receive()) is None:
                break
            self._take_in(message, now_ns, near)
        due = (v for v, each in self._missing.items() if each.owner in near and now_ns >= each.due_ns)
        for vehicle in list(islice(due, _AT_ONCE)):
            self._ask(vehicle, now_ns, near)

    def answer(self) -> bool:
        """Answer one question; whether more wait."""
        if self._questions:
            topside, instance_id, vehicle = next(iter(self._questions))
            del self._questions[topside, instance_id, vehicle]
            reply = _ANSWER + vehicle.encode() + b"\n" + _packed(self._known(vehicle))
            self._channel.send(topside, instance_id, reply)
        return bool(self._questions)

    def _ask(self, vehicle: str, now_ns: int, near: Mapping[str, str]) -> None:
        missing = self._missing[vehicle]
        topside = missing.owner or ""
        if missing.tries == _TRIES:
            del self._missing[vehicle]
            self._say_silent(topside, near[topside])
            return
        missing.tries, missing.due_ns = missing.tries + 1, now_ns + _AGAIN_NS
        self._channel.send(topside, near[topside], _ASK + vehicle.encode())

    def _say_silent(self, topside: str, instance_id: str) -> None:
        if (topside, instance_id) in self._silent or len(self._silent) >= _MOST_SILENT:
            return
        self._silent.add((topside, instance_id))
        _log.warning(
            "topside %s does not tell what it knows of its vehicles: when one is taken over that was followed"
            " for less than a minute, its bound may be more than twice as wide as before",
            topside,
        )

    def _take_in(self, message: LocalMessage, now_ns: int, near: Mapping[str, str]) -> None:
        kind, rest = message.payload[: len(_ASK)], message.payload[len(_ASK) :]
        name, _, answer = rest.partition(b"\n")
        vehicle = name.decode(errors="replace")
        if near.get(message.topside) != message.instance_id:
            return
        if kind == _ASK and len(self._questions) < _MOST_WAITING:
            self._questions[message.topside, message.instance_id, vehicle] = None
        elif kind == _ANSWER and vehicle in self._missing and self._missing[vehicle].tries:
            del self._missing[vehicle]
            for packed in _unpacked(answer):
                self._followed.add_known(vehicle, packed, now_ns)


def _packed(batches: Iterable[bytes]) -> bytes:
    """Each compressed, after its length; the newest of them, as many as a message holds."""
    parts: list[bytes] = []
    room = MOST_BYTES - _ROOM
    for batch in reversed(list(batches)):
        packed = zlib.compress(batch, 1)
        room -= _LENGTH.size + len(packed)
        if room < 0:
            break
        parts += [packed, _LENGTH.pack(len(packed))]
    return b"".join(reversed(parts))


def _unpacked(answer: bytes) -> Iterator[bytes]:
    place = 0
    while place + _LENGTH.size <= len(answer):
        (length,) = _LENGTH.unpack_from(answer, place)
        place += _LENGTH.size
        yield answer[place : place + length]
        place += length
