"""One line of JSON lines as an object whose numbers are texts, and the same bytes with keys at its end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Number(str):
    """A number as it is written: none of its digits is lost."""

    __slots__ = ()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is in it twice")
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=Number, parse_int=Number)


def object_of(line: bytes) -> dict[str, Any] | None:
    """The object that a line is; None where it is none, or has a key twice."""
    try:
        found = _DECODER.decode(line.decode("utf-8", "surrogateescape").strip())
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def value_at(found: dict[str, Any], name: str) -> Any:
    """The value of a key; `a.b` is that of b in the object a, unless there is a key `a.b`. None: no value."""
    if name in found or "." not in name:
        return found.get(name)
    first, _, rest = name.partition(".")
    inner = found.get(first)
    return value_at(inner, rest) if isinstance(inner, dict) else None


def text_of(value: Any) -> bytes:
    """A text without its quotes, a number as it is written, anything else as JSON; empty for null."""
    if value is None:
        return b""
    text = value if isinstance(value, str) else _dumped(value)
    return text.encode("utf-8", "replace")


def _dumped(value: Any) -> str:
    """An array, an object or a boolean; numbers within it as texts."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def stamp_text(found: dict[str, Any], names: Sequence[str]) -> tuple[bytes, bool]:
    """The timestamp's text, of several keys with a space between, and whether it is a number; empty: none."""
    values = [value_at(found, name) for name in names]
    if not all(isinstance(value, str) for value in values):
        return b"", False
    return b" ".join(map(text_of, values)), len(values) == 1 and isinstance(values[0], Number)


def with_keys(line: bytes, added: Iterable[tuple[str, bytes]]) -> bytes:
    """The bytes of a line, which is an object that is not empty, with keys (JSON values) at its end."""
    end = line.rindex(b"}")
    last = len(line[:end].rstrip(b" \t"))
    keys = b"".join(b', "%s": %s' % (name.encode(), value) for name, value in added)
    return line[:last] + keys + line[last:]
