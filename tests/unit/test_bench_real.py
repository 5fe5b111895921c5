"""The benchmark on recorded exchanges: its tables, its verdicts, what it refuses."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from bench.real.narrowest import half_width, halves
from bench.real.recording import COLUMNS, read
from bench.real.run import main
from bench.real.score import RealScore, failures, scores
from tests.unit.test_estimator_averages import exchanged, light_tailed

pytestmark = pytest.mark.slow


def table(path, *, seconds=320, columns=COLUMNS):
    exchanges, truth = exchanged(1, out=light_tailed, back=light_tailed, seconds=seconds)
    rows = [
        (e.origin_ns, e.receive_ns, e.transmit_ns, e.destination_ns, e.destination_ns, round(true))
        for e, true in zip(exchanges, truth.tolist(), strict=True)
    ]
    lines = [",".join(columns), *(",".join(map(str, row[: len(columns)])) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_every_table_given_is_shown_beside_the_peers(tmp_path):
    paths = [str(table(tmp_path / name)) for name in ("lan.csv", "other.csv")]
    figures = tmp_path / "figures.json"
    result = CliRunner().invoke(main, [*paths, "--json", str(figures)])
    assert result.exit_code in (0, 1), result.output
    assert "## lan: 320 exchanges" in result.output
    assert "## other: 320 exchanges" in result.output
    for name in ("ours", "ours, afterwards", "chrony", "ticsync", "pyxdf, afterwards"):
        assert result.output.count(f"\n| {name} ") == 2
    ours = json.loads(figures.read_text())[0]["scores"][0]
    assert ours["bound_held"] == 1.0
    assert ours["std_us"] < 10


def test_the_truth_is_linear_between_the_tables_instants(tmp_path):
    recording = read(table(tmp_path / "lan.csv"))
    at = np.array([e.destination_ns for e in recording.exchanges[:2]])
    first, second = recording.truth(at)
    assert recording.truth(np.array([at.sum() // 2]))[0] == pytest.approx((first + second) / 2, abs=1)


def test_a_table_that_lacks_columns_is_refused_by_name(tmp_path):
    result = CliRunner().invoke(main, [str(table(tmp_path / "short.csv", columns=COLUMNS[:4]))])
    assert result.exit_code == 2
    assert "missing: truth_at_ns, truth_offset_ns" in result.output


def test_a_better_peer_or_a_bound_that_fails_is_named():
    def of(name, std_us, *, held=1.0, u95=1.0):
        return RealScore(name, name == "ours, afterwards", std_us, 0.0, 1.0, held, u95)

    good = [of("ours", 1.0), of("ours, afterwards", 1.0), of("chrony", 2.0)]
    assert failures(good) == []
    assert failures([of("ours", 3.0), *good[1:]]) == ["ours: chrony does better"]
    assert failures([of("ours", 1.0, held=0.99, u95=0.5), *good[1:]]) == [
        "ours: bound held 99.000%",
        "ours: u95 held 50.0%",
    ]


def test_the_program_over_all_exchanges_is_no_wider_than_our_bound(tmp_path):
    recording = read(table(tmp_path / "lan.csv"))
    ours = {score.estimator: score.half for score in scores(recording)}
    for found, name in zip(halves(recording), ("ours", "ours, afterwards"), strict=True):
        assert 0.9 < found <= ours[name] * 1.001


def test_the_program_needs_both_ways_and_notices_a_contradiction():
    at_s = np.array([0.0])
    assert half_width(0.0, at_s, np.array([300.0]), at_s, np.array([-100.0])) == pytest.approx(200.0)
    assert np.isnan(half_width(0.0, at_s, np.array([-300.0]), at_s, np.array([100.0])))
