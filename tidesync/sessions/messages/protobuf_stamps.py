"""Stamps in protobuf messages: the fields of type google.protobuf.Timestamp, at any depth, by the schema.

The schema is a FileDescriptorSet. A message is walked by its wire format; with other stamps it is made again:
these, and the lengths of what they are in, have as many bytes as they need, all else is copied as it is.
Where a field that is not repeated occurs twice, or is not of the schema's type, the message is left as it is.

Source: https://protobuf.dev/programming-guides/encoding, descriptor.proto.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_TIMESTAMP = ".google.protobuf.Timestamp"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MESSAGE, _REPEATED = 11, 3
_S = 1_000_000_000
_DEEPEST = 32


class Field(NamedTuple):
    """A field of a message type that is a message itself."""

    type_name: str
    repeated: bool


class _Entry(NamedTuple):
    """A field of a message: where it begins, and its value: a number, or the bytes from `begin` to `end`."""

    at: int
    number: int
    wire: int
    value: int
    begin: int
    end: int


class ProtobufStamps:
    """Finds and rewrites the stamps of messages of one type."""

    def __init__(self, types: Mapping[str, Mapping[int, Field]], top: str) -> None:
        self._types, self._top = types, top
        self._having = _having(types)

    def stamps(self, payload: bytes) -> list[int] | None:
        """The stamps, ns, in order; None: it is not of the type."""
        found = list[int]()
        try:
            self._walked(self._top, payload, found, None, 0)
        except ValueError:
            return None
        return found

    def rewritten(self, payload: bytes, stamps: list[int]) -> bytes:
        """The message with other stamps, as many as `stamps` found in it."""
        return self._walked(self._top, payload, [], iter(stamps), 0)

    @property
    def any(self) -> bool:
        """Whether messages may have any."""
        return self._top in self._having and self._top in self._types

    def _walked(
        self, name: str, data: bytes, found: list[int], new: Iterator[int] | None, depth: int
    ) -> bytes:
        """The message with the `new` stamps; `found` gets those that it has."""
        if depth > _DEEPEST:
            raise ValueError(f"messages within messages, more than {_DEEPEST}")
        if name == _TIMESTAMP:
            return _timestamp(data, found, new)
        fields, seen, parts, done = self._types[name], set[int](), list[bytes](), 0
        for each in _entries(data):
            field = fields.get(each.number)
            if field is None or field.type_name not in self._having:
                continue
            if each.wire != _BYTES or (each.number in seen and not field.repeated):
                raise ValueError("not as its type says")
            seen.add(each.number)
            inner = self._walked(field.type_name, data[each.begin : each.end], found, new, depth + 1)
            if new is not None:
                tag = _varint(each.number << 3 | _BYTES)
                parts += (data[done : each.at], tag, _varint(len(inner)), inner)
                done = each.end
        return data if new is None else b"".join([*parts, data[done:]])


def _having(types: Mapping[str, Mapping[int, Field]]) -> set[str]:
    """The types whose messages may have stamps."""
    within: dict[str, set[str]] = {}
    for name, fields in types.items():
        for each in fields.values():
            within.setdefault(each.type_name, set()).add(name)
    found, left = {_TIMESTAMP}, [_TIMESTAMP]
    while left:
        further = within.get(left.pop(), set()) - found
        found |= further
        left += further
    return found


def protobuf_stamps(name: str, descriptors: bytes) -> ProtobufStamps | None:
    """Those of a type by its schema; None: it has none. ValueError where the schema cannot be read."""
    types: dict[str, dict[int, Field]] = {}
    for file in _entries(descriptors):
        if file.number == 1 and file.wire == _BYTES:
            _learn_file(descriptors[file.begin : file.end], types)
    found = ProtobufStamps(types, f".{name.removeprefix('.')}")
    return found if found.any else None


def _timestamp(data: bytes, found: list[int], new: Iterator[int] | None) -> bytes:
    """A Timestamp; where it is not set, it stays as it is."""
    values, others = {1: 0, 2: 0}, list[bytes]()
    for each in _entries(data):
        if each.number in values:
            if each.wire != _VARINT:
                raise ValueError("not a Timestamp")
            values[each.number] = each.value - (each.value >> 63 << 64)
        else:
            others.append(data[each.at : each.end])
    seconds, nanos = values[1], values[2]
    if not 0 <= nanos < _S:
        raise ValueError("not a Timestamp")
    found.append(seconds * _S + nanos)
    if new is None:
        return data
    at_ns = next(new)
    if at_ns == seconds * _S + nanos:
        return data
    seconds, nanos = divmod(at_ns, _S)
    made = b"\x08" + _varint(seconds) + (b"\x10" + _varint(nanos) if nanos else b"")
    return made + b"".join(others)


def _learn_file(data: bytes, types: dict[str, dict[int, Field]]) -> None:
    """Take the message types of a FileDescriptorProto."""
    entries = [*_entries(data)]
    package = next((data[each.begin : each.end] for each in entries if each.number == 2), b"")  # noqa: PLR2004
    prefix = f".{package.decode('utf-8')}" if package else ""
    for each in entries:
        if each.number == 4 and each.wire == _BYTES:  # noqa: PLR2004 - message_type
            _learn_type(data[each.begin : each.end], prefix, types, 0)


def _learn_type(data: bytes, prefix: str, types: dict[str, dict[int, Field]], depth: int) -> None:
    """Take a DescriptorProto and those within it."""
    if depth > _DEEPEST:
        raise ValueError(f"types within types, more than {_DEEPEST}")
    entries = [each for each in _entries(data) if each.wire == _BYTES]
    name = next((data[each.begin : each.end].decode("utf-8") for each in entries if each.number == 1), "")
    fields = types.setdefault(f"{prefix}.{name}", {})
    for each in entries:
        content = data[each.begin : each.end]
        if each.number == 2:  # noqa: PLR2004 - field
            _learn_field(content, fields)
        elif each.number == 3:  # noqa: PLR2004 - nested_type
            _learn_type(content, f"{prefix}.{name}", types, depth + 1)


def _learn_field(data: bytes, fields: dict[int, Field]) -> None:
    """Take a FieldDescriptorProto, if it is of a message type."""
    found = {each.number: each for each in _entries(data)}
    number, label, kind, type_name = (found.get(each) for each in (3, 4, 5, 6))
    if number is not None and kind is not None and kind.value == _MESSAGE and type_name is not None:
        repeated = label is not None and label.value == _REPEATED
        fields[number.value] = Field(data[type_name.begin : type_name.end].decode("utf-8"), repeated)


def _entries(data: bytes) -> Iterator[_Entry]:
    """The fields of a message; ValueError where they do not fill it."""
    at, size = 0, len(data)
    while at < size:
        begin = at
        tag, at = _read_varint(data, at)
        number, wire, value = tag >> 3, tag & 7, 0
        start = at
        if wire == _VARINT:
            value, at = _read_varint(data, at)
        elif wire == _BYTES:
            length, start = _read_varint(data, at)
            at = start + length
        elif wire in {_FIXED64, _FIXED32}:
            at += 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if not number or at > size:
            raise ValueError("a field does not end")
        yield _Entry(begin, number, wire, value, start, at)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 70:  # noqa: PLR2004 - ten groups of seven bits
        value |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 0x80:  # noqa: PLR2004 - the last group
            return value & (1 << 64) - 1, at
    raise ValueError("a number does not end")


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - a group of seven bits
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)
