"""Lines of exchanges that are written by hand are those of the model, and the backlog keeps every number."""

import json

from hypothesis import example, given
from hypothesis import strategies as st

from schemas.base import LATEST_NS
from schemas.exchange import Exchange
from schemas.messages import ExchangeBatch
from topside_agent.measuring.backlog import Backlog
from topside_agent.measuring.exchange_lines import LABELS, NULL, NUMBERS, LineWriter, labels_of, numbers_of

S = 1_000_000_000
names = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,62}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20) | st.sampled_from(
    ['%d%%"\\', "\x00\x1f\x7f\u2028", '","seq":1', "é🚢", "%(boot)s"]
)
words = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=64)
stamps = st.integers(0, LATEST_NS)
differences = st.none() | st.integers(-LATEST_NS, LATEST_NS)
exchanges = st.builds(
    Exchange,
    vehicle=names,
    topside=names,
    method=texts,
    seq=st.integers(0, 2**53),
    boot_id=st.none() | texts,
    origin_ns=stamps,
    receive_ns=stamps,
    transmit_ns=stamps,
    destination_ns=stamps,
    pi_realtime_minus_raw_ns=differences,
    topside_realtime_minus_raw_ns=differences,
    topside_boot_id=st.none() | texts,
    instance_id=st.none() | texts,
    receive_stamp=st.none() | words,
    transmit_stamp=st.none() | words,
    resolution_ns=st.integers(0, 10**9),
)


def test_each_field_of_an_exchange_is_a_label_or_a_number_in_the_order_of_the_model():
    assert set(LABELS) | set(NUMBERS) == set(Exchange.model_fields)
    assert [name for name in Exchange.model_fields if name in NUMBERS] == list(NUMBERS)


@given(exchanges)
def test_a_line_is_what_the_model_writes(exchange):
    numbers = numbers_of(exchange)
    assert LineWriter(labels_of(exchange)).line(numbers) == exchange.encode()
    assert all(NULL <= number < 2**63 for number in numbers)


@given(st.lists(exchanges, min_size=1, max_size=8))
def test_the_backlog_keeps_exchanges_of_any_labels_as_they_are(several):
    backlog = Backlog(1800 * S)
    for exchange in several:
        backlog.add(exchange, S)
    (payload,) = backlog.take_batches()
    assert list(ExchangeBatch.decode(payload).exchanges) == several


def made(seq, boot):
    differences = {"pi_realtime_minus_raw_ns": 1, "topside_realtime_minus_raw_ns": None}
    of = {"vehicle": "rov1", "topside": "laptop", "boot_id": boot}
    instants = dict.fromkeys(("origin_ns", "receive_ns", "transmit_ns", "destination_ns"), 5 * S)
    return Exchange(seq=seq, **of, **instants, **differences)


@given(st.lists(st.integers(0, 400), max_size=300))
@example(list(range(200)))
def test_a_peer_with_another_boot_id_each_time_changes_nothing_of_what_is_kept(boots):
    backlog = Backlog(100 * S)
    for seq, boot in enumerate(boots):
        backlog.add(made(seq, f"boot {boot}"), seq * S)
    kept = [entry for payload in backlog.resend(0, 2**53) for entry in json.loads(payload)["exchanges"]]
    expected = list(enumerate(f"boot {boot}" for boot in boots))[-101:]
    assert [(entry["seq"], entry["boot_id"]) for entry in kept] == expected
    assert len(backlog) == len(expected)
    assert len(backlog._writers) <= len(expected) + 64 + 50
