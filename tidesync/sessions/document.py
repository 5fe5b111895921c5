"""`sync_metadata.json` as a document, pure: numbers and strings of others keep the characters they had.

Python alone would cut 0.10000000000000000001, turn 1e400 into what is no JSON, and refuse long integers.
"""

from __future__ import annotations

import json
from json import decoder, scanner
from typing import Any

from schemas.metadata import BLOCK_KEY

Document = dict[str, Any]


class NotMetadataError(ValueError):
    """The file's content is no JSON object in UTF-8."""


def parse(content: bytes) -> Document:
    """The document in a file's content, keys in their order; NotMetadataError says what is wrong."""
    try:
        document = loads(content.decode("utf-8-sig"))
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise NotMetadataError(f"not JSON: {error}") from error
    if not isinstance(document, dict):
        raise NotMetadataError(f"expected an object (received {type(document).__name__})")
    return document


def render(document: Document) -> bytes:
    """The file's content, laid out as the consumer does; what others wrote in it keeps its characters."""
    return (dumps(document) + "\n").encode()


def same(one: Document, other: Document) -> bool:
    """Whether both have the same characters, keys' order included: 1 differs from 1.0."""
    return dumps(one) == dumps(other)


def block_of(document: Document | None) -> Document:
    """Our block in a document, or an empty one."""
    time_sync = (document or {}).get("timeSync")
    block = time_sync.get(BLOCK_KEY) if isinstance(time_sync, dict) else None
    return block if isinstance(block, dict) else {}


class WrittenStr(str):
    """A string and how it was written, escapes and quotes included."""

    __slots__ = ("text",)
    text: str


class WrittenInt(int):
    """An integer and its digits."""

    text: str


class WrittenFloat(float):
    """A number, or the nearest that Python has, and how it was written."""

    text: str


class _Decoder(json.JSONDecoder):
    """Strict: NaN and Infinity, which the consumer could not read either, are refused."""

    def __init__(self) -> None:
        super().__init__(parse_float=_float, parse_int=_int, parse_constant=_refuse)
        self.parse_string = _string
        self.scan_once = scanner.py_make_scanner(self)  # type: ignore[attr-defined]  # C's knows no parse_string


def loads(text: str) -> Any:
    """The value in `text`; ValueError (or RecursionError) where it is no JSON."""
    return _Decoder().decode(text)


def dumps(value: Any, indent: str = "") -> str:
    """`value` laid out with two spaces a level, as the consumer does."""
    inner = indent + "  "
    if isinstance(value, dict) and value:
        members = (f"{inner}{_quoted(key)}: {dumps(entry, inner)}" for key, entry in value.items())
        return "{\n" + ",\n".join(members) + f"\n{indent}}}"
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(inner + dumps(entry, inner) for entry in value) + f"\n{indent}]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, WrittenStr | WrittenInt | WrittenFloat):
        return value.text
    if isinstance(value, str):
        return _quoted(value)
    return json.dumps(value, allow_nan=False)


def _quoted(text: str) -> str:
    """In plain characters; half a surrogate pair can be said in ASCII alone."""
    plain = json.dumps(text, ensure_ascii=False)
    return plain if _encodable(plain) else json.dumps(text)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _string(text: str, begin: int, strict: bool) -> tuple[str, int]:
    value, end = decoder.scanstring(text, begin, strict)  # type: ignore[attr-defined]
    written = WrittenStr(value)
    written.text = text[begin - 1 : end]
    return written, end


def _int(digits: str) -> int | float:
    try:
        value = WrittenInt(digits)
    except ValueError:  # more digits than Python likes to convert
        return _float(digits)
    value.text = digits
    return value


def _float(digits: str) -> float:
    value = WrittenFloat(digits)
    value.text = digits
    return value


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is no JSON")
