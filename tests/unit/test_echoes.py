"""Whether what is published comes back where it is subscribed to."""

import pytest

from broker.echoes import WAIT_NS, Echoes

OWN = "v/rov1/info"


def begun(*, granted_ns=None, published_ns=None):
    echoes = Echoes()
    echoes.begin()
    echoes.asked([(OWN, 1), ("v/rov1/ping/+", 0), ("v/#", 0), ("v/rov1/command", 1)])
    if granted_ns is not None:
        echoes.answered(dict.fromkeys([OWN, "v/rov1/ping/+", "v/#", "v/rov1/command"], True), granted_ns)
    if published_ns is not None:
        for topic in (OWN, "v/rov1/ping/a", "v/rov1/pong/a"):
            echoes.published([topic], published_ns)
    return echoes


@pytest.mark.parametrize(("granted_ns", "published_ns"), [(0, 7), (7, 0)])
def test_what_does_not_come_back_is_missing_after_a_while_and_not_once_it_came(granted_ns, published_ns):
    echoes = begun(granted_ns=granted_ns, published_ns=published_ns)
    assert not echoes.overdue(7 + WAIT_NS)
    assert echoes.missing == ()
    assert echoes.overdue(8 + WAIT_NS)
    assert echoes.missing == (OWN,)
    assert not echoes.overdue(9 + WAIT_NS)  # it is reported once
    echoes.heard(OWN, retained=True)
    assert echoes.missing == (OWN,)
    echoes.heard(OWN, retained=False)
    assert echoes.missing == ()
    assert not echoes.overdue(100 * WAIT_NS)


def test_what_came_back_once_is_not_awaited_again():
    echoes = begun(granted_ns=0, published_ns=0)
    echoes.heard(OWN, retained=False)
    echoes.published([OWN], 1)
    assert not echoes.overdue(100 * WAIT_NS)


@pytest.mark.parametrize("times", [{"granted_ns": 0}, {"published_ns": 0}, {}])
def test_nothing_is_missing_that_was_not_published_or_not_granted(times):
    assert not begun(**times).overdue(100 * WAIT_NS)


def test_a_refused_subscription_brings_nothing_back_and_nothing_is_missing():
    echoes = begun(published_ns=0)
    echoes.answered({OWN: False}, 0)
    assert not echoes.overdue(100 * WAIT_NS)


def test_a_new_connection_begins_without_what_was_missing():
    echoes = begun(granted_ns=0, published_ns=0)
    assert echoes.overdue(2 * WAIT_NS)
    echoes.begin()
    assert echoes.missing == ()
    assert not echoes.overdue(100 * WAIT_NS)
    assert list(echoes.last) == []
