"""Texts of a sensor's rows: every one comes back as it was, and is a number only if nothing is lost."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidesync.sessions.fuse import columns
from tidesync.sessions.fuse.columns import TextStore


@given(st.lists(st.tuples(st.binary(max_size=5), st.binary(max_size=3)), max_size=40), st.data())
def test_every_text_comes_back_in_any_order(rows, data):
    """Whatever the order of the table, however it was divided, and however many blocks there are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "BLOCK", 4)
        patch.setattr(columns, "_HELD", 2)
        store, order = TextStore(2), data.draw(st.permutations(range(len(rows))))
        cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=4)))
        for begin, end in zip([0, *cuts], [*cuts, len(rows)], strict=True):
            part = order[begin:end]
            texts = [[rows[rank][column] for rank in part] for column in (0, 1)]
            store.add(np.array(part, dtype=np.int64), texts)
        asked = data.draw(st.lists(st.integers(-1, len(rows) - 1), max_size=20))
        for column in (0, 1):
            found = store.texts(column, np.array(asked, dtype=np.int64))
            assert found == [b"" if rank < 0 else rows[rank][column] for rank in asked]


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        ([b"0", b"-12", b"", b"900719925474099312"], "integer"),
        ([b"1.5", b"-2e-3", b"7", b"", b"nan", b".5", b"3."], "number"),
        ([b"007"], "text"),
        ([b"0071.5"], "text"),
        ([b"1", b"12345678901234567890"], "text"),
        ([b"1.5", b"1234567890123456"], "text"),
        ([b"1", b"12345678901234567", b"1.5"], "text"),
        ([b"1", b"x"], "text"),
        ([b"1_000"], "text"),
        ([b"1,5"], "text"),
        ([b" 1"], "text"),
        ([b""], "integer"),
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
def test_a_column_is_numbers_only_if_all_its_texts_are(texts, kind, at_once):
    store = TextStore(1)
    for part in [texts] if at_once else [[text] for text in texts]:
        store.add(np.arange(len(part)), [part])
    assert store.kind(0) == kind
