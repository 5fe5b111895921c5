"""Two processes of one topside's name: a restart is asked for from 0, a namesake from where it was heard."""

from tests.unit.test_recorder_missing import S, exchange
from tidesync.sessions.journal import Source
from tidesync.sessions.recorder.recorded import RecordedExchanges
from tidesync.sessions.recorder.sources import ENDED_NS, MOST_PROCESSES, SourceWatches


class Listener:
    def __init__(self):
        self.watches = SourceWatches()
        self.known = RecordedExchanges()
        self.lost = []

    def hear(self, instance, *seqs, at_s=0.0, batch=None):
        for seq in seqs:
            one = exchange(seq, at_s + seq / 1000).model_copy(update={"instance_id": instance})
            known = not self.known.add(one)
            self.lost += self.watches.observe(one, round(at_s * S), known=known, batch=batch)

    @property
    def missing(self):
        return {source.instance_id: watch.missing for source, watch in self.watches}

    def requests(self, at_s):
        return [(source.instance_id, *asked) for source, *asked in self.watches.requests(round(at_s * S))]


def test_two_processes_that_alternate_miss_nothing_wherever_their_counts_stand():
    listener = Listener()
    for second in range(20):
        listener.hear("a", *range(4 * second + 100, 4 * second + 104), at_s=second, batch=second + 25)
        listener.hear("b", *range(4 * second + 7000, 4 * second + 7004), at_s=second + 0.3, batch=second)
        assert listener.requests(second + 0.6) == []
    assert listener.missing == {"a": 0, "b": 0}
    assert (listener.watches.missing["rov1"], listener.watches.waiting, listener.lost) == (0, False, [])


def test_what_either_of_them_loses_is_asked_of_that_one_alone():
    listener = Listener()
    listener.hear("a", 100, 101)
    listener.hear("b", 10, 11)
    listener.hear("a", 105, at_s=1)
    listener.hear("b", 14, at_s=1)
    assert listener.missing == {"a": 3, "b": 2}
    assert listener.requests(1.6) == [("a", 102, 104), ("b", 12, 13)]
    listener.hear("b", 102, 103, 104, at_s=2)
    assert listener.missing["a"] == 3


def test_a_restarted_process_is_asked_for_everything_from_its_number_0():
    listener = Listener()
    listener.hear("a", *range(100, 140), at_s=0)
    listener.hear("b", *range(30, 40), at_s=5)
    assert listener.missing == {"a": 0, "b": 30}
    assert listener.requests(5.6) == []
    assert listener.requests(7.6) == [("b", 0, 29)]
    listener.hear("b", *range(30), at_s=8)
    assert listener.missing == {"a": 0, "b": 0}


def test_what_an_ended_process_still_misses_is_lost_once_a_later_one_is_heard_for_a_while():
    listener = Listener()
    listener.hear("a", 0, 9, at_s=0)
    silent_ns = round(ENDED_NS + S)
    assert listener.watches.give_up(silent_ns) == []
    listener.hear("b", 0, at_s=5)
    assert listener.watches.give_up(5 * S) == []
    (source, lost) = listener.watches.give_up(silent_ns)[0]
    assert (source, lost.run, lost.first, lost.last) == (Source("rov1", "topside", "a"), 0, 1, 8)
    assert listener.watches.give_up(silent_ns + S) == []
    assert not listener.watches.waiting


def test_a_namesake_does_not_end_one_that_is_heard_as_well():
    listener = Listener()
    listener.hear("a", 0, 9, at_s=0)
    for second in range(1, 30):
        listener.hear("b", second, at_s=second)
        listener.hear("a", 9 + second, at_s=second)
        assert listener.watches.give_up(second * S) == []
    assert listener.missing["a"] == 8


def test_without_an_instance_id_a_lower_number_with_a_newer_origin_is_a_restart_as_before():
    listener = Listener()
    listener.hear(None, 5, 6, 9, at_s=0)
    listener.hear(None, 2, at_s=60)
    assert listener.missing == {None: 2}
    assert [(lost.run, lost.first, lost.last) for _, lost in listener.lost] == [(0, 7, 8)]


def test_a_flood_of_instance_ids_is_bounded():
    listener = Listener()
    for number in range(MOST_PROCESSES + 50):
        listener.hear(f"process {number}", 0, at_s=number)
    assert len(list(listener.watches)) <= MOST_PROCESSES + 1
