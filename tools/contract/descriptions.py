"""Descriptions of fields and types, from the docstrings below them, which Python itself does not keep."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import textwrap
from typing import TYPE_CHECKING

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_TYPES = (
    "schemas.base",
    "schemas.clock_history",
    "schemas.exchange",
    "schemas.instants",
    "schemas.messages",
    "schemas.names",
)
"""Modules whose types are documented where they are defined."""


def of_fields(model: type[BaseModel]) -> dict[str, str]:
    """The description of each field: from below it, or else from below its type."""
    found: dict[str, str] = {}
    for ancestor in reversed(model.__mro__):
        if issubclass(ancestor, BaseModel) and ancestor is not BaseModel:
            found |= _of_own_fields(ancestor)
    return found


def of_type(name: str) -> str | None:
    """The description of a type such as `Nanoseconds`."""
    return _of_types().get(name)


@functools.cache
def _of_own_fields(model: type[BaseModel]) -> dict[str, str]:
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for statement, docstring in _with_docstrings(definition.body):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            text = docstring or _of_annotation(statement.annotation)
            if text:
                found[statement.target.id] = text
    return found


def _of_annotation(annotation: ast.expr) -> str | None:
    names = [node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)]
    texts = [text for name in names if (text := of_type(name))]
    return texts[0] if len(texts) == 1 else None  # a dict of two such types is described by neither


@functools.cache
def _of_types() -> dict[str, str]:
    return {
        target.id: docstring
        for name in _TYPES
        for statement, docstring in _with_docstrings(
            ast.parse(inspect.getsource(importlib.import_module(name))).body
        )
        if docstring and isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }


def _with_docstrings(body: Sequence[ast.stmt]) -> Iterator[tuple[ast.stmt, str | None]]:
    for statement, following in zip(body, [*body[1:], None], strict=True):
        docstring = None
        if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            text = following.value.value
            docstring = " ".join(inspect.cleandoc(text).split()) if isinstance(text, str) else None
        yield statement, docstring
