"""`sync_metadata.json` as a document, pure: strings and numbers of others keep the characters they had.

Python alone would cut 0.10000000000000000001, turn 1e400 into what is no JSON, refuse long integers, and lose
how a string was escaped. So each scalar carries its source text, and writing puts the source text back.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

from schemas.metadata import BLOCK_KEY

Document = dict[str, Any]

_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"')
"""A string in valid JSON."""
_DEEPEST = 200
"""Levels of nesting that are accepted, so that what was read can be written."""
_as_string, _value_of = lru_cache(maxsize=1024)(json.dumps), lru_cache(maxsize=1024)(json.loads)
"""A source text as a JSON string, and what it stands for: a recorder reads its file again and again."""


class NotMetadataError(ValueError):
    """The file's content is no JSON object in UTF-8."""


class SourceStr(str):
    """A string and its source text, quotes and escapes included."""

    __slots__ = ("source",)
    source: str


class SourceInt(int):
    """An integer and its digits."""

    source: str


class SourceFloat(float):
    """A number, or the nearest that Python has, and its source text."""

    source: str


def parse(content: bytes) -> Document:
    """The document in a file's content, keys in their order; NotMetadataError says what is wrong."""
    try:
        document = loads(content.decode("utf-8-sig"))
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise NotMetadataError(f"not JSON: {error}") from error
    if not isinstance(document, dict):
        raise NotMetadataError(f"expected an object, received {type(document).__name__}")
    return document


def render(document: Document) -> bytes:
    """The file's content, laid out as the consumer does."""
    return (dumps(document) + "\n").encode()


def same(one: Document, other: Document) -> bool:
    """Whether both have the same characters, keys' order included: 1 differs from 1.0."""
    return dumps(one) == dumps(other)


def block_of(document: Document | None) -> Document:
    """Our block in a document, or an empty one."""
    time_sync = (document or {}).get("timeSync")
    block = time_sync.get(BLOCK_KEY) if isinstance(time_sync, dict) else None
    return block if isinstance(block, dict) else {}


def loads(text: str) -> Any:
    """The value in `text`; ValueError (or RecursionError) where it is no JSON.

    NaN and Infinity, which the consumer could not read either, are refused.
    """
    json.loads(text, parse_int=_int, parse_constant=_refuse)  # its errors name places in `text` itself
    sources = _STRING.sub(lambda found: _as_string(found[0]), text)
    return _with_sources(json.loads(sources, parse_float=_float, parse_int=_int), _DEEPEST)


def dumps(value: Any, line: str = "\n") -> str:
    """`value` laid out with two spaces a level, its own end indented as `line` is.

    What was read keeps its source text.
    """
    deeper = line + "  "
    if value and isinstance(value, dict):
        entries = (f"{deeper}{_source(key)}: {dumps(entry, deeper)}" for key, entry in value.items())
        return f"{{{','.join(entries)}{line}}}"
    if value and isinstance(value, list):
        return f"[{','.join(deeper + dumps(entry, deeper) for entry in value)}{line}]"
    return _source(value)


def _with_sources(value: Any, levels: int) -> Any:
    """The value whose strings are `value`'s source texts."""
    if not levels:
        raise RecursionError(f"nested more than {_DEEPEST} levels deep")
    if isinstance(value, dict):
        return {_str(key): _with_sources(entry, levels - 1) for key, entry in value.items()}
    if isinstance(value, list):
        return [_with_sources(entry, levels - 1) for entry in value]
    return _str(value) if isinstance(value, str) else value


def _source(value: Any) -> str:
    if isinstance(value, SourceStr | SourceInt | SourceFloat):
        return value.source
    return _quoted(value) if isinstance(value, str) else json.dumps(value, allow_nan=False)


def _quoted(text: str) -> str:
    """In plain characters; half a surrogate pair can be written in ASCII alone."""
    plain = json.dumps(text, ensure_ascii=False)
    try:
        plain.encode()
    except UnicodeEncodeError:
        return json.dumps(text)
    return plain


def _str(source: str) -> SourceStr:
    value = SourceStr(_value_of(source))
    value.source = source
    return value


def _int(digits: str) -> int | float:
    try:
        value = SourceInt(digits)
    except ValueError:  # more digits than Python likes to convert
        return _float(digits)
    value.source = digits
    return value


def _float(digits: str) -> float:
    value = SourceFloat(digits)
    value.source = digits
    return value


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is no JSON")
