"""What Python 3.10 lacks, as later versions have it."""

import re
import sys
from datetime import datetime
from pathlib import Path

import pytest

from schemas import compat

ROOT = Path(__file__).parents[2]
NEWER = re.compile(
    r"^\s*(import tomllib|from datetime import.*\bUTC\b|from typing import.*\b(Self|Never|assert_never)\b"
    r"|from enum import.*\bStrEnum\b)|\basyncio\.(timeout|TaskGroup|Runner)\(|datetime\.fromisoformat\(",
    re.MULTILINE,
)

NUMPY_2 = re.compile(
    r"\bnp\.(strings|astype|concat|permute_dims|matrix_transpose|pow|isdtype|vecdot|cumulative_\w+|unstack"
    r"|unique_(all|counts|inverse|values)|a(cos|sin|tan)h?|atan2|bitwise_(count|invert|left_shift|right_shift)"
    r"|dtypes\.StringDType)\b"
)
INSTANTS = [
    "2026-05-01T12:00:00Z",
    "2026-05-01T12:00:00.5Z",
    "2026-05-01T12:00:00.123456789+02:00",
    "2026-05-01 12:00:00,25-03:30",
    "2026-05-01T12:00:00",
]


@pytest.mark.parametrize("text", INSTANTS)
def test_instants_are_read_as_by_later_versions(text, monkeypatch):
    monkeypatch.setattr(compat, "_READS_ALL", False)
    old = compat.from_iso(text)
    if sys.version_info[:2] != (3, 10):
        assert old == datetime.fromisoformat(text)
    assert old.year == 2026


@pytest.mark.parametrize("text", ["", "x", "2026-13-01T00:00:00Z", "Z"])
def test_what_is_no_instant_is_refused_alike(text, monkeypatch):
    monkeypatch.setattr(compat, "_READS_ALL", False)
    with pytest.raises(ValueError, match=r"isoformat|month"):
        compat.from_iso(text)


@pytest.mark.parametrize("room", ["schemas", "runtime", "broker", "pi_agent", "topside_agent", "tidesync"])
def test_nothing_is_imported_that_python_3_10_lacks(room):
    files = [path for path in (ROOT / room).rglob("*.py") if path.name not in {"compat.py", "toml.py"}]
    assert files
    found = {
        path.name: match[0] for path in files if (match := NEWER.search(path.read_text(encoding="utf-8")))
    }
    assert found == {}


@pytest.mark.parametrize("room", ["topside_agent", "tidesync"])
def test_nothing_of_numpy_is_used_that_1_26_lacks(room):
    texts = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / room).rglob("*.py")}
    assert any("import numpy as np" in text for text in texts.values())
    assert {name: match[0] for name, text in texts.items() if (match := NUMPY_2.search(text))} == {}
