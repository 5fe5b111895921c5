"""The one offset that the consumer applies to a whole session states how wrong it is anywhere in it."""

import pytest

from schemas.metadata import OffsetRange, sensor_entry
from tests.unit.test_metadata_merge import nothing, result
from tests.unit.test_recorder_closing import MS, row
from tests.unit.test_recorder_session import at, measured, recording
from tidesync.sessions.recorder import closing
from tidesync.sessions.recorder.closing import Closing
from tidesync.sessions.recorder.session_log import SessionLog
from tidesync.sessions.recorder.session_recorder import SessionRecorder
from tidesync.sessions.recorder.settings import RecorderSettings


def entry_of(log):
    return log.metadata_update().entries["inWater"]


def taken(*results):
    log = SessionLog(recording(), at(0))
    for second, each in enumerate(results):
        log.take_result(each, at(second), stored=False)
    return log


def test_of_a_steady_clock_it_is_the_max_error():
    entry = entry_of(taken(measured(0), measured(1)))
    assert (entry.offset_ms, entry.uncertainty_ms, entry.error) == (-150.312, pytest.approx(0.422), None)


def test_a_step_while_recording_is_in_it_at_once():
    """The consumer's fusion runs before our session is stopped."""
    entry = entry_of(taken(measured(0), measured(1, offset_ms=2849.688)))
    assert entry.offset_ms == 2849.688
    assert entry.uncertainty_ms == pytest.approx(3000.422)


def test_a_result_without_an_offset_changes_nothing():
    log = taken(measured(0), nothing("timeout"))
    assert entry_of(log).uncertainty_ms == pytest.approx(0.422)
    assert log.metadata_update().block.vehicles["rov1"].offset_range.lowest_ms == pytest.approx(-150.734)


def stopped(log, rows):
    log.closing = Closing(5, {"rov1": closing.summary(rows)}, "time_sync/offsets.csv")
    return entry_of(log)


@pytest.mark.parametrize(
    ("rows", "uncertainty_ms"),
    [
        ([row(0, -150.3), row(1, -150.312)], 0.422),
        ([row(0, -582.312), row(90, -366.312), row(180, -150.312)], 432.000005),  # 40 ppm for three hours
        ([row(0, -3150.312), row(1, -150.312, segment=1)], 3000.000005),
        ([row(0, -150.312), row(1, 849.688, segment=1), row(2, -150.312, segment=2)], 1000.000005),
        ([row(0, 7000, state="ambiguous"), row(1, -150.312), row(2, 9000, state="outside")], 0.422),
    ],
    ids=["steady", "drift", "step", "there and back", "invalid rows"],
)
def test_at_the_stop_it_covers_every_row_of_the_smoothed_track(rows, uncertainty_ms):
    entry = stopped(taken(measured(0)), rows)
    assert entry.uncertainty_ms == pytest.approx(uncertainty_ms, abs=1e-9)
    for each in rows:
        if each.state == "ok":
            apart_ms = abs(each.offset_ns / MS - entry.offset_ms) + each.max_error_ns / MS
            assert entry.uncertainty_ms >= apart_ms - 1e-9


def test_early_results_that_the_smoothed_track_knows_better_do_not_widen_it():
    log = taken(measured(0, max_error_ms=90.0), measured(1))
    assert entry_of(log).uncertainty_ms == pytest.approx(90.0)
    assert stopped(log, [row(0, -150.3), row(1, -150.312)]).uncertainty_ms == pytest.approx(0.422)


def test_without_a_track_that_of_the_results_stays():
    log = taken(measured(0, offset_ms=-1150.312), measured(1))
    assert stopped(log, []).uncertainty_ms == pytest.approx(1000.422)


def test_a_restarted_recorder_still_knows_the_offsets_before(tmp_path):
    settings = RecorderSettings(root=tmp_path, broker="mqtt://localhost")
    first = SessionRecorder(recording(), tmp_path / "session_s1", settings, at(0))
    first.take_result(measured(0, offset_ms=-1150.312), at(0), stored=False)
    first.take_result(measured(1), at(1), stored=False)
    first.update(at(2))
    again = SessionRecorder(recording(), tmp_path / "session_s1", settings, at(3))
    again.resumed(again.read_folder(at(3)), at(3))
    assert entry_of(again.log).uncertainty_ms == pytest.approx(1000.422)
    again.take_result(measured(4), at(4), stored=False)
    assert entry_of(again.log).uncertainty_ms == pytest.approx(1000.422)


def test_it_is_never_below_the_max_error_of_the_offset_itself():
    inside = OffsetRange(lowest_ms=-150.313, highest_ms=-150.311)
    assert sensor_entry(result(), inside).uncertainty_ms == 0.422
