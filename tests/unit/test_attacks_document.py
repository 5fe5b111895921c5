"""The attack table: what a run found is in the document, and can be read back from it."""

import json
from pathlib import Path

import pytest

from bench.attacks.document import PARTS, replaced, rows_of

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
FEWEST = {"broker": 20, "datagrams": 8}


@pytest.fixture(params=PARTS)
def part(request):
    return request.param


@pytest.fixture
def figures(part):
    name = PARTS[part].command
    return json.loads((ROOT / "bench" / "results" / f"{name}.json").read_text(encoding="utf-8"))


def test_the_document_is_what_the_last_run_made(part, figures):
    assert replaced(DOCUMENT, figures, PARTS[part]) == DOCUMENT


def test_every_row_of_the_run_is_read_back_with_its_verdict(part, figures):
    rows = rows_of(DOCUMENT, PARTS[part])
    assert rows == [(row["attack"], row["by"], row["verdict"]) for row in figures["rows"]]
    assert len(rows) >= FEWEST[part]


def test_every_attack_was_refused_or_bounded_while_others_were_measured(figures):
    for row in figures["rows"]:
        assert row["verdict"] in {"refused", "bounded"}
        assert row["outcome"]
        assert row["results"] > 0
        assert row["worst_error_ms"] <= row["worst_bound_ms"]


def test_a_document_without_a_place_for_the_table_is_refused(part, figures):
    begin, end = PARTS[part].begin, PARTS[part].end
    with pytest.raises(ValueError, match="no <!-- made by"):
        replaced(f"{end} {begin}", figures, PARTS[part])
