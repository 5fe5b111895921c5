"""The examples of docs/library.md and the notebook's cells run, in order; outputs are not compared."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.estimators import traces
from schemas.instants import iso_from_ns
from tidesync.sessions.journal import lines_of

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "library.md").read_text(encoding="utf-8")
NOTEBOOK = json.loads((DOCS / "notebooks" / "two_sensors.ipynb").read_text(encoding="utf-8"))
SECONDS = 60.0


def waves(instants):
    return np.sin(2 * np.pi * instants / 5)


def write_table(path, stamps, values):
    path.parent.mkdir()
    rows = (f"{iso_from_ns(int(ns))},{value:.6f}" for ns, value in zip(stamps, values, strict=True))
    path.write_text("timestamp,value\n" + "\n".join(rows) + "\n", encoding="utf-8")


@pytest.fixture
def recorded(tmp_path):
    """A session of a minute with two sensors that see the same waves."""
    folder = tmp_path / "session_2026-05-01T12-00-00Z"
    (folder / "time_sync").mkdir(parents=True)
    trace = traces.make_trace("clean", seed=1, duration_s=SECONDS)
    (folder / "time_sync" / "exchanges.jsonl").write_bytes(lines_of(trace.exchanges))
    instants = np.sort(np.random.default_rng(1).uniform(1, SECONDS - 1, 400))
    write_table(
        folder / "in-water_1" / "session.csv", traces._pi_realtime_ns(trace.clock, instants), waves(instants)
    )
    write_table(
        folder / "surface_1" / "session.csv", traces._topside_ns(instants + 0.01), waves(instants + 0.01)
    )
    return folder


def test_the_examples_of_the_page_run(recorded, monkeypatch):
    monkeypatch.chdir(recorded.parent)
    names = {}
    for block in re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE):
        exec(compile(block, "library.md", "exec"), names)
    assert names["session"].vehicles == ("rov1",)
    assert names["good"].all()
    assert (names["error_ms"] < 5).all()
    assert (names["there"]["state"] == "ok").mean() > 0.9
    assert names["answer"] is None  # `interval`: no topside runs


@pytest.mark.parametrize("unit", ["ns", "us"])
def test_the_notebook_runs_and_brings_the_sensors_together(unit, recorded, monkeypatch):
    """`unit`: in which pandas reads text, ns by pandas 2 and us by pandas 3."""
    monkeypatch.setenv("SESSION", str(recorded))
    read = pd.to_datetime

    def read_in_unit(times, **options):
        found = read(times, **options)
        return found.dt.as_unit(unit) if isinstance(times, pd.Series) else found

    monkeypatch.setattr(pd, "to_datetime", read_in_unit)
    names = {}
    for cell in NOTEBOOK["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), "two_sensors.ipynb", "exec"), names)
    vehicle = names["vehicle"]
    assert set(vehicle["state"]) == {"ok"}
    assert names["apart"](vehicle["timestamp"]) > 0.1
    assert names["apart"](vehicle["topside"]) < 0.02
    assert names["before"]._repr_html_().count("<polyline") == 2
    assert names["after"]._repr_html_() != names["before"]._repr_html_()
