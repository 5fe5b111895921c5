"""Stamps in JSON messages: objects of whole seconds and nanoseconds that the schema says are times.

The JSON schema proves one where an object has integer properties `sec` and `nsec` (or `nanosec`), and is
titled `time`, as Foxglove's are, or is the property `timestamp` or `stamp`; a duration has the same form.
Only digits are replaced, all else stays. A message that is not as its schema says, or has a key twice, is
left.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_NAMES = ({"sec", "nsec"}, {"sec", "nanosec"})
_STAMPS = {"timestamp", "stamp"}
_INTEGER = re.compile(r"\d{1,12}(?=[\s,}])", re.ASCII)
_SPACE = re.compile(r"[ \t\r\n]*")
_S = 1_000_000_000
_DEEPEST = 16
_decode = json.JSONDecoder().raw_decode


class _Node(NamedTuple):
    """What is known of a value: whether it is a stamp, and the values within it that have any."""

    is_stamp: bool
    properties: Mapping[str, _Node]
    items: _Node | None


class _Place(NamedTuple):
    """A stamp: where the digits of its seconds and of its nanoseconds are, and these."""

    seconds: tuple[int, int]
    nanos: tuple[int, int]
    at_ns: int


class JsonStamps:
    """Finds and rewrites the stamps of messages of one schema."""

    def __init__(self, top: _Node) -> None:
        self._top = top

    def stamps(self, payload: bytes) -> list[int] | None:
        """The stamps, ns, in order; None: it is not of the schema."""
        places = self._places(payload)
        return None if places is None else [each.at_ns for each in places]

    def rewritten(self, payload: bytes, stamps: list[int]) -> bytes:
        """The message with other stamps, as many as `stamps` found in it."""
        text, parts = payload.decode("utf-8"), list[tuple[int, int, str]]()
        for place, at_ns in zip(self._places(payload) or (), stamps, strict=True):
            parts += ((*place.seconds, str(at_ns // _S)), (*place.nanos, str(at_ns % _S)))
        made, done = "", 0
        for begin, end, digits in sorted(parts):
            made, done = made + text[done:begin] + digits, end
        return (made + text[done:]).encode("utf-8")

    def _places(self, payload: bytes) -> list[_Place] | None:
        found = list[_Place]()
        try:
            text = payload.decode("utf-8")
            end = _skip(text, _walk(text, _skip(text, 0), self._top, found))
        except (ValueError, IndexError, RecursionError):
            return None
        return found if end == len(text) else None


def json_stamps(schema: bytes) -> JsonStamps | None:
    """Those of a JSON schema; None: it has none.

    ValueError where it cannot be read, refers to itself or is deeper than `_DEEPEST`: not all are known.
    """
    try:
        document = json.loads(schema)
        top = _Nodes(document).of(document, "", 0) if isinstance(document, dict) else None
    except RecursionError as error:
        raise ValueError(f"it refers to itself, or is deeper than {_DEEPEST}") from error
    return None if top is None else JsonStamps(top)


class _Nodes:
    """What has stamps in the schemas of a document; each is looked at once at each depth."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._known: dict[tuple[int, bool, int], _Node | None] = {}

    def of(self, schema: Any, name: str, depth: int) -> _Node | None:
        """What of the schema of a property; None: nothing. RecursionError: it is deeper than `_DEEPEST`."""
        schema = self._resolved(schema)
        if not isinstance(schema, dict):
            return None
        if depth > _DEEPEST:
            raise RecursionError
        key = id(schema), name in _STAMPS, depth
        if key not in self._known:
            self._known[key] = self._node(schema, depth, named=name in _STAMPS)
        return self._known[key]

    def _node(self, schema: Mapping[str, Any], depth: int, *, named: bool) -> _Node | None:
        properties = schema.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        titled = str(schema.get("title", "")).lower()
        if {*properties} in _NAMES and all(_is_integer(self._resolved(each)) for each in properties.values()):
            is_time = titled == "time" or (named and titled != "duration")
            return _Node(is_stamp=True, properties={}, items=None) if is_time else None
        found = {key: self.of(each, key, depth + 1) for key, each in properties.items()}
        within = {key: each for key, each in found.items() if each is not None}
        items = self.of(schema.get("items"), "", depth + 1)
        return _Node(is_stamp=False, properties=within, items=items) if within or items else None

    def _resolved(self, schema: Any) -> Any:
        """What a reference within the document means."""
        reference = schema.get("$ref") if isinstance(schema, dict) else None
        if not isinstance(reference, str):
            return schema
        found: Any = self._document
        for part in reference.removeprefix("#/").split("/") if reference.startswith("#/") else ["?"]:
            found = found.get(part) if isinstance(found, dict) else None
        return found


def _is_integer(schema: Any) -> bool:
    return isinstance(schema, dict) and schema.get("type") == "integer"


def _walk(text: str, at: int, node: _Node, found: list[_Place]) -> int:
    """Where the value that begins at `at` ends."""
    if node.is_stamp:
        return _stamp(text, at, found)
    if text[at] == "{":
        return _object(text, at, found, node.properties.get)
    if text[at] == "[" and node.items is not None:
        return _array(text, at, node.items, found)
    return _decode(text, at)[1]


def _object(text: str, at: int, found: list[_Place], node_of: Callable[[str], _Node | None]) -> int:
    seen, at = set[str](), _skip(text, at + 1)
    if text[at] == "}":
        return at + 1
    while True:
        key, at = _key(text, at)
        if key in seen:
            raise ValueError("a key is in it twice")
        seen.add(key)
        node = node_of(key)
        at = _skip(text, _decode(text, at)[1] if node is None else _walk(text, at, node, found))
        if text[at] == "}":
            return at + 1
        at = _skip(text, _expected(text, at, ","))


def _array(text: str, at: int, items: _Node, found: list[_Place]) -> int:
    at = _skip(text, at + 1)
    if text[at] == "]":
        return at + 1
    while True:
        at = _skip(text, _walk(text, at, items, found))
        if text[at] == "]":
            return at + 1
        at = _skip(text, _expected(text, at, ","))


def _stamp(text: str, at: int, found: list[_Place]) -> int:
    """An object of two integers."""
    values, at = dict[str, tuple[int, int]](), _skip(text, _expected(text, at, "{"))
    for last in (False, True):
        key, at = _key(text, at)
        match = _INTEGER.match(text, at)
        if match is None or key in values:
            raise ValueError("no stamp")
        values[key] = match.span()
        at = _expected(text, _skip(text, match.end()), "}" if last else ",")
        at = at if last else _skip(text, at)
    if {*values} not in _NAMES:
        raise ValueError("no stamp")
    seconds = values.pop("sec")
    (nanos,) = values.values()
    rest = int(text[slice(*nanos)])
    if rest >= _S:
        raise ValueError("no stamp")
    found.append(_Place(seconds, nanos, int(text[slice(*seconds)]) * _S + rest))
    return at


def _key(text: str, at: int) -> tuple[str, int]:
    """The key that begins there, and where its value does."""
    _expected(text, at, '"')
    key, at = _decode(text, at)
    return key, _skip(text, _expected(text, _skip(text, at), ":"))


def _expected(text: str, at: int, sign: str) -> int:
    if text[at] != sign:
        raise ValueError(f"expected {sign}")
    return at + 1


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at
