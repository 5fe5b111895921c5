"""Stamps in messages of ROS, wherever their schema has a Time or a Header: ros2msg, ros2idl and ros1msg.

A stamp has eight bytes, which are written in place. Where nothing of variable length is in front of the last
one, all have fixed places; else the message is walked as CDR (XCDR1, little-endian) or ROS 1's serialization,
to its end: where that is not the payload's, the message is not what its schema says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from rosbags.interfaces import Nodetype
from rosbags.typesys import TypesysError, get_types_from_idl, get_types_from_msg

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
_FRONT = 4
"""Bytes of CDR in front, which say how the rest is written."""
_LITTLE_CDR = b"\x00\x01"
_PADDING = 7
_MOST_FIXED = 1_000
_DEEPEST = 32
ENCODINGS = {"ros2msg": "cdr", "ros2idl": "cdr", "ros1msg": "ros1"}

_Type = Any
"""A type as rosbags describes it: its kind, and what belongs to that."""


class RosStamps(NamedTuple):
    """Where the stamps of a type's messages are."""

    fixed: tuple[int, ...] | None
    """Their places in a payload; None: each message has to be walked."""
    walker: _Walker

    @property
    def is_cdr(self) -> bool:
        """Whether payloads are CDR."""
        return self.walker.is_cdr

    def places(self, payload: bytes) -> list[int] | None:
        """Their places in this payload; None: it is not what its schema says."""
        return self.walker.places(payload)


def ros_stamps(schema: Schema) -> RosStamps | None:
    """Those of a schema; None: it has none, or cannot be read."""
    is_cdr = ENCODINGS[schema.encoding] == "cdr"
    text = schema.data.decode("utf-8", "replace").replace("\r\n", "\n")
    try:
        idl = schema.encoding == "ros2idl"
        types = get_types_from_idl(text) if idl else get_types_from_msg(text, schema.name)
        top = schema.name.replace("::", "/") if idl else next(iter(types))
        fields = {name: list(of_type) for name, (_, of_type) in types.items()}
        walker = _Walker({_HEADER: _header(is_cdr=is_cdr)} | fields, top, is_cdr=is_cdr)
        leaves = [*walker.leaves(walker.top)]
    except (TypesysError, RecursionError, ValueError, KeyError, TypeError):
        return None
    if not any(leaf in {_STAMP, _STAMPS} for leaf, _ in leaves):
        return None
    return RosStamps(walker.fixed(leaves), walker)


def _header(*, is_cdr: bool) -> list[tuple[str, _Type]]:
    """The fields of a Header, whose definition may be left out."""
    fields: list[tuple[str, _Type]] = [
        ("stamp", (Nodetype.NAME, _TIME)),
        ("frame_id", (Nodetype.BASE, ("string", 0))),
    ]
    return fields if is_cdr else [("seq", (Nodetype.BASE, ("uint32", 0))), *fields]


_STAMP, _STAMPS, _FIXED, _VARIABLE = range(4)


class _Walker:
    """Walks payloads of one type."""

    def __init__(self, fields: Mapping[str, list[tuple[str, _Type]]], top: str, *, is_cdr: bool) -> None:
        self._fields, self.is_cdr = fields, is_cdr
        self.top: _Type = (Nodetype.NAME, top)
        self._front = _FRONT if is_cdr else 0

    def leaves(self, kind: _Type, depth: int = 0) -> Iterator[tuple[int, int]]:
        """What a type consists of, in order: a stamp, some bytes, or what is of variable length."""
        node, about = kind
        if depth > _DEEPEST:
            raise ValueError(f"types within types, more than {_DEEPEST}")
        if node == Nodetype.BASE:
            yield (_FIXED, _SIZES[about[0]]) if about[0] != "string" else (_VARIABLE, 0)
        elif node == Nodetype.NAME and about in {_TIME, _DURATION}:
            yield (_STAMP, 4) if about == _TIME else (_FIXED, 4)
            if about == _DURATION:
                yield _FIXED, 4
        elif node == Nodetype.NAME:
            for _, field in self._of(about):
                yield from self.leaves(field, depth + 1)
        else:
            element, count = about
            within = [*self.leaves(element, depth + 1)]
            has = any(leaf in {_STAMP, _STAMPS} for leaf, _ in within)
            if node == Nodetype.ARRAY and count <= _MOST_FIXED:
                for _ in range(count):
                    yield from within
            else:
                yield (_STAMPS if has else _VARIABLE), 0

    def fixed(self, leaves: list[tuple[int, int]]) -> tuple[int, ...] | None:
        """The places of the stamps, if all are fixed."""
        places, at = list[int](), 0
        for number, (leaf, size) in enumerate(leaves):
            if leaf in {_STAMPS, _VARIABLE}:
                later = any(each in {_STAMP, _STAMPS} for each, _ in leaves[number:])
                return None if later else tuple(places)
            at += -at % size if self.is_cdr else 0
            if leaf == _STAMP:
                places.append(self._front + at)
            at += 8 if leaf == _STAMP else size
        return tuple(places)

    def places(self, payload: bytes) -> list[int] | None:
        """Where the stamps of a payload are; None: it is not of this type."""
        if self.is_cdr and not payload.startswith(_LITTLE_CDR):
            return None
        found = list[int]()
        try:
            end = self._walk(self.top, self._front, payload, found)
        except ValueError:
            return None
        left = len(payload) - end
        return found if 0 <= left <= (_PADDING if self.is_cdr else 0) else None

    def _of(self, name: str) -> list[tuple[str, _Type]]:
        fields = self._fields[name]
        if not fields and self.is_cdr:
            return [("structure_needs_at_least_one_member", (Nodetype.BASE, ("uint8", 0)))]
        return fields

    def _walk(self, kind: _Type, at: int, payload: bytes, found: list[int]) -> int:
        """Where what begins at `at` ends."""
        node, about = kind
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
        element, count = about
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
