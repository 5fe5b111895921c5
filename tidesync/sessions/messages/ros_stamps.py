"""Stamps in messages of ROS, wherever their schema has a Time or a Header: ros2msg, ros2idl and ros1msg.

A stamp has eight bytes, which are written in place. Every message is walked as CDR (XCDR1, little-endian) or
ROS 1's serialization, to its end: where that is not the payload's, it is not what its schema says. Many are
walked at once where their type allows it (ros_places.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from rosbags.interfaces import Nodetype
from rosbags.typesys import TypesysError, get_types_from_idl, get_types_from_msg

from tidesync.sessions.messages.ros_places import (
    COUNTED,
    FIXED,
    FRONT,
    LITTLE_CDR,
    PADDING,
    STAMP,
    STAMPS,
    VARIABLE,
    Leaf,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mcap.records import Schema

_TIME, _HEADER = "builtin_interfaces/msg/Time", "std_msgs/msg/Header"
_DURATION = "builtin_interfaces/msg/Duration"
_SIZES = {
    **dict.fromkeys(("bool", "byte", "char", "int8", "uint8"), 1),
    **dict.fromkeys(("int16", "uint16"), 2),
    **dict.fromkeys(("int32", "uint32", "float32"), 4),
    **dict.fromkeys(("int64", "uint64", "float64"), 8),
}
_MOST_FIXED, _MOST_PARTS = 1_000, 20_000
"""Leaves of an array that are walked at once; parts of a type: one with more is not read."""
_DEEPEST, _MOST_BYTES = 32, 1 << 20
_STEPS, _STEPS_FOR_A_BYTE = 20_000, 64
"""Of a walk: more than a message needs, whatever is in it."""
ENCODINGS = {"ros2msg": "cdr", "ros2idl": "cdr", "ros1msg": "ros1"}

_Type = Any
"""A type as rosbags describes it: its kind, and what belongs to that."""


class RosStamps(NamedTuple):
    """Where the stamps of a type's messages are."""

    leaves: tuple[Leaf, ...] | None
    """For `places_of`; None: each message has to be walked by itself."""
    walker: _Walker

    @property
    def is_cdr(self) -> bool:
        """Whether payloads are CDR."""
        return self.walker.is_cdr

    def places(self, payload: bytes) -> list[int] | None:
        """Their places in this payload; None: it is not what its schema says."""
        return self.walker.places(payload)


def ros_stamps(schema: Schema) -> RosStamps | None:
    """Those of a schema; None: it has none. ValueError where it cannot be read."""
    is_cdr = ENCODINGS[schema.encoding] == "cdr"
    if len(schema.data) > _MOST_BYTES:
        raise ValueError(f"larger than {_MOST_BYTES} bytes")
    text = schema.data.decode("utf-8", "replace").replace("\r\n", "\n")
    try:
        idl = schema.encoding == "ros2idl"
        types = get_types_from_idl(text) if idl else get_types_from_msg(text, schema.name)
        top = schema.name.replace("::", "/") if idl else next(iter(types))
        fields = {name: list(of_type) for name, (_, of_type) in types.items()}
        walker = _Walker({_HEADER: _header(is_cdr=is_cdr)} | fields, top, is_cdr=is_cdr)
        leaves = [*walker.leaves(walker.top)]
    except (TypesysError, RecursionError, KeyError, TypeError) as error:
        raise ValueError("it is no schema of ROS") from error
    kinds = {leaf.kind for leaf in leaves}
    if not kinds & {STAMP, STAMPS}:
        return None
    return RosStamps(None if kinds & {STAMPS, VARIABLE} else tuple(leaves), walker)


def _header(*, is_cdr: bool) -> list[tuple[str, _Type]]:
    """The fields of a Header, whose definition may be left out."""
    fields: list[tuple[str, _Type]] = [
        ("stamp", (Nodetype.NAME, _TIME)),
        ("frame_id", (Nodetype.BASE, ("string", 0))),
    ]
    return fields if is_cdr else [("seq", (Nodetype.BASE, ("uint32", 0))), *fields]


class _Walker:
    """Walks payloads of one type."""

    def __init__(self, fields: Mapping[str, list[tuple[str, _Type]]], top: str, *, is_cdr: bool) -> None:
        self._fields, self.is_cdr = fields, is_cdr
        self.top: _Type = (Nodetype.NAME, top)
        self._front = FRONT if is_cdr else 0
        self._parts = self._steps = 0

    def leaves(self, kind: _Type, depth: int = 0) -> Iterator[Leaf]:
        """What a type consists of, in order; ValueError where that is more than a message's type has."""
        node, about = kind
        self._parts += 1
        if depth > _DEEPEST or self._parts > _MOST_PARTS:
            raise ValueError(f"types within types, more than {_DEEPEST}, or {_MOST_PARTS} parts")
        if node == Nodetype.BASE:
            size = 1 if about[0] == "string" else _SIZES[about[0]]
            yield Leaf(COUNTED if about[0] == "string" else FIXED, size, size)
        elif node == Nodetype.NAME and about in {_TIME, _DURATION}:
            yield Leaf(STAMP if about == _TIME else FIXED, 4, 8)
        elif node == Nodetype.NAME:
            for _, field in self._of(about):
                yield from self.leaves(field, depth + 1)
        else:
            element, count = about
            within = [*self.leaves(element, depth + 1)]
            if element[0] == Nodetype.BASE and element[1][0] != "string":
                size = _SIZES[element[1][0]]
                is_array = node == Nodetype.ARRAY
                yield Leaf(FIXED, size, size * count) if is_array else Leaf(COUNTED, size, size)
            elif node == Nodetype.ARRAY and count * len(within) <= _MOST_FIXED:
                yield from within * count
            else:
                has = any(leaf.kind in {STAMP, STAMPS} for leaf in within)
                yield Leaf(STAMPS if has else VARIABLE)

    def places(self, payload: bytes) -> list[int] | None:
        """Where the stamps of a payload are; None: it is not of this type."""
        if self.is_cdr and not payload.startswith(LITTLE_CDR):
            return None
        found = list[int]()
        self._steps = _STEPS + _STEPS_FOR_A_BYTE * len(payload)
        try:
            end = self._walk(self.top, self._front, payload, found)
        except ValueError:
            return None
        left = len(payload) - end
        return found if 0 <= left <= (PADDING if self.is_cdr else 0) else None

    def _of(self, name: str) -> list[tuple[str, _Type]]:
        fields = self._fields[name]
        if not fields and self.is_cdr:
            return [("structure_needs_at_least_one_member", (Nodetype.BASE, ("uint8", 0)))]
        return fields

    def _walk(self, kind: _Type, at: int, payload: bytes, found: list[int]) -> int:
        """Where what begins at `at` ends."""
        node, about = kind
        self._steps -= 1
        if self._steps < 0:
            raise ValueError("more parts than bytes")
        if node == Nodetype.BASE:
            return self._base(about[0], 1, at, payload)
        if node == Nodetype.NAME and about in {_TIME, _DURATION}:
            at = self._aligned(at, 4)
            if about == _TIME:
                found.append(at)
            return _within(at + 8, payload)
        if node == Nodetype.NAME:
            for _, field in self._of(about):
                at = self._walk(field, at, payload, found)
            return at
        return self._several(kind, at, payload, found)

    def _several(self, kind: _Type, at: int, payload: bytes, found: list[int]) -> int:
        """The same of a sequence or an array."""
        node, (element, count) = kind
        if node == Nodetype.SEQUENCE:
            at = _within(self._aligned(at, 4) + 4, payload)
            count = int.from_bytes(payload[at - 4 : at], "little")
            if count > len(payload):
                raise ValueError("longer than its message")
        if element[0] == Nodetype.BASE and element[1][0] != "string":
            return self._base(element[1][0], count, at, payload)
        for _ in range(count):
            at = self._walk(element, at, payload, found)
        return at

    def _base(self, name: str, count: int, at: int, payload: bytes) -> int:
        if name == "string":
            at = _within(self._aligned(at, 4) + 4, payload)
            return _within(at + int.from_bytes(payload[at - 4 : at], "little"), payload)
        return _within(self._aligned(at, _SIZES[name]) + count * _SIZES[name], payload) if count else at

    def _aligned(self, at: int, size: int) -> int:
        return at + -(at - self._front) % size if self.is_cdr else at


def _within(at: int, payload: bytes) -> int:
    if at > len(payload):
        raise ValueError("longer than its message")
    return at
