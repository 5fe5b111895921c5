"""The lines for Cockpit's data lake: what its parser makes of them; nothing old passes for current."""

import math
import re
from itertools import permutations

import pytest

from schemas import topics
from schemas.topics import Topic
from tests.unit.dashboards import LONG_AGO, S, letter, reading, result, status_letter
from tidesync.dashboard.cockpit_lines import KEYS, ChangedLines, values
from tidesync.dashboard.presentation import vehicle_view
from tidesync.fleet.model import Fleet

NOON = 1_777_636_800.4


class Lake:
    """Takes messages as Cockpit does: `parseAndInjectMessage`, src/libs/generic-websocket.ts, v1.18."""

    def __init__(self):
        self.kinds = {}
        self.data = {}

    def take(self, message):
        name, equals, text = message.strip().partition("=")
        assert equals, message
        quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
        text = text[1:-1] if quoted else text
        key = "external/" + machinized(name)
        kind = self.kinds.setdefault(key, "string" if quoted else guessed(text))
        self.data[key] = {"number": number, "boolean": lambda t: t.lower() == "true", "string": str}[kind](
            text
        )


def machinized(text):
    """`machinizeString`, src/libs/utils.ts."""
    single = re.sub("-+", "-", re.sub("[^a-zA-Z0-9-]", "-", text.lower().strip()))
    return re.sub("^-+|-+$", "", single)


def guessed(text):
    """`guessedTypeFromString`, src/libs/utils-data-lake.ts."""
    if text.lower() in {"true", "false"}:
        return "boolean"
    return "string" if text == "" or math.isnan(number(text.lower())) else "number"


def number(text):
    """JavaScript's Number(), for what can come here."""
    if text.strip() == "":
        return 0.0
    if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text.strip()):
        return float(text)
    return math.inf if text == "Infinity" else math.nan


class Scene:
    """A fleet, one client, and Cockpit behind it."""

    def __init__(self, topside=None):
        self.fleet = Fleet()
        self.changed = ChangedLines()
        self.lake = Lake()
        self.connected = True
        self.now_ns = LONG_AGO
        self.topside = topside

    def hear(self, *arguments, **fields):
        self.fleet.take(letter(result(*arguments, **fields), self.now_ns))

    def look(self, after_s=1.0):
        """What is sent `after_s` later."""
        self.now_ns += round(after_s * S)
        rows = [vehicle_view(row) for row in self.fleet.rows(reading(self.now_ns))]
        current = values(
            rows, connected=self.connected, unix_s=NOON, topside=self.topside, before=self.changed.sent
        )
        lines = list(self.changed.due(current, self.now_ns / S))
        for line in lines:
            self.lake.take(line)
        return lines

    def __getitem__(self, name):
        return self.lake.data.get(f"external/tidesync-{name}")


@pytest.fixture
def scene():
    return Scene()


def test_each_value_is_a_message_of_its_own_with_its_age_and_state(scene):
    scene.hear()
    lines = scene.look(0)
    assert "tidesync-rov1-offset-ms=-150.3" in lines
    assert "tidesync-rov1-max-error-ms=0.42" in lines
    assert "tidesync-rov1-drift-ppm=-3.4" in lines
    assert "tidesync-rov1-state=locked" in lines
    assert "tidesync-broker-connected=true" in lines
    assert len({line.partition("=")[0] for line in lines}) == len(lines)


def test_bounds_below_a_microsecond_are_never_sent_narrower_than_they_are(scene):
    figures = {
        "offset_ms": -150.300041,
        "max_error_ms": 0.000432,
        "delay_min_ms": 0.000569,
        "drift_ppm": 1e-4,
    }
    scene.hear(lower_ms=-150.300473, upper_ms=-150.299609, **figures)
    lines = scene.look(0)
    assert "tidesync-rov1-offset-ms=-150.30004" in lines
    assert "tidesync-rov1-max-error-ms=0.00044" in lines, (
        "rounded up: it holds around the offset that is sent"
    )
    assert {"tidesync-rov1-lower-ms=-150.30048", "tidesync-rov1-upper-ms=-150.2996"} <= {*lines}
    assert {"tidesync-rov1-delay-min-ms=0.000569", "tidesync-rov1-drift-ppm=0.0001"} <= {*lines}


def test_cockpit_makes_numbers_of_numbers_and_words_of_words(scene):
    scene.hear(topside="007", measured_ns=LONG_AGO)
    scene.look(0)
    kinds = {name.removeprefix("external/tidesync-"): kind for name, kind in scene.lake.kinds.items()}
    assert {name for name, kind in kinds.items() if kind == "string"} == {
        "rov1-state", "rov1-topside", "rov1-error"
    }  # fmt: skip
    assert {name for name, kind in kinds.items() if kind == "boolean"} == {"broker-connected"}
    assert (scene["rov1-topside"], scene["rov1-error"], scene["rov1-steps"]) == ("007", "none", 0)
    assert all(math.isfinite(value) for value in scene.lake.data.values() if isinstance(value, float))


def test_what_is_absent_is_not_sent_and_so_is_never_zero(scene):
    absent = {"offset_ms": None, "lower_ms": None, "upper_ms": None, "max_error_ms": None, "drift_ppm": None}
    scene.hear(state="unsynced", error="timeout", delay_min_ms=None, age_s=None, **absent)
    lines = scene.look(0)
    assert not any(line.endswith("=") or "nan" in line.lower() or "none" in line.lower() for line in lines)
    assert {line for line in lines if "rov1" in line} == {
        "tidesync-rov1-state=unsynced",
        "tidesync-rov1-error=timeout",
        'tidesync-rov1-topside="laptop"',
        "tidesync-rov1-steps=0",
    }


def test_no_text_that_a_peer_can_choose_is_sent_since_cockpit_runs_it(scene):
    scene.hear("rov1", method="alert(1)", boot_id="alert(1)", error="timeout")
    word = r'("[a-z0-9_-]+"|[a-z_]+|-?\d+(\.\d+)?(e-\d+)?)'
    assert [line for line in scene.look(0) if not re.fullmatch(rf"tidesync-[a-z0-9-]+={word}", line)] == []


def test_names_come_out_of_cockpit_as_they_are(scene):
    scene.hear("rov_1--b_", topside="boat__2")
    scene.hear("rov_1--b_", topside="other")
    for line in scene.look(0):
        name = line.partition("=")[0]
        assert machinized(name) == name


def test_no_value_of_one_vehicle_has_the_name_of_anothers():
    for one, other in permutations(KEYS, 2):
        assert not one.endswith(f"-{other}")


def test_a_lost_broker_is_reported_at_once_and_the_age_grows_on(scene):
    scene.hear(measured_ns=LONG_AGO)
    scene.look(0)
    assert scene["rov1-state"] == "locked"
    scene.connected = False
    lines = scene.look(0.25)
    assert {"tidesync-broker-connected=false", "tidesync-rov1-state=unknown"} <= set(lines)
    assert not any("offset" in line for line in lines)
    scene.look(10)
    assert (scene["rov1-state"], scene["rov1-age-s"]) == ("unknown", pytest.approx(10.2, abs=0.1))


def test_a_result_that_is_not_renewed_is_unknown(scene):
    scene.hear()
    scene.look(0)
    scene.look(3.1)
    assert scene["rov1-state"] == "unknown"
    scene.hear(offset_ms=-149.0)
    assert scene.look(0.25)[-1] == "tidesync-rov1-state=locked"  # the state comes after its numbers
    assert scene["rov1-offset-ms"] == -149.0


def test_a_retained_result_is_unknown_until_a_live_one_comes(scene):
    scene.fleet.take(letter(result(measured_ns=LONG_AGO - 60 * S), LONG_AGO, retained=True))
    lines = scene.look(0)
    assert [line for line in lines if "rov1" in line] == [
        "tidesync-rov1-state=unknown",
        "tidesync-rov1-age-s=60.0",
    ]


def test_a_vehicle_that_nobody_measures_is_unknown(scene):
    scene.fleet.take(status_letter("online", vehicle="rov1"))
    assert [line for line in scene.look(0) if "rov1" in line] == ["tidesync-rov1-state=unknown"]


def test_a_vehicle_that_is_forgotten_is_unknown_once(scene):
    scene.hear()
    scene.look(0)
    scene.fleet.forget(Topic(topics.OFFSET, vehicle="rov1", topside="laptop"))
    assert "tidesync-rov1-state=unknown" in scene.look(0.25)
    assert [line for line in scene.look() if "rov1" in line] == []


def test_values_come_once_a_second_and_only_when_they_change_but_a_state_at_once(scene):
    scene.hear()
    scene.look(0)
    scene.hear(offset_ms=-151.0)
    assert scene.look(0.25) == []
    assert "tidesync-rov1-offset-ms=-151.0" in (lines := scene.look(0.75))
    assert not any("drift" in line for line in lines)
    scene.hear(state="holdover")
    assert "tidesync-rov1-state=holdover" in scene.look(0.25)


def test_another_client_gets_everything(scene):
    scene.hear()
    first = scene.look(0)
    scene.changed = ChangedLines()
    assert scene.look(0) == first


def test_two_topsides_have_names_of_their_own_and_the_plain_ones_are_of_the_least_bound(scene):
    scene.hear(topside="boat", offset_ms=-150.0, max_error_ms=0.5)
    scene.look(0)
    assert (scene["rov1-offset-ms"], scene["rov1-topside"]) == (-150.0, "boat")
    scene.hear(topside="shore", offset_ms=70.0, max_error_ms=0.3)
    scene.look(0.25)
    assert (scene["rov1-offset-ms"], scene["rov1-topside"]) == (-150.0, "boat"), "the one in use stays"
    assert (scene["rov1-by-boat-offset-ms"], scene["rov1-by-shore-offset-ms"]) == (-150.0, 70.0)
    scene.hear(topside="shore", offset_ms=70.0, max_error_ms=0.2)
    scene.look()
    assert (scene["rov1-offset-ms"], scene["rov1-topside"]) == (70.0, "shore")


def test_the_one_topside_that_still_measures_gets_the_plain_names_and_the_other_is_unknown(scene):
    scene.hear(topside="boat")
    scene.look(0)
    scene.now_ns += 4 * S
    scene.hear(topside="shore", offset_ms=70.0)
    scene.look(0.25)
    assert (scene["rov1-state"], scene["rov1-offset-ms"], scene["rov1-topside"]) == ("locked", 70.0, "shore")
    assert (scene["rov1-by-boat-state"], scene["rov1-by-shore-state"]) == ("unknown", "locked")


def test_one_topside_can_be_asked_for():
    scene = Scene(topside="shore")
    scene.hear(topside="boat", offset_ms=-150.0)
    scene.hear(topside="shore", offset_ms=70.0)
    scene.hear("rov2", topside="boat")
    lines = scene.look(0)
    assert (scene["rov1-state"], scene["rov1-offset-ms"]) == ("locked", 70.0)
    assert not any("boat" in line or "rov2" in line for line in lines)


@pytest.mark.parametrize("pair", [("rov-1", "rov_1"), ("rov", "rov-"), ("a--b", "a-b")])
def test_vehicles_whose_names_cockpit_cannot_tell_apart_are_ambiguous(scene, pair):
    for offset_ms, vehicle in enumerate(pair):
        scene.hear(vehicle, offset_ms=float(offset_ms))
    lines = [line for line in scene.look(0) if "broker" not in line and "heartbeat" not in line]
    assert lines == [f"tidesync-{machinized(pair[0])}-state=ambiguous"]


def test_a_vehicle_that_is_called_like_a_topsides_measurement_of_another_is_ambiguous(scene):
    scene.hear("rov1", topside="a")
    scene.hear("rov1", topside="b")
    scene.hear("rov1-by-a", topside="b")
    scene.look(0)
    assert scene["rov1-by-a-state"] == "ambiguous"
    assert scene["rov1-by-a-offset-ms"] is None


@pytest.mark.parametrize("error", ["duplicate_vehicle", "duplicate_topside"])
def test_a_duplicate_is_ambiguous_and_has_no_numbers(scene, error):
    scene.hear(state="acquiring", error=error)
    lines = [line for line in scene.look(0) if "rov1" in line]
    assert lines == ["tidesync-rov1-state=ambiguous"]


def test_a_bad_state_is_sent_before_the_numbers(scene):
    scene.hear(state="stale", max_error_ms=40.0)
    lines = [line for line in scene.look(0) if "rov1" in line]
    assert lines[0] == "tidesync-rov1-state=stale"


def test_the_heartbeat_is_whole_seconds_of_the_dashboards_clock(scene):
    assert "tidesync-heartbeat-unix-s=1777636800" in scene.look(0)
