"""The attack table: what a run found is in the document, and can be read back from it."""

import json
from pathlib import Path

import pytest

from bench.attacks.document import BEGIN, END, replaced, rows_of

DOCS = Path(__file__).parents[2] / "docs"
FIGURES = json.loads((DOCS.parent / "bench" / "results" / "attacks.json").read_text(encoding="utf-8"))
DOCUMENT = (DOCS / "security.md").read_text(encoding="utf-8")


def test_the_document_is_what_the_last_run_made():
    assert replaced(DOCUMENT, FIGURES) == DOCUMENT


def test_every_row_of_the_run_is_read_back_with_its_verdict():
    assert rows_of(DOCUMENT) == [(row["attack"], row["by"], row["verdict"]) for row in FIGURES["rows"]]
    assert len(rows_of(DOCUMENT)) > 20


def test_every_attack_was_refused_or_bounded_while_others_were_measured():
    for row in FIGURES["rows"]:
        assert row["verdict"] in {"refused", "bounded"}
        assert row["outcome"]
        assert row["results"] > 0
        assert row["worst_error_ms"] <= row["worst_bound_ms"]


def test_a_document_without_a_place_for_the_table_is_refused():
    with pytest.raises(ValueError, match="no <!-- made by"):
        replaced(f"{END} {BEGIN}", FIGURES)
