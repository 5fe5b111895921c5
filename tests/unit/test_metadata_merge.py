"""sync_metadata.json: our part goes in, and nobody else's key is lost."""

import json
from datetime import datetime

import pytest

from schemas.compat import UTC
from schemas.metadata import DriftModel, SessionBlock, SessionFiles, iso_ms, sensor_entry
from tests.results import offset_result
from tidesync.sessions.document import NotMetadataError, block_of, parse, render
from tidesync.sessions.recorder.metadata import MetadataUpdate, merge

STARTED = datetime(2026, 5, 1, 12, 0, 0, 999_999, tzinfo=UTC)
NOW = datetime(2026, 5, 1, 12, 0, 1, 123_999, tzinfo=UTC)
LATER = datetime(2026, 5, 1, 12, 0, 2, tzinfo=UTC)
DRIFT = DriftModel(start_offset_ms=-150.0, drift_rate_ms_per_min=-0.2, end_offset_ms=-162.0)


def result(**changes):
    ours = {
        "topside": "topside",
        "max_error_ms": 0.422,
        "measured_at": NOW,
        "measured_unix_ms": 1777636801123,
    }
    return offset_result(**ours | changes)


def nothing(error=None):
    nulls = dict.fromkeys(("offset_ms", "lower_ms", "upper_ms", "max_error_ms", "measured_at"))
    return result(state="unsynced", error=error, **nulls)


def update(entry=None, *, drift_model=None, state="recording"):
    files = SessionFiles(exchanges="time_sync/exchanges.jsonl", events="time_sync/events.jsonl", offsets=None)
    block = SessionBlock(
        session="2026-05-01T12-00-00Z",
        recorder="main",
        state=state,
        started_at=STARTED,
        stopped_at=None,
        sensors={"inWater": "rov1"},
        alarm=None,
        files=files,
        drift_model=drift_model,
        vehicles={},
    )
    return MetadataUpdate("reef-42", block, {"inWater": entry or sensor_entry(result())})


def test_a_new_file_has_the_consumers_shape_and_order():
    document = merge(None, update(), NOW)
    assert list(document) == [
        "schemaVersion",
        "mission",
        "unifiedSessionTimestamp",
        "createdAt",
        "updatedAt",
        "sensors",
        "timeSync",
    ]
    block = document["timeSync"].pop("tidesync")
    assert document == {
        "schemaVersion": 1,
        "mission": "reef-42",
        "unifiedSessionTimestamp": "2026-05-01T12-00-00Z",
        "createdAt": "2026-05-01T12:00:01.123Z",
        "updatedAt": "2026-05-01T12:00:01.123Z",
        "sensors": {"inWater": None, "surface": None},
        "timeSync": {
            "inWater": {
                "method": "mqtt_exchange_v1",
                "offsetMs": -150.312,
                "uncertaintyMs": 0.422,
                "measuredAt": "2026-05-01T12:00:01.123Z",
                "error": None,
            },
            "surface": None,
            "markers": [],
            "driftModel": None,
        },
    }
    assert block["state"] == "recording"
    assert block["sensors"] == {"inWater": "rov1"}


@pytest.mark.parametrize("word", ["timeout", "not_authorized"])
def test_beside_an_offset_there_is_no_error_as_that_means_to_the_consumer_that_there_is_none(word):
    entry = sensor_entry(result(error=word))
    assert (entry.offset_ms, entry.error) == (-150.312, None)


@pytest.mark.parametrize(("asked", "word"), [(None, "timeout"), ("network_error", "network_error")])
def test_a_vehicle_that_could_not_be_synchronised_has_an_object_that_says_why(asked, word):
    entry = merge(None, update(sensor_entry(nothing(asked))), NOW)["timeSync"]["inWater"]
    assert entry == {
        "method": "unsynced",
        "offsetMs": None,
        "uncertaintyMs": None,
        "measuredAt": None,
        "error": word,
    }


def test_a_vehicle_that_never_answered_has_one_too():
    assert sensor_entry(None).error == "timeout"


def test_unknown_keys_survive_untouched_and_in_their_order():
    existing = {
        "fusion": {"rows": [1, 2.50, 1e300, 12345678901234567890], "é": "ü\ud800"},
        "schemaVersion": 1,
        "timeSync": {"other": [None], "inWater": {"note": "theirs", "offsetMs": 3}, "markers": [{"id": "a"}]},
        "sensors": {"inWater": {"directory": "in-water_1"}, "surface": None},
        "createdAt": "2020-01-01T00:00:00.000Z",
    }
    document = merge(parse(render(existing)), update(), NOW)
    assert list(document)[:5] == list(existing)
    assert document["fusion"] == existing["fusion"]
    assert document["sensors"] == existing["sensors"]
    assert document["createdAt"] == existing["createdAt"]
    assert list(document["timeSync"])[:3] == ["other", "inWater", "markers"]
    assert document["timeSync"]["other"] == [None]
    assert document["timeSync"]["markers"] == [{"id": "a"}]
    assert document["timeSync"]["inWater"]["note"] == "theirs"
    assert document["timeSync"]["inWater"]["offsetMs"] == -150.312


def test_the_older_layout_is_kept_and_the_newer_is_beside_it():
    old = {
        "method": "ntp_handshake_v1",
        "offsetMs": -151,
        "uncertaintyMs": 4,
        "measuredAt": "2026-05-01T11:00:00Z",
    }
    time_sync = merge({"timeSync": dict(old)}, update(), NOW)["timeSync"]
    assert {key: time_sync[key] for key in old} == old
    assert time_sync["inWater"]["offsetMs"] == -150.312


def test_what_is_written_already_is_not_written_again():
    written = merge(None, update(), NOW)
    assert merge(parse(render(written)), update(), LATER) is None


def test_only_a_change_moves_updated_at():
    written = merge(None, update(), NOW)
    again = merge(written, update(sensor_entry(result(offset_ms=-150.0))), LATER)
    assert again["updatedAt"] == iso_ms(LATER)
    assert again["createdAt"] == iso_ms(NOW)


def test_what_another_program_overwrote_is_written_again():
    overwritten = merge(None, update(), NOW)
    overwritten["timeSync"]["inWater"] = {"method": "ntp_handshake_v1", "offsetMs": -151}
    del overwritten["timeSync"]["tidesync"]
    healed = merge(overwritten, update(), LATER)
    assert healed["timeSync"]["inWater"]["method"] == "mqtt_exchange_v1"
    assert block_of(healed)["session"] == "2026-05-01T12-00-00Z"


def test_a_measurement_whoever_made_it_is_not_replaced_by_null():
    theirs = {"method": "ntp_handshake_v1", "offsetMs": -151, "uncertaintyMs": 4, "error": None}
    document = merge({"timeSync": {"inWater": theirs}}, update(sensor_entry(nothing("timeout"))), NOW)
    assert document["timeSync"]["inWater"] == theirs


def test_the_drift_model_is_written_at_the_stop_and_replaced_by_that_of_the_next_stop():
    stopped = merge(merge(None, update(), NOW), update(drift_model=DRIFT, state="stopped"), LATER)
    assert stopped["timeSync"]["driftModel"] == {
        "type": "linear",
        "startOffsetMs": -150.0,
        "driftRateMsPerMin": -0.2,
        "endOffsetMs": -162.0,
    }
    resumed = merge(stopped, update(), LATER)
    assert resumed["timeSync"]["driftModel"] == stopped["timeSync"]["driftModel"]
    other = DRIFT.model_copy(update={"end_offset_ms": -170.0})
    again = merge(resumed, update(drift_model=other, state="stopped"), LATER)
    assert again["timeSync"]["driftModel"]["endOffsetMs"] == -170.0


def test_a_drift_model_that_the_consumer_wrote_stays():
    theirs = {"type": "constant", "startOffsetMs": -151}
    document = merge({"timeSync": {"driftModel": theirs}}, update(drift_model=DRIFT, state="stopped"), NOW)
    assert document["timeSync"]["driftModel"] == theirs
    assert block_of(document)["drift_model"]["endOffsetMs"] == -162.0


@pytest.mark.parametrize("odd", [None, "text", 7, ["list"]])
def test_a_time_sync_that_is_no_object_is_not_lost(odd):
    document = merge({"timeSync": odd}, update(), NOW)
    assert document["timeSync"]["inWater"]["offsetMs"] == -150.312
    assert block_of(document).get("replaced_time_sync") == odd


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'"x"', b"\xff\xfe{}", b'{"a": 1}}', b"[" * 100_000])
def test_what_is_no_json_object_is_recognised(content):
    with pytest.raises(NotMetadataError):
        parse(content)


def test_a_byte_order_mark_is_no_fault():
    assert parse(b"\xef\xbb\xbf" + json.dumps({"a": 1}).encode()) == {"a": 1}
