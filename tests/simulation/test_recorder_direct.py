"""A recorder, and exchanges that go on directly while the broker is away for long."""

import pytest

from pi_agent.udp import agreement
from schemas.events import Gap
from schemas.exchange import UDP
from tests.effort import few
from tests.simulation.simulated_machines import Link, S
from tests.simulation.simulated_udp import DirectLink
from tests.simulation.test_recorder import Recorded, assert_complete
from topside_agent.settings import TopsideSettings

AWAY_S, KEPT_S, KEY_S = (20.0, 260.0), 60.0, 200.0
"""A fifteenth of an hour, of the half hour that is kept, and of the hour that a key lasts, or nearly."""


def test_what_topside_no_longer_had_is_a_gap_and_the_rest_is_there_once(tmp_path, monkeypatch):
    monkeypatch.setattr(agreement, "KEY_S", KEY_S)
    recorded = Recorded(
        tmp_path,
        Link(),
        stop_s=300,
        topside_link=Link(down=(AWAY_S,)),
        direct=DirectLink(),
        settings=TopsideSettings(backlog_s=KEPT_S),
    )
    recorded.simulation.run(340)
    exchanges = recorded.folder.read_exchanges().exchanges
    there = [each.seq for each in exchanges]
    gaps = [event for event in recorded.folder.read_events() if isinstance(event, Gap)]
    lost = {seq for gap in gaps for seq in range(gap.from_seq, gap.to_seq + 1)}
    assert len(set(there)) == len(there)
    assert lost
    assert not lost & set(there)
    assert lost | set(there) == set(range(min(there), max(there) + 1))
    away = [each for each in exchanges if AWAY_S[0] + 1 < began_s(recorded, each) < AWAY_S[1] - 1]
    assert {each.method for each in away} == {UDP.name}
    assert max(began_s(recorded, each) for each in away) > KEY_S - 10
    block = recorded.folder.read_metadata()["timeSync"]["tidesync"]
    assert block["vehicles"]["rov1"]["missing"] == len(lost)
    for measured in recorded.folder.measure().values():
        for row in measured.track.rows:
            at_raw_ns = row.topside_unix_ns - recorded.simulation.clock.difference_ns
            true_ns = recorded.simulation.true_ms(at_raw_ns) * 1e6
            assert row.lower_ns - 1 <= true_ns <= row.upper_ns + 1


def began_s(recorded, exchange):
    raw_ns = exchange.origin_ns - exchange.topside_realtime_minus_raw_ns
    return (raw_ns - recorded.simulation.start_ns) / S


@pytest.mark.parametrize(
    ("away_s", "recorder_away_s"),
    few([((45, 64), ()), ((58.5, 66), ()), ((45, 59), (45, 59.5)), ((45, 70), (45, 59))]),
)
def test_what_was_measured_while_topside_was_away_and_until_the_stop_is_there(
    tmp_path, away_s, recorder_away_s
):
    """Topside measures directly, and has published none of it at the stop at 60 s."""
    recorded = Recorded(
        tmp_path,
        Link(down=(recorder_away_s,) if recorder_away_s else ()),
        topside_link=Link(down=(away_s,)),
        direct=DirectLink(),
    )
    recorded.simulation.run(110)
    assert_complete(recorded)
    exchanges = recorded.folder.read_exchanges().exchanges
    assert max(began_s(recorded, each) for each in exchanges) > 59.5
    assert not [event for event in recorded.folder.read_events() if isinstance(event, Gap)]
