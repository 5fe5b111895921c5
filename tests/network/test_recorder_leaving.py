"""Everything is stopped at once and started again: what a topside published at its end is recorded."""

import pytest

from schemas import topics
from tests.deadline import until
from tests.network.recording import FakeTopside, S, start
from tests.network.running import mosquitto_in, running

EVERY_NS = S // 200
BEFORE = 100


class Hasty(FakeTopside):
    """Publishes each exchange at once, and has forgotten it."""

    def received(self, message):
        pass

    def tick(self, now):
        if now.raw_ns < self._due_ns:
            return (self._due_ns - now.raw_ns) / 1e9
        self._due_ns = now.raw_ns + EVERY_NS
        if self.connection.up and not self.muted.is_set():
            self._finish()
            for payload in self._backlog.take_batches():
                self._send(topics.EXCHANGE, payload, vehicle=self.vehicle, topside="fake")
        return EVERY_NS / 1e9


@pytest.fixture
def mosquitto(tmp_path):
    """It keeps all that a recorder that starts slowly has not read."""
    with running(mosquitto_in(tmp_path, "allow_anonymous true\nmax_queued_messages 0\n")) as started:
        yield started


def test_what_is_published_until_the_recorder_has_ended_is_recorded(place):
    """What it reads while it ends is acknowledged, so the broker keeps the rest alone."""
    place.record()
    assert start(place)[0] == 0
    topside = Hasty(place.broker.url)
    try:
        for _ in range(3):
            before = len(place.recorded())
            until(lambda before=before: len(place.recorded()) > before + BEFORE, what="exchanges")
            assert place.stop() == 0
            topside.muted.set()
            connections = place.log().count("connected to broker")
            place.record()
            until(
                lambda seen=connections: place.log().count("connected to broker") > seen,
                what="its connection",
            )
            topside.muted.clear()
    finally:
        topside.connection.stop()
    published = [one.seq for one in topside.finished]
    until(lambda: {one.seq for one in place.recorded()} >= set(published), what="all that was published")
    assert sorted(one.seq for one in place.recorded()) == published
