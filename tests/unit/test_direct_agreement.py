"""Agreeing on a direct path over MQTT: what a vehicle answers, and what topside makes of it."""

import ipaddress
import json

import pytest

from pi_agent.responder import Answerer
from pi_agent.settings import PiSettings
from pi_agent.udp import addresses as addresses_of
from pi_agent.udp.agreement import KEY_S, MOST_RATE_HZ, MOST_TOPSIDES, Sessions
from pi_agent.udp.direct import DirectPath
from schemas import topics
from schemas.direct_path import MOST_ADDRESSES, UdpAnswer, UdpRequest
from schemas.instants import utc_from_ns
from schemas.messages import Info
from topside_agent.udp.agreement import Agreement

S = 1_000_000_000
ANSWERER = Answerer("boot", "instance", 1)
REQUEST = UdpRequest(request_id="r1", rate=4.0, train=2)
ADDRESSES = ["192.168.2.2", "fd00::2"]


def answer(sessions, request=REQUEST, topside="laptop", now_ns=0):
    return sessions.answer(request, topside, now_ns, addresses=ADDRESSES, port=9151)


def info(**changes):
    values = {
        "vehicle": "rov1",
        "version": "1",
        "boot_id": "boot",
        "instance_id": "instance",
        "started_at": utc_from_ns(0),
        "receive_stamp": "kernel",
        "clock_synchronized": False,
        "http_port": None,
        "udp": 1,
    }
    return Info(**values | changes)


def agreement(**changes):
    made = Agreement(iter(f"r{number}" for number in range(1, 100)).__next__)
    made.informed(info(**changes), 0)
    return made


def ask(made, now_ns=0):
    return made.request(now_ns, rate=4.0, train=2)


def agreed(sessions=None, now_ns=0, **changes):
    made = agreement()
    given = answer(sessions or Sessions(ANSWERER), ask(made, now_ns), now_ns=now_ns).answer
    assert made.answered(given.model_copy(update=changes), now_ns)
    return made


def hosts(made, others=(), boot_id="other", zones=()):
    terms = made.terms(others, boot_id, zones, rate=4.0, train=2, timeout_s=1.0)
    return [address.host for address in terms.addresses]


# The vehicle


def test_each_request_gets_a_session_of_its_own_with_a_new_key():
    sessions = Sessions(ANSWERER)
    one, other = answer(sessions), answer(sessions, now_ns=S)
    assert one.answer.request_id == "r1"
    assert (one.answer.boot_id, one.answer.instance_id) == ("boot", "instance")
    assert one.answer.key == one.terms.key.hex()
    assert one.terms.expires_raw_ns == round(KEY_S * S)
    assert len({one.terms.key, other.terms.key, bytes(32)}) == 3
    assert len({one.terms.number, other.terms.number, 0}) == 3


def test_a_request_that_follows_another_at_once_is_not_answered():
    sessions = Sessions(ANSWERER)
    answer(sessions)
    assert answer(sessions, now_ns=S // 10) is None
    assert sessions.dropped == {"soon": 1}


@pytest.mark.parametrize(
    ("changes", "word"), [({"version": 2}, "version"), ({"rate": MOST_RATE_HZ + 1}, "rate")]
)
def test_what_cannot_be_had_is_refused_with_a_word_and_without_a_key(changes, word):
    refused = answer(Sessions(ANSWERER), REQUEST.model_copy(update=changes))
    assert refused.terms is None
    assert refused.answer.error == word
    assert (refused.answer.key, refused.answer.session, refused.answer.addresses) == (None, None, ())


def test_more_topsides_than_there_is_room_for_are_refused_until_a_session_has_ended():
    sessions = Sessions(ANSWERER)
    for number in range(MOST_TOPSIDES):
        assert answer(sessions, topside=f"t{number}").terms
    assert answer(sessions, topside="late").answer.error == "full"
    assert answer(sessions, topside="t3", now_ns=S).terms
    assert answer(sessions, topside="late", now_ns=round(KEY_S * S) + 1).terms


def test_a_key_is_in_no_text_of_the_answer():
    given = answer(Sessions(ANSWERER)).answer
    assert given.key not in repr(given)
    assert given.key in given.encode().decode()


class Service:
    port = 9151

    def __init__(self):
        self.opened = []

    def open(self, session):
        self.opened.append(session)


def direct(**settings):
    made = DirectPath(PiSettings(vehicle="rov1", **settings), ANSWERER, lambda: ADDRESSES)
    made.service = Service()
    return made


def test_an_answer_goes_to_the_topside_that_asked_and_its_session_is_answered():
    path = direct()
    message = path.requested(REQUEST, "laptop", 0)
    assert message.topic == "tidesync/v1/vehicle/rov1/udp_answer/laptop"
    assert (message.qos, message.retain) == (1, False)
    assert UdpAnswer.decode(message.payload).session == path.service.opened[0].number
    assert topics.parse("tidesync", message.topic).kind is topics.UDP_ANSWER


def test_without_a_service_nothing_is_offered_or_answered():
    path = direct()
    path.service = None
    assert path.requested(REQUEST, "laptop", 0) is None
    assert (path.version, path.port, path.answered, path.dropped) == (None, None, 0, {})


@pytest.mark.parametrize(
    ("settings", "public"),
    [({}, True), ({"username": "rov1"}, False), ({"broker": "mqtt://rov1@localhost"}, False)],
)
def test_a_key_is_public_where_the_agent_has_no_account(settings, public):
    assert direct(**settings).key_public is public


def test_the_addresses_of_this_machine_are_usable_ones():
    found = addresses_of.own_addresses()
    assert found == list(dict.fromkeys(found))
    for text in found:
        address = ipaddress.ip_address(text)
        assert not any((address.is_loopback, address.is_unspecified, address.is_multicast))


def test_where_interfaces_are_not_listed_the_host_name_is_looked_up(monkeypatch):
    def refuse():
        raise OSError

    monkeypatch.setattr(addresses_of, "_of_interfaces", refuse)
    monkeypatch.setattr(addresses_of, "_of_host_name", lambda: ["127.0.1.1", "192.168.2.2", "192.168.2.2"])
    assert addresses_of.own_addresses() == ["192.168.2.2"]


def test_the_address_on_the_way_to_the_broker_needs_no_list_of_interfaces(monkeypatch):
    monkeypatch.setattr(addresses_of, "_of_interfaces", list)
    assert addresses_of.address_towards("127.0.0.1") == []  # a topside elsewhere could not use it
    assert addresses_of.address_towards("broker.example") == []
    found = addresses_of.address_towards("198.51.100.1")
    assert [ipaddress.ip_address(each).version for each in found] in ([], [4])


# Topside


def test_a_vehicle_is_asked_as_soon_as_it_offers_it_and_then_ever_less_often():
    made = agreement()
    asked = [second for second in range(130) if ask(made, second * S)]
    assert asked == [0, 2, 6, 14, 30, 62, 126]


def test_a_vehicle_that_does_not_offer_it_is_not_asked():
    assert agreement(udp=None).due_ns is None
    assert ask(agreement(udp=None)) is None


@pytest.mark.parametrize(
    "host", ["::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:255.255.255.255", "::ffff:192.0.2.1"]
)
def test_an_address_in_the_disguise_of_another_family_is_not_asked(host):
    assert hosts(agreed(addresses=(host, "192.0.2.9"))) == ["192.0.2.9"]


def test_the_next_key_is_asked_for_before_the_old_one_ends():
    made = agreed()
    made.found()
    assert ask(made, round(0.8 * KEY_S * S)) is None
    renewed = ask(made, round(0.91 * KEY_S * S))
    assert renewed
    assert not made.expired(round(0.99 * KEY_S * S))
    before = made.agreed.answer.session
    assert made.answered(answer(Sessions(ANSWERER), renewed).answer, round(0.92 * KEY_S * S))
    assert made.answer_of(before)
    assert made.answer_of(made.agreed.answer.session)
    assert made.answer_of(1) is None


def test_a_vehicle_whose_addresses_answer_no_more_is_asked_for_others_and_then_ever_less_often():
    made = agreed()
    made.found()
    assert ask(made, S) is None
    assert not made.informed(info(), S)
    assert ask(made, S) is None
    made.lost(5 * S)
    assert asked_again(made, range(5, 250)) == [5, 7, 11, 19, 35, 67, 127, 187, 247]
    made.informed(info(), 250 * S)  # it has connected again
    assert ask(made, 250 * S)
    made.found()
    assert ask(made, 400 * S) is None


def test_a_vehicle_none_of_whose_first_addresses_answers_may_get_others_and_is_asked_again():
    made = agreed()
    assert asked_again(made, range(60)) == [2, 4, 8, 16, 32]
    made.found()
    assert ask(made, 200 * S) is None


def asked_again(made, seconds):
    """When it was, of these seconds; each time it answers, with addresses that do not."""
    sessions, asked = Sessions(ANSWERER), []
    for second in seconds:
        if request := ask(made, second * S):
            asked.append(second)
            assert made.answered(answer(sessions, request, now_ns=second * S).answer, second * S)
    return asked


def test_an_answer_to_no_request_of_ours_is_left_out_and_so_is_a_second_one():
    made = agreement()
    request = ask(made)
    given = answer(Sessions(ANSWERER), request).answer
    assert not made.answered(given.model_copy(update={"request_id": "other"}), 0)
    assert made.answered(given, 0)
    assert not made.answered(given.model_copy(update={"session": 5}), 0)
    assert made.agreed.answer == given


@pytest.mark.parametrize("changes", [{"error": "full"}, {"key": None}, {"port": None}, {"session": None}])
def test_a_refusal_or_an_answer_in_parts_is_no_session_and_is_not_asked_for_again_at_once(changes):
    made = agreement()
    given = answer(Sessions(ANSWERER), ask(made)).answer
    assert not made.answered(given.model_copy(update=changes), 0)
    assert made.agreed is None
    assert ask(made, 30 * S) is None
    assert ask(made, 61 * S)


def test_a_restarted_vehicle_is_asked_at_once_and_its_old_session_is_over():
    made = agreed()
    assert not made.informed(info(), S)
    assert made.informed(info(instance_id="next"), S)
    assert made.agreed is None
    assert ask(made, S)


def test_a_broker_that_ends_the_connection_for_it_is_not_asked_often():
    made = agreement()
    for second in (0, 2):
        assert ask(made, second * S)
        made.lost_connection(second * S)
    assert ask(made, 500 * S) is None
    assert ask(made, 602 * S)


def test_one_that_offers_it_no_longer_is_not_measured_so():
    made = agreed()
    assert made.informed(info(udp=None), S)
    assert made.due_ns is None


def test_addresses_are_tried_that_may_be_the_vehicles():
    made = agreed(
        addresses=("192.168.2.2", "224.0.0.1", "0.0.0.0", "255.255.255.255", "127.0.0.1", "ff02::1")
    )
    assert hosts(made) == ["192.168.2.2"]
    assert hosts(made, others=("10.0.0.1",)) == ["10.0.0.1", "192.168.2.2"]
    assert hosts(made, boot_id="boot") == ["127.0.0.1", "::1", "192.168.2.2"]


def test_a_link_local_address_is_tried_on_each_interface():
    made = agreed(addresses=("fe80::1",))
    assert hosts(made, zones=("eth0", "wlan0")) == ["fe80::1%eth0", "fe80::1%wlan0"]
    assert hosts(agreed(addresses=("169.254.1.1",)), zones=("eth0",)) == ["169.254.1.1"]


def test_a_vehicle_that_names_many_addresses_makes_topside_send_to_few():
    made = agreed(addresses=tuple(f"192.168.2.{number}" for number in range(100))[:MOST_ADDRESSES])
    assert len(hosts(made, others=[f"10.0.0.{number}" for number in range(50)])) == MOST_ADDRESSES


def test_an_answer_with_more_addresses_is_refused_as_a_whole():
    given = json.loads(answer(Sessions(ANSWERER)).answer.encode())
    given["addresses"] = ["192.168.2.2"] * (MOST_ADDRESSES + 1)
    with pytest.raises(ValueError, match="addresses"):
        UdpAnswer.model_validate(given)
