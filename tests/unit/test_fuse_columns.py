"""Columns of text: every text comes back as it was, and is a number only if nothing is lost."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidesync.sessions.fuse import columns
from tidesync.sessions.fuse.columns import TextColumn


def column(*parts):
    made = TextColumn()
    for part in parts:
        made.append(part)
    return made


@given(st.lists(st.lists(st.binary(max_size=5), max_size=5), max_size=4), st.data())
def test_every_text_comes_back_in_any_order(parts, data):
    texts = [text for part in parts for text in part]
    rows = data.draw(st.lists(st.integers(-1, len(texts) - 1), max_size=20))
    made = column(*parts)
    assert len(made) == len(texts)
    assert made.texts(np.array(rows, dtype=np.int64)) == [b"" if row < 0 else texts[row] for row in rows]


def test_more_than_four_gib_of_text_are_counted_too(monkeypatch):
    monkeypatch.setattr(columns, "_LARGEST", 4)
    made = column([b"abc"], [b"defg", b""], [b"h"])
    assert made.texts(np.arange(4)) == [b"abc", b"defg", b"", b"h"]


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        ([b"0", b"-12", b"", b"900719925474099312"], "integer"),
        ([b"1.5", b"-2e-3", b"7", b"", b"nan", b".5", b"3."], "number"),
        ([b"007"], "text"),
        ([b"0071.5"], "text"),
        ([b"1", b"12345678901234567890"], "text"),
        ([b"1.5", b"1234567890123456"], "text"),
        ([b"1", b"x"], "text"),
        ([b"1_000"], "text"),
        ([b"1,5"], "text"),
        ([b" 1"], "text"),
        ([b""], "integer"),
    ],
)
def test_a_column_is_numbers_only_if_all_its_texts_are(texts, kind):
    assert column(texts).kind == kind
