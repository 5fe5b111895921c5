"""A session over everything that can be restarted: every exchange once, each true to the clocks."""

import json

from runtime.clock import Reading, read
from schemas.exchange import MQTT, UDP, Exchange
from schemas.messages import StartCommand, StopCommand
from tests.deadline import until
from tests.network.recording import until_written

S = 1_000_000_000
NAME = "2026-05-01T12-00-00Z"


def tell(checker, action, **fields):
    command = (StartCommand if action == "start" else StopCommand)(request_id=action, **fields)
    wanted = "recording" if action == "start" else "stopped"

    def answered():
        checker.command(NAME, command)
        return checker.wait_for_session(lambda s: s.request_id == action and s.state == wanted, 1.0)

    return until(answered, 20, f"the answer to {action}")


def exchanges_in(folder):
    try:
        lines = (folder / "time_sync" / "exchanges.jsonl").read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    return [Exchange.decode(line) for line in lines if line.endswith(b"\n")]  # the last may be half written


def is_whole_since(folder, since_ns):
    recorded = exchanges_in(folder)
    seqs = {entry.seq for entry in recorded}
    newest_ns = max((entry.origin_ns for entry in recorded), default=0)
    return newest_ns > since_ns and len(seqs) == max(seqs) - min(seqs) + 1


def bounds_hold_the_truth(exchange, clock, base):
    """Both facts of an exchange, each of its own instant: the clock drifts while an answer is on its way.

    At the destination transmit − destination ≤ offset, at the origin offset ≤ receive − origin.
    """
    difference_ns = exchange.topside_realtime_minus_raw_ns

    def true_ns(topside_realtime_ns):
        return clock.true_offset_ns(Reading(topside_realtime_ns - difference_ns, difference_ns, 0))

    slack_ns = exchange.resolution_ns + abs(base.realtime_minus_raw_ns - difference_ns)
    upper_ns = exchange.receive_ns - exchange.origin_ns + slack_ns
    lower_ns = exchange.transmit_ns - exchange.destination_ns - slack_ns
    return lower_ns <= true_ns(exchange.destination_ns) and true_ns(exchange.origin_ns) <= upper_ns


def test_a_session_with_every_part_restarted_has_each_exchange_once_and_none_wrong(broker, boat, tmp_path):
    checker = boat.checker()
    topside = boat.topside(holdover_after_s=1.0)
    pi = boat.vehicle("rov1", offset_ns=-3 * S, drift_ppm=25.0)
    clock = boat.clocks["rov1"]
    boat.recorder(tmp_path)
    checker.until_state("rov1", "locked")
    started = tell(checker, "start", mission="reef-42", sensors={"inWater": "rov1"})

    pi.stop()
    boat.vehicle("rov1", clock=clock)
    checker.until_state("rov1", "locked", after=len(checker.heard), within_s=5)
    broker.kill()
    broker.start()
    checker.until_state("rov1", "locked", after=len(checker.heard), within_s=5)
    since_ns = boat.clock.realtime_ns()
    until(lambda: is_whole_since(tmp_path / started.path, since_ns), 10, "what the broker held, sent again")
    topside.stop()  # with it goes its memory, the only place that still had them
    restarted_ns = boat.clock.realtime_ns()
    boat.topside(holdover_after_s=1.0)
    checker.until_state("rov1", "locked", after=len(checker.heard), within_s=5)
    until(lambda: len(exchanges_in(tmp_path / started.path)) >= 60, 30, "sixty exchanges recorded")
    stopped = tell(checker, "stop")
    until_written(tmp_path / stopped.path)

    recorded = exchanges_in(tmp_path / stopped.path)
    identities = [(entry.topside, entry.seq, entry.origin_ns) for entry in recorded]
    assert len(set(identities)) == len(identities) >= stopped.exchanges
    # What was sent again is written where it arrived; but of neither process of topside is a number missing.
    before = sorted(entry.seq for entry in recorded if entry.origin_ns < restarted_ns)
    after = sorted(entry.seq for entry in recorded if entry.origin_ns >= restarted_ns)
    assert before == list(range(before[0], before[0] + len(before)))
    assert after == list(range(len(after)))
    base = read(boat.clock)
    assert [entry for entry in recorded if not bounds_hold_the_truth(entry, clock, base)] == []
    assert checker.wrong == []

    metadata = json.loads((tmp_path / stopped.path / "sync_metadata.json").read_text(encoding="utf-8"))
    entry = metadata["timeSync"]["inWater"]
    assert entry["method"] in {MQTT.name, UDP.name}  # that of the newest result
    assert abs(entry["offsetMs"] - -3000) < 20 + entry["uncertaintyMs"]  # 25 ppm of drift since
    assert 0 < entry["uncertaintyMs"] < 1000
    assert metadata["timeSync"]["surface"] is None
