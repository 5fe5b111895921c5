"""When pieces of a clock history are published, written, and published again."""

import pytest

from broker.clock_publisher import ClockPublisher
from runtime.clock_journal import ClockJournal
from schemas.clock_history import MAX_PIECES, ClockPiece, ClockResendCommand

S = 1_000_000_000


class History:
    """Pieces of one second each, all but the last closed."""

    def __init__(self):
        self.all = {}

    is_moving = False

    @property
    def number(self):
        return max(self.all, default=-1)

    def pieces(self, first, last):
        return [(number, piece) for number, piece in self.all.items() if first <= number <= last]

    def grow(self, until_s, rate=0.0, begins=None, new=True):
        number = self.number + new
        from_ns = number * S
        self.all[number] = ClockPiece(
            from_raw_ns=from_ns,
            from_realtime_ns=1_777 * S + from_ns,
            to_raw_ns=round(until_s * S),
            to_realtime_ns=1_777 * S + round(from_ns + (until_s * S - from_ns) * (1 + rate)),
            half_width_ns=800,
            begins=begins,
        )


class Bench:
    def __init__(self, path=None, instance="now"):
        self.history = History()
        self.sent = []
        self.up = True
        self.journal = ClockJournal(path)
        self.publisher = ClockPublisher(
            "vehicle",
            "rov1",
            boot_id="boot",
            instance_id=instance,
            source=self.history,
            make=lambda *message: message,
            send=self.send,
            journal=self.journal,
        )

    def send(self, message):
        if self.up:
            self.sent.append(message)
        return self.up

    def tick(self, at_s):
        self.publisher.tick(round(at_s * S), connected=self.up)

    def resend(self, first, last, instance="now"):
        fields = {"request_id": "r", "instance_id": instance, "from": first, "to": last}
        self.publisher.resend(ClockResendCommand(**fields))


def test_at_rest_the_open_piece_goes_out_every_ten_seconds():
    bench = Bench()
    for tenth in range(1000, 1600):
        bench.history.grow(tenth / 10, rate=5e-5, begins="start", new=tenth == 1000)
        bench.tick(tenth / 10)
    assert len(bench.sent) == 6
    assert {(boot, instance, first) for boot, instance, first, _ in bench.sent} == {("boot", "now", 0)}


def test_while_it_moves_they_go_out_every_second():
    bench = Bench()
    bench.history.is_moving = True
    for tenth in range(1000, 1600):
        bench.history.grow(tenth / 10, rate=0.08, begins="start", new=tenth == 1000)
        bench.tick(tenth / 10)
    assert 58 <= len(bench.sent) <= 61


def test_a_step_is_published_at_once():
    bench = Bench()
    bench.history.grow(1, begins="start")
    bench.tick(100)
    bench.history.grow(2, begins="step")
    bench.publisher.hurry()
    bench.tick(100.1)
    assert [first for _, _, first, _ in bench.sent] == [0, 0]
    assert len(bench.sent[-1][3]) == 2


def test_nothing_is_published_before_there_is_a_piece():
    bench = Bench()
    bench.tick(100)
    assert bench.sent == []


def test_what_was_kept_without_a_broker_follows_in_messages_of_the_greatest_length():
    bench = Bench()
    bench.up = False
    for second in range(450):
        bench.history.grow(second + 1, begins=None if second else "start")
        bench.tick(second)
    assert bench.sent == []
    bench.up = True
    bench.tick(450)
    assert [(first, len(pieces)) for _, _, first, pieces in bench.sent] == [
        (0, MAX_PIECES),
        (MAX_PIECES, MAX_PIECES),
        (2 * MAX_PIECES, 50),
    ]


def test_a_resend_answers_for_this_process_and_for_one_before_it(tmp_path):
    path = tmp_path / "clock.jsonl"
    before = Bench(path, "before")
    for second in range(5):
        before.history.grow(second + 1, begins=None if second else "start")
    before.tick(100)
    bench = Bench(path)
    for second in range(5):
        bench.history.grow(second + 1, begins=None if second else "start")
    bench.resend(1, 3)
    bench.resend(2, 9, "before")
    bench.resend(0, 9, "nobody")
    assert [(boot, instance, first, len(pieces)) for boot, instance, first, pieces in bench.sent] == [
        ("boot", "now", 1, 3),
        ("boot", "before", 2, 3),
    ]


def test_whoever_asks_for_what_is_not_there_hears_at_least_the_open_piece():
    bench = Bench()
    bench.history.grow(1, begins="start")
    bench.tick(100)
    bench.sent.clear()
    bench.tick(101)
    assert bench.sent == []
    bench.resend(0, 9, "nobody")
    bench.tick(102)
    assert [(instance, first) for _, instance, first, _ in bench.sent] == [("now", 0)]


def test_the_journal_is_written_every_ten_seconds_at_most(tmp_path):
    path = tmp_path / "clock.jsonl"
    bench = Bench(path)
    sizes = set()
    for tenth in range(1000, 1400):
        bench.history.grow(tenth / 10, begins="start", new=tenth == 1000)
        bench.tick(tenth / 10)
        sizes.add(path.stat().st_size if path.exists() else 0)
    assert len(sizes) <= 5


@pytest.mark.parametrize("merged", [True, False])
def test_a_merged_piece_is_found_by_any_of_its_numbers(merged):
    bench = Bench()
    bench.history.grow(1, begins="start")
    bench.history.all[0] = bench.history.all[0].model_copy(update={"last": 4 if merged else None})
    bench.history.all[5] = bench.history.all[0].model_copy(update={"last": None, "begins": None})
    bench.resend(0, 9)
    assert len(bench.sent) == (1 if merged else 2)
