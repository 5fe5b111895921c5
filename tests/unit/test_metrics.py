"""Metrics: base units, nothing where nothing is known, and a bounded number of series."""

import shutil
import subprocess

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pi_agent.http_service import pi_families
from runtime.metrics import exposition, make_registry
from schemas.messages import OffsetResult
from tests.unit import metric_examples as examples
from tidesync.sessions.recorder.metrics import MOST_SESSIONS
from topside_agent.measuring.measurement import Measurement
from topside_agent.metrics import MOST_VEHICLES
from topside_agent.settings import TopsideSettings


def samples(families):
    """Value by (name, labels), as a scraper reads it."""
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(examples.text_of(families))
        for sample in family.samples
    }


def values(families, name):
    return named(samples(families), name)


def named(found, name):
    return [value for (each, *_), value in found.items() if each == name]


def test_a_result_is_exposed_in_base_units():
    families = examples.topside()
    wanted = {
        "tidesync_offset_seconds": -0.1503,
        "tidesync_offset_lower_seconds": -0.1507,
        "tidesync_offset_upper_seconds": -0.1499,
        "tidesync_max_error_seconds": 0.0004,
        "tidesync_u95_seconds": 0.00003,
        "tidesync_delay_min_seconds": 0.0006,
        "tidesync_drift_ratio": -3.5e-6,
        "tidesync_drift_error_ratio": 7.5e-7,
        "tidesync_last_exchange_age_seconds": 0.25,
        "tidesync_exchanges_total": 5,
        "tidesync_steps_total": 1,
    }
    assert {name: values(families, name) for name in wanted} == {n: [v] for n, v in wanted.items()}
    labels = (("topside", "laptop"), ("vehicle", "rov1"))
    assert ("tidesync_offset_seconds", *labels) in samples(families)


def test_one_path_is_and_the_others_are_not_and_exchanges_are_counted_by_path():
    direct = examples.RESULT.model_copy(update={"path": "udp"})
    found = samples(examples.topside(examples.snapshot(result=direct)))

    def by_path(wanted):
        return {dict(labels)["path"]: value for (name, *labels), value in found.items() if name == wanted}

    assert by_path("tidesync_path") == {"mqtt": 0, "udp": 1, "http": 0}
    assert by_path("tidesync_exchanges_in_use_total") == {"udp": 4}


def test_one_state_is_and_the_others_are_not():
    states = {
        dict(labels)["state"]: value
        for (name, *labels), value in samples(examples.topside()).items()
        if name == "tidesync_state"
    }
    assert states == {"acquiring": 0, "locked": 1, "holdover": 0, "stale": 0, "unsynced": 0}


def test_what_is_not_known_is_absent_and_never_zero():
    nothing = examples.RESULT.model_copy(
        update=dict.fromkeys(
            (name for name in OffsetResult.model_fields if name.endswith(("_ms", "_ppm"))), None
        )
        | {"state": "unsynced"}
    )
    families = examples.topside(examples.snapshot(result=nothing, last_exchange_age_s=None))
    names = {name for name, *_ in samples(families)}
    assert not {
        name for name in names if name.startswith(("tidesync_offset", "tidesync_max", "tidesync_u95"))
    }
    assert not names & {
        "tidesync_drift_ratio",
        "tidesync_last_exchange_age_seconds",
        "tidesync_delay_min_seconds",
    }
    assert "tidesync_recorder_free_bytes" not in {
        name for name, *_ in samples(examples.recorder(free_bytes=None))
    }
    assert not values(pi_families(examples.health(last_ping_age_s=None)), "tidesync_last_ping_age_seconds")


def test_a_result_that_is_no_longer_renewed_is_not_exposed_nor_its_state():
    families = examples.topside(examples.snapshot(current=False))
    names = {name for name, *_ in samples(families)}
    assert not names & {"tidesync_offset_seconds", "tidesync_max_error_seconds", "tidesync_state"}
    assert "tidesync_last_exchange_age_seconds" in names


@pytest.mark.parametrize("of", ["vehicle", "topside"])
def test_of_a_duplicate_there_is_no_number_but_that_it_is_one(of):
    doubtful = examples.RESULT.model_copy(update={"state": "acquiring", "error": f"duplicate_{of}"})
    found = samples(examples.topside(examples.snapshot(result=doubtful)))
    flags = {
        dict(labels)["of"]: value for (name, *labels), value in found.items() if name == "tidesync_duplicate"
    }
    assert flags == {"vehicle": of == "vehicle", "topside": of == "topside"}
    absent = ("offset", "max_error", "u95", "drift", "delay_min")
    assert not [name for name, *_ in found if name.startswith(tuple(f"tidesync_{each}_" for each in absent))]
    assert set(values(examples.topside(), "tidesync_duplicate")) == {0}


def test_a_vehicle_without_a_message_is_unsynced():
    families = examples.topside(examples.snapshot(result=None, last_exchange_age_s=None, current=False))
    found = {key for key, value in samples(families).items() if key[0] == "tidesync_state" and value}
    assert [dict(labels)["state"] for _, *labels in found] == ["unsynced"]


def test_delays_are_counted_up_to_each_bound():
    buckets = {
        dict(labels)["le"]: value
        for (name, *labels), value in samples(examples.topside()).items()
        if name == "tidesync_exchange_delay_seconds_bucket"
    }
    assert (buckets["0.0001"], buckets["0.0002"], buckets["0.5"], buckets["+Inf"]) == (2, 3, 3, 4)
    assert values(examples.topside(), "tidesync_exchange_delay_seconds_count") == [4]
    assert values(examples.topside(), "tidesync_exchange_delay_seconds_sum") == [pytest.approx(0.700290001)]


@pytest.mark.slow
def test_a_flood_of_names_makes_a_bounded_number_of_series():
    many = [examples.snapshot(f"rov{number}") for number in range(MOST_VEHICLES + 7)]
    found = samples(examples.topside(*many))
    assert len(named(found, "tidesync_offset_seconds")) == MOST_VEHICLES
    assert named(found, "tidesync_vehicles") == [MOST_VEHICLES + 7]
    assert named(found, "tidesync_vehicles_not_shown") == [7]
    assert found[("tidesync_offset_seconds", ("topside", "laptop"), ("vehicle", "rov0"))]

    vehicles = [examples.recorded(f"rov{number}") for number in range(30)]
    sessions = [examples.session(f"s{number}", vehicles) for number in range(MOST_SESSIONS + 5)]
    found = samples(examples.recorder(*sessions))
    assert len(named(found, "tidesync_recorder_exchanges_total")) == 500
    assert len(named(found, "tidesync_recorder_alarm")) == MOST_SESSIONS
    assert named(found, "tidesync_recorder_sessions") == [MOST_SESSIONS + 5]


def test_a_session_that_has_ended_has_no_lag():
    families = examples.recorder(examples.session(recording=False))
    names = {name for name, *_ in samples(families)}
    assert "tidesync_recorder_exchanges_total" in names
    assert not {name for name in names if name.endswith(("lag_seconds", "age_seconds"))}


def test_a_scraper_that_asks_for_openmetrics_gets_it():
    registry = make_registry(examples.topside)
    text, content_type = exposition(registry, "application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert text.endswith(b"# EOF\n")
    assert exposition(registry, "rubbish")[1].startswith("text/plain")


def test_each_scrape_collects_again():
    asked = []

    def collect():
        asked.append(1)
        return examples.topside()

    registry = make_registry(collect)
    assert not asked
    exposition(registry, None)
    exposition(registry, None)
    assert len(asked) == 2


@pytest.mark.slow
@pytest.mark.parametrize("number", range(3), ids=["topside", "recorder", "pi"])
def test_prometheus_accepts_all_names_types_and_help(number):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool (Debian's prometheus) is not installed")
    checked = subprocess.run(
        [promtool, "check", "metrics"],
        input=examples.all_texts()[number],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_a_measurement_that_has_not_begun_has_zero_counts():
    snapshot = Measurement("rov1", TopsideSettings(), resolution_ns=1).snapshot(10**12)
    assert (snapshot.exchanges, snapshot.last_exchange_age_s, snapshot.result) == (0, None, None)
    assert not snapshot.current
