"""Letting messages gather before a read: never while the broker waits for acknowledgements."""

import pytest

from broker.client.gathering import Gathering


def waited_s(gathering, per_round, rounds, round_s=0.1):
    """How long it waits over so many rounds, each bringing `per_round` acknowledged messages."""
    return sum(gathering.pause_s(per_round * (number + 1), number * round_s) for number in range(rounds))


def test_messages_of_no_acknowledgement_gather():
    assert waited_s(Gathering(0.1), 0, 50) == pytest.approx(5.0)


@pytest.mark.parametrize("window", [10, 20, 100])
def test_a_broker_that_may_wait_for_acknowledgements_is_read_again_at_once(window):
    assert waited_s(Gathering(0.1), window, 50) == 0.0


@pytest.mark.parametrize("window", [1, 2, 9])
def test_a_broker_of_a_small_window_is_found_out_within_a_second(window):
    gathering = Gathering(0.1)
    assert waited_s(gathering, window, 50) <= 0.6 + 1e-9


def test_rounds_that_differ_gather_on():
    gathering, acknowledged, waits = Gathering(0.1), 0, []
    for number in range(50):
        acknowledged += 3 + number % 2
        waits.append(gathering.pause_s(acknowledged, number * 0.1))
    assert waits == [0.1] * 50


def test_without_a_pause_nothing_is_waited_for():
    assert waited_s(Gathering(0.0), 0, 10) == 0.0
