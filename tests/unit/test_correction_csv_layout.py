"""Records of text: those that Python's csv module finds, in blocks of any size, to the last byte."""

import csv
import io
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.effort import tries
from tidesync.sessions.correction.csv import blocks
from tidesync.sessions.correction.csv.dialect import Dialect
from tidesync.sessions.correction.csv.fields import fields_of
from tidesync.sessions.correction.csv.layout import Kind
from tidesync.sessions.correction.csv.lines import lines_of

FIELDS = st.text(st.characters(codec="ascii", exclude_characters="\r\n\x00"), max_size=8)
PARTS = st.sampled_from(
    [b"a", b'"', b'""', b",", b",", b"\n", b"\n", b"\r\n", b"\r", b"\xff", b"\0", b"12:00:00,123"]
)


class Pieces:
    """A reader that gives `size` bytes at once, whatever is asked for."""

    def __init__(self, data, size):
        self.left, self.size = data, size

    def read(self, most):
        size = min(most, self.size)
        data, self.left = self.left[:size], self.left[size:]
        return data


def dialect(columns, place=0, delimiter=b",", **options):
    return Dialect(delimiter, [str(each) for each in range(columns)], [place], 0, 1, **options)


def records(data, made, size=1 << 22, usable=bytes.isdigit):
    """(text, line, kind, timestamp, what stands after the new fields) of each record."""
    found, line = [], 0
    for layout in blocks.layouts(Pieces(data, size), made, usable, None):
        for index in range(layout.begin.size):
            begin, end, insert = (int(each[index]) for each in (layout.begin, layout.end, layout.insert))
            stamp = layout.data[int(layout.first[0][index]) : int(layout.last[0][index])]
            kind = Kind(layout.kind[index])
            found.append(
                (layout.data[begin:end], line + int(layout.line[index]), kind, stamp, layout.data[insert:end])
            )
        line += layout.lines
    return found


def kinds(data, made):
    return [kind.name for _, _, kind, _, _ in records(data, made)]


@given(st.lists(FIELDS, min_size=1, max_size=5), st.sampled_from([",", ";", "\t"]))
def test_fields_are_what_pythons_csv_module_wrote(values, delimiter):
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="").writerow(values)
    expected = next(csv.reader([text.getvalue()], delimiter=delimiter)) if text.getvalue() else [""]
    assert fields_of(text.getvalue().encode(), delimiter.encode()) == [field.encode() for field in expected]


@given(st.lists(PARTS, max_size=60), st.integers(1, 9))
@settings(max_examples=tries(300))
def test_blocks_of_any_size_give_the_same_records_and_every_byte(parts, size):
    data = b"".join(parts)
    made = dialect(3, place=1)
    whole = list(blocks.layouts(Pieces(data, 1 << 22), made, bytes.isdigit, None))
    assert b"".join(layout.data[: layout.used] for layout in whole) == data
    for layout in whole:
        assert (layout.begin <= layout.insert).all()
        assert (layout.insert <= layout.end).all()
        assert (layout.begin[1:] == layout.next[:-1]).all()
    assert records(data, made, size) == records(data, made)


TEXTS = st.text(st.sampled_from('ab ,;"\n0'), max_size=6)


@given(
    st.lists(st.lists(TEXTS, min_size=3, max_size=3), min_size=1, max_size=30),
    st.sampled_from(["\n", "\r\n"]),
    st.integers(0, 3),
)
@pytest.mark.skipif(sys.version_info < (3, 11), reason="the oracle, the csv module, has faults in 3.10")
@settings(max_examples=tries(300))
def test_records_are_those_that_pythons_csv_module_wrote(rows, ending, place):
    text = io.StringIO()
    csv.writer(text, lineterminator=ending).writerows([[*row[:place], "x", *row[place:]] for row in rows])
    made = dialect(4, place=place)
    found = list(blocks.layouts(Pieces(text.getvalue().encode(), 1 << 22), made, b"x".__eq__, None))
    assert [kind for layout in found for kind in layout.kind.tolist()] == [Kind.ROW] * len(rows)
    found = [stamp for _, _, _, stamp, _ in records(text.getvalue().encode(), made, usable=b"x".__eq__)]
    assert found == [b"x"] * len(rows)


@given(st.lists(st.sampled_from(["a,b", '"a, ""b""",c', "1,2"]), min_size=1, max_size=20), st.data())
@settings(max_examples=tries(150))
def test_lines_end_as_usual_readers_take_them(rows, data):
    endings = [data.draw(st.sampled_from(["\n", "\r\n", "\r\r\n", "\r"])) for _ in rows]
    text = "".join(row + ending for row, ending in zip(rows, endings, strict=True))
    lines = lines_of(text.encode(), at_end=True)
    found = [text[a:b] for a, b in zip(lines.start.tolist(), lines.end.tolist(), strict=True)]
    assert found == rows


def test_an_open_quote_damages_one_record_and_the_next_full_row_is_one_again():
    data = b'60,"diver no\n61,\n62,\n63,"ok"\n'
    assert kinds(data, dialect(2)) == ["OPEN_QUOTE", "ROW", "ROW", "ROW"]


def test_what_stands_between_an_open_quote_and_the_next_full_row_belongs_to_it():
    data = b'60,"diver\nno\nte\n61,x\n62,"y"\n'
    found = records(data, dialect(2))
    assert [(kind.name, line) for _, line, kind, _, _ in found] == [("OPEN_QUOTE", 0), ("ROW", 3), ("ROW", 4)]


def test_a_note_of_several_lines_is_one_record():
    data = b'60,"two\nlines, ""and\n"" more"\n61,x\n'
    found = records(data, dialect(2))
    assert [(kind.name, line, stamp) for _, line, kind, stamp, _ in found] == [
        ("ROW", 0, b"60"),
        ("ROW", 3, b"61"),
    ]


@pytest.mark.parametrize(
    ("row", "kind", "after"),
    [
        (b"1,2,", "ROW", b","),
        (b"1,2,,,", "ROW", b",,,"),
        (b"1,2,3", "EXTRA", b",3"),
        (b"1", "SHORT", b""),
        (b"1,2", "ROW", b""),
        (b"2026-05-01 12:00:00,123,2", "ROW", b""),
        (b"2026-05-01 12:00:00,123,", "UNCLEAR", b","),
        (b"2026-05-01 12:00:00,1234,2", "EXTRA", b",2"),
        (b"2026-05-01 12:00,123,2", "EXTRA", b",2"),
        (b"2026-05-01 12:00:0,123,2", "EXTRA", b",2"),
        (b"\0\0\0", "ZEROS", b""),
        (b"1,\0", "ZEROS", b""),
        (b"", "BLANK", b""),
    ],
)
def test_new_fields_stand_at_the_headers_end(row, kind, after):
    ((_, _, found, _, rest),) = records(row + b"\n", dialect(2))
    assert (found.name, rest) == (kind, after)


def test_a_decimal_comma_belongs_to_the_timestamp():
    ((_, _, kind, stamp, _),) = records(b"7,2026-05-01 12:00:00,123\n", dialect(2, place=1))
    assert (kind, stamp) == (Kind.ROW, b"2026-05-01 12:00:00,123")


def test_a_note_of_several_lines_may_stand_beside_a_decimal_comma_or_an_empty_field():
    data = b'2026-05-01 12:00:00,123,"two\nlines"\n1,"two\nlines",\n'
    found = records(data, dialect(2))
    assert [(kind.name, stamp) for _, _, kind, stamp, _ in found] == [
        ("ROW", b"2026-05-01 12:00:00,123"),
        ("ROW", b"1"),
    ]


def test_comments_are_no_rows_where_they_are_stated():
    data = b"# a,b\n1,2\n#1,2\n"
    assert kinds(data, dialect(2, comment=b"#")) == ["COMMENT", "ROW", "COMMENT"]
    assert kinds(data, dialect(2)) == ["ROW", "ROW", "ROW"]


@pytest.mark.parametrize("size", [700, 5_000, 1 << 20])
def test_a_record_without_an_end_is_one_and_fills_no_memory(monkeypatch, size):
    for module in ("layout", "quotes", "blocks"):
        monkeypatch.setattr(f"tidesync.sessions.correction.csv.{module}.MAX_RECORD_BYTES", 1_000)
    data = b"1,2\n" + b"x" * 20_000 + b"\r\n3,4\n"
    layouts = list(blocks.layouts(Pieces(data, size), dialect(2), bytes.isdigit, None))
    assert b"".join(layout.data[: layout.used] for layout in layouts) == data
    assert size > len(data) or max(len(layout.data) for layout in layouts) <= 2 * size + 1_000
    found = [
        (Kind(kind).name, int(line))
        for layout in layouts
        for kind, line in zip(layout.kind, layout.line, strict=True)
    ]
    assert [kind for kind, _ in found if kind != "REST"] == ["ROW", "LONG", "ROW"]
    assert sum(layout.lines for layout in layouts) == 3


def test_a_quote_that_never_closes_does_not_hide_the_rows_after_it(monkeypatch):
    for module in ("layout", "quotes", "blocks"):
        monkeypatch.setattr(f"tidesync.sessions.correction.csv.{module}.MAX_RECORD_BYTES", 1_000)
    data = b'1,"a\n' + b"no row\n" * 1_000 + b"2,b\n"
    found = records(data, dialect(2))
    assert found[0][2] == Kind.OPEN_QUOTE
    assert found[-1][2:4] == (Kind.ROW, b"2")
    assert len(found) == 1_002
