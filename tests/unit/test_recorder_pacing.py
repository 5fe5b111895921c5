"""Many exchanges that are missing at once come back without filling the way to the recorder, all in turn."""

from collections import Counter, deque

import pytest

from tests.unit.test_recorder_session import at, exchange, recording
from tidesync.sessions.recorder.session_log import SessionLog
from tidesync.sessions.recorder.sources import MOST_UNDER_WAY

OUTAGE_S, UNTIL_S = 60, 160


class Way:
    """A fleet, one exchange a second each, over a way that carries `per_s` exchanges a second, in order."""

    def __init__(self, vehicles, per_s):
        self.log = SessionLog(recording(sensors={}), at(0))
        self.names = [f"rov{number}" for number in range(vehicles)]
        self.queue, self.per_s = deque(), per_s
        self.carried, self.events = 0, []

    def second(self, second, *, away=False):
        """What is finished, what arrives, what is asked for."""
        if not away:
            self.queue.extend((name, second) for name in self.names)
        for _ in range(min(self.per_s, len(self.queue))):
            name, seq = self.queue.popleft()
            self.carried += 1
            self.events += self.log.take([exchange(seq, seq, vehicle=name)], None, at(second + 0.5)).events
        self.events += self.log.update(at(second + 0.5), 3600)
        for source, first, last in self.log.requests(at(second + 0.5)):
            self.queue.extend((source.vehicle, seq) for seq in range(first, last + 1))


def test_on_a_way_that_is_slow_nothing_is_sent_twice_or_given_up():
    """An answer waits for half a minute behind others: it is not asked for again meanwhile."""
    way, vehicles = Way(20, per_s=60), 20
    for second in range(UNTIL_S):
        way.second(second, away=10 <= second < 10 + OUTAGE_S)
    assert way.events == []
    assert way.log.watches.awaited == 0
    assert way.log.exchanges == vehicles * UNTIL_S
    assert way.carried == way.log.exchanges


def outage(vehicles, lost):
    """The watches of so many vehicles, of each of which so many exchanges are missing."""
    log = SessionLog(recording(sensors={}), at(0))
    for number in range(vehicles):
        log.take([exchange(seq, seq, vehicle=f"rov{number}") for seq in (0, lost + 1)], None, at(0))
    return log


def test_a_topside_is_asked_for_no_more_than_a_queue_holds_and_each_vehicle_has_its_turn():
    log, asked = outage(40, 3000), Counter()
    for second in range(1, 9):
        requests = log.requests(at(second))
        assert sum(last - first + 1 for _, first, last in requests) <= MOST_UNDER_WAY
        asked.update(source.vehicle for source, _, _ in requests)
    assert len(asked) == 40
    assert set(asked.values()) == {1}


@pytest.mark.parametrize("silent", range(2))
def test_what_is_not_answered_holds_up_no_vehicle_of_which_answers_come(silent):
    log, answered = outage(20, 2000), 0
    for second in range(1, 40):
        for source, first, last in log.requests(at(second)):
            if int(source.vehicle[3:]) % 2 != silent:
                answered += last - first + 1
                back = [exchange(seq, seq, vehicle=source.vehicle) for seq in range(first, last + 1)]
                log.take(back, None, at(second + 0.5))
        log.take(
            [exchange(2001 + second, 2001 + second, vehicle=name) for name in log.vehicles], None, at(second)
        )
    assert answered == 10 * 2000
