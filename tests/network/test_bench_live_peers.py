"""The live benchmark: proxies delay as asked and keep TCP's order; a very short run says what is so."""

import asyncio
import importlib.util
import json
import random
import re
import socket
import statistics
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.peers import chrony
from bench.peers.condition_run import Plan, Played, Side, play
from bench.peers.conditions import CONDITIONS
from bench.peers.contestants import Chrony, Direct, Lsl, Ntplib, PlainPaho
from bench.peers.document import document
from bench.peers.estimates import Estimate, Window, least_delay_of, mean_of, median_of, windowed
from bench.peers.exchanges import Log, Stamps, read
from bench.peers.expected import expected
from bench.peers.floor import KNOWN, floor_us
from bench.peers.interleaving import name_at, raw_ns, slots
from bench.peers.laws import JITTER, LONG_WAY, NONE, SHORT_WAY, Law
from bench.peers.ours import Ours
from bench.peers.processes import NotReadyError, Programs, free_port, free_udp_port, wait_until_listening
from bench.peers.proxy import Line, Route, exact_loop
from bench.peers.run import main, make_figures
from bench.peers.score import scores
from bench.peers.tried import TRIED
from bench.peers.tried import main as tried
from bench.peers.verdicts import verdicts
from tests.deadline import BUSY, until
from tests.network.brokers import MOSQUITTO

needs_mosquitto = pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")
needs_chrony = pytest.mark.skipif(chrony.missing() is not None, reason=f"chrony: {chrony.missing()}")
needs_ntplib = pytest.mark.skipif(not importlib.util.find_spec("ntplib"), reason="ntplib is not installed")
needs_lsl = pytest.mark.skipif(not importlib.util.find_spec("pylsl"), reason="pylsl is not installed")

MS = 1_000_000


def in_exact_loop(coroutine):
    with asyncio.Runner(loop_factory=exact_loop) as runner:
        return runner.run(coroutine)


def test_laws_draw_what_they_say():
    rng = random.Random(1)
    drawn = [LONG_WAY.draw(rng) for _ in range(20_000)]
    assert statistics.median(drawn) == pytest.approx(0.008, rel=0.02)
    assert statistics.quantiles(drawn, n=100)[83] == pytest.approx(0.008 * 2.718281828**0.5, rel=0.05)
    late = sum(JITTER.draw(rng) > 0.045 for _ in range(20_000))
    assert late / 20_000 == pytest.approx(0.01, rel=0.25)
    assert NONE.draw(rng) == 0.0


@pytest.mark.parametrize("law", [JITTER, SHORT_WAY, NONE])
def test_a_route_survives_the_command_line(law):
    route = Route("udp", 1, 2, law, LONG_WAY)
    assert Route.parse(str(route)) == route


async def carried(law, pieces, *, ordered, gap_s=0.0):
    """What arrived and when (s after it was sent), in the order of arrival."""
    arrived = []
    sent = {}
    everything = asyncio.Event()
    loop = asyncio.get_running_loop()

    def deliver(piece):
        arrived.append((piece, loop.time() - sent[piece]))
        if len(arrived) == len(pieces):
            everything.set()

    line = Line(law, random.Random(3), deliver, ordered=ordered)
    for piece in pieces:
        sent[piece] = loop.time()
        line.carry(piece)
        await asyncio.sleep(gap_s)
    async with asyncio.timeout(60):
        await everything.wait()
    return arrived


def test_a_line_delays_each_piece_by_what_its_law_drew():
    pieces = [bytes([number]) for number in range(60)]

    def in_time():
        delays = dict(in_exact_loop(carried(SHORT_WAY, pieces, ordered=False, gap_s=0.005)))
        rng = random.Random(3)
        late = sorted(delays[piece] - SHORT_WAY.draw(rng) for piece in pieces)
        assert late[0] >= -1e-4  # never early, but for the clock's step
        return late[len(late) // 10] < 0.001

    until(in_time, what="one of ten in time, which a busy machine may prevent for a while")


def test_a_tcp_line_keeps_the_order_that_a_udp_line_may_break():
    pieces = [bytes([number]) for number in range(100)]
    wild = Law(0.004, 1.0)
    ordered = in_exact_loop(carried(wild, pieces, ordered=True))
    assert [piece for piece, _ in ordered] == pieces
    unordered = in_exact_loop(carried(wild, pieces, ordered=False))
    assert [piece for piece, _ in unordered] != pieces


@contextmanager
def proxied(kind, tmp_path, there, back):
    """A client's end and the far end of a route through the proxy's own process."""
    stream = kind == "tcp"
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM) as target:
        target.bind(("127.0.0.1", 0))
        target.settimeout(60)
        route = Route(kind, free_udp_port(), target.getsockname()[1], there, back)
        with Programs(tmp_path) as programs:
            if stream:
                target.listen()
            proxy = programs.python("proxy", "bench.peers.proxy", 1, route)
            near = until(lambda: dialled(route), 10, "the proxy")
            far = target.accept()[0] if stream else target
            with near:
                yield near, far
            assert proxy.alive, proxy.log.read_text()
            if stream:
                far.close()


def dialled(route):
    try:
        if route.kind == "tcp":
            near = socket.create_connection(("127.0.0.1", route.port), 60)
        else:
            near = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            near.connect(("127.0.0.1", route.port))
            near.settimeout(0.2)
            near.send(b"hello")
            near.send(b"hello")  # the first may be answered by ECONNREFUSED
    except OSError:
        return None
    near.settimeout(60)
    return near


def test_the_tcp_proxy_delays_each_way_by_its_own_law(tmp_path):
    with proxied("tcp", tmp_path, Law(0.03, 0.0), Law(0.01, 0.0)) as (near, far):
        far.settimeout(60)
        out, back = [], []

        def in_time():
            out.append(crossed(near, far))
            back.append(crossed(far, near))
            return len(out) >= 30 and min(out) < 0.034 and min(back) < 0.014

        until(in_time, what="some in time")
        near.sendall(b"".join(number.to_bytes(2, "big") for number in range(20_000)))
        received = b""
        while len(received) < 40_000:
            received += far.recv(65536)
    assert min(out) >= 0.0299
    assert min(back) >= 0.0099
    assert received == b"".join(number.to_bytes(2, "big") for number in range(20_000))


def crossed(sender, receiver):
    began_s = time.monotonic()
    sender.sendall(b"x")
    assert receiver.recv(16) == b"x"
    return time.monotonic() - began_s


def test_the_udp_proxy_delays_each_way_and_answers_each_client(tmp_path):
    """No datagram comes before its delay is over, and of many some come right then."""
    with proxied("udp", tmp_path, Law(0.02, 0.0), Law(0.005, 0.0)) as (near, far):
        out_s, back_s = [], []

        def in_time():
            number = len(out_s)
            sent_s = time.monotonic()
            near.send(b"%d" % number)
            data, client = far.recvfrom(16)
            while data != b"%d" % number:  # the greeting
                data, client = far.recvfrom(16)
            answered_s = time.monotonic()
            far.sendto(b"pong", client)
            assert near.recv(16) == b"pong"
            out_s.append(answered_s - sent_s)
            back_s.append(time.monotonic() - answered_s)
            return len(out_s) >= 30 and min(out_s) < 0.028 and min(back_s) < 0.01

        until(in_time, what="some in time")
    assert min(out_s) >= 0.0199
    assert min(back_s) >= 0.0049


def stamps(offset_ms, delay_ms, end_ms):
    """An exchange that tells this offset."""
    end, delay, offset = end_ms * MS, delay_ms * MS, offset_ms * MS
    middle = end - delay // 2 + offset
    return Stamps(end - delay, middle, middle, end)


def test_estimates_of_a_window_are_made_of_what_ended_in_it():
    exchanges = [stamps(1, 4, 10), stamps(3, 2, 20), stamps(8, 6, 30), stamps(100, 1, 40)]
    window = Window(10 * MS, 40 * MS)
    assert windowed(exchanges, [window], mean_of) == [Estimate(4 * MS, 2 * MS, 4 * MS, 3)]
    assert windowed(exchanges, [window], median_of) == [Estimate(3 * MS, 2 * MS, 4 * MS, 3)]
    assert windowed(exchanges, [window], least_delay_of) == [Estimate(3 * MS, 1 * MS, 4 * MS, 3)]
    assert windowed(exchanges, [Window(50 * MS, 60 * MS)], mean_of) == []


def test_a_log_is_there_from_the_first_exchange_and_full_at_the_end(tmp_path):
    path = tmp_path / "log.txt"
    with Log(path) as log:
        assert not path.exists()
        log.add(stamps(1, 2, 10))
        assert path.exists()
        log.add(stamps(2, 2, 20))
    assert read(path) == [stamps(1, 2, 10), stamps(2, 2, 20)]


def test_everybody_has_a_place_of_his_own_on_one_grid():
    def in_time():
        late_ns = [raw_ns() - turn * 20 * MS - 10 * MS for turn in slots(50, 0.5, 0.2)]
        assert len(late_ns) <= 10
        assert all(late >= 0 for late in late_ns)
        return len(late_ns) >= 5 and min(late_ns) < 10 * MS

    until(in_time, what="one of ten in time, which a busy machine may prevent for a while")
    assert name_at(0.0, 10) != name_at(0.5, 10)


def played(row, error_us, stated_us, count=20):
    estimates = [Estimate(error_us * 1e3, stated_us * 1e3, 1e6, 100)] * count
    return Played({row: estimates}, (), count, Side(1.0, 1.0), Side(1.0, 1.0))


@pytest.mark.parametrize(
    ("error_us", "stated_us", "broken"),
    [
        (10, 50, []),
        (30, 50, ["median error no worse"]),
        (10, 90, ["stated error no larger"]),
        (10, 5, ["not covered"]),
    ],
)
def test_verdicts_fail_where_a_promise_is_broken(error_us, stated_us, broken):
    both = {"ours": played("ours", error_us, stated_us), "lsl": played("LSL", 20, 80)}
    figures = make_figures({"idle": both}, Plan(20, 10, 1, 1), {}, simulate=False)
    failed = [verdict.promise for verdict in figures.verdicts if not verdict.kept]
    assert len(failed) == len(broken)
    assert all(part in promise for part, promise in zip(broken, failed, strict=True))
    assert verdicts({}, {}) == []


@pytest.mark.parametrize(
    ("error_us", "stated_us", "broken"),
    [
        (1, 4, []),
        (3, 4, ["median error no worse than chrony's"]),
        (1, 6, ["stated error at most 0.5 × chrony's"]),
    ],
)
def test_the_direct_path_is_held_against_chrony(error_us, stated_us, broken):
    both = {"direct": played("ours, direct", error_us, stated_us), "chrony": played("chrony", 2, 10)}
    figures = make_figures({"busy": both}, Plan(20, 10, 1, 1), {}, simulate=False)
    failed = [verdict.promise for verdict in figures.verdicts if not verdict.kept]
    assert len(failed) == len(broken)
    assert all(part in promise for part, promise in zip(broken, failed, strict=True))


@pytest.mark.parametrize(
    ("stated_us", "cpu_us", "broken"),
    [
        (2.09, 129.0, []),
        (2.11, 129.0, ["half the least delay"]),
        (2.09, 131.0, ["answering"]),
        (2.09, 201.0, ["asking", "answering"]),
    ],
)
def test_the_direct_path_is_held_against_its_least_delay_and_its_cost(stated_us, cpu_us, broken):
    estimates = [Estimate(1.0, stated * 1e3, 4e3, 100) for stated in (stated_us, stated_us + 1)]
    singles = [Stamps(0, 2_000, 2_000, 4_000), Stamps(0, 2_000, 2_000, 9_000)]
    side = Side(cpu_us, 1.0)
    one = {"direct": Played({"ours, direct": estimates}, singles, 2, side, side)}
    figures = make_figures({"idle": one}, Plan(20, 10, 1, 1), {}, simulate=False)
    failed = [verdict.promise for verdict in figures.verdicts if not verdict.kept]
    assert len(failed) == len(broken)
    assert all(part in promise for part, promise in zip(broken, failed, strict=True))


def scattered(row, median_us, estimates):
    """Errors between none and twice the median."""
    errors = [2e3 * median_us * (number + 0.5) / estimates for number in range(estimates)]
    found = [Estimate(error, 1e7, 1e6, 100) for error in errors]
    return Played({row: found}, (), 100 * estimates, Side(1.0, 1.0), Side(1.0, 1.0))


@pytest.mark.parametrize(
    ("ours_us", "estimates", "shown"),
    [
        (110, 20, "FAIL, within noise"),
        (90, 20, "pass, within noise"),
        (110, 2000, "FAIL"),
        (90, 2000, "pass"),
    ],
)
def test_a_verdict_that_another_run_may_turn_says_so_and_shows_the_interval(ours_us, estimates, shown):
    both = {"ours": scattered("ours", ours_us, estimates), "chrony": scattered("chrony", 100, estimates)}
    text = document(make_figures({"jitter": both}, Plan(estimates, 10, 1, 1), {}, simulate=False))
    line = next(line for line in text.splitlines() if "ours: median error no worse" in line)
    assert line.split("|")[-2].strip() == shown
    assert line.count("[") == line.count("–") == 2  # both figures with their intervals


def test_simulated_delays_give_the_figures_that_statistics_ask_for():
    rows = {row.row: row for row in expected(Law(0.005, 0.0), Law(0.003, 0.0), estimates=3, live_runs=1)}
    for row in rows.values():  # half of what is one-sided
        assert row.error.value == pytest.approx(1000.0, abs=1.0)
    assert rows["least delay"].stated.value == pytest.approx(4100.0)  # half the delay, and the loopback's
    jittered = {row.row: row for row in expected(JITTER, JITTER, estimates=150, live_runs=0)}
    assert jittered["ours"].error.value < jittered["least delay"].error.value / 2
    assert jittered["ours, afterwards"].stated.value < jittered["least delay"].stated.value


def test_who_knows_less_of_the_delays_can_reach_less():
    floors = [floor_us(LONG_WAY, SHORT_WAY, KNOWN[what], 100, samples=20_000) for what in KNOWN]
    wholly, _, one_sigma, least_delay = floors
    assert wholly < one_sigma < least_delay
    four_times = floor_us(LONG_WAY, SHORT_WAY, KNOWN["each way's law, wholly"], 400, samples=20_000)
    assert four_times == pytest.approx(wholly / 2)


def test_what_was_tried_is_listed_for_every_law():
    result = CliRunner().invoke(tried, ["--windows=20"])
    assert result.exit_code == 0, result.output
    shown = [line.split("|")[1].strip() for line in result.output.splitlines()]
    assert shown[2:] == list(TRIED)


def test_a_quantile_of_few_estimates_is_not_shown():
    assert scores("ours", played("ours", 1, 2, count=3))[0].p95_us != 1.0
    assert scores("ours", played("ours", 1, 2, count=20))[0].p95_us == 1.0


def checked(result, row, most_us, *, promises_bound=True):
    """Estimates came, none is further off than the loopback can make it, and the bounds promised hold."""
    estimates = result.rows[row]
    assert len(estimates) == 1
    assert abs(estimates[0].error_ns) / 1e3 <= most_us
    assert estimates[0].stated_ns > 0
    if promises_bound:
        assert estimates[0].covered
    assert result.exchanges > 0
    for side in (result.asking, result.answering):
        assert 1 < side.cpu_us < 100_000
        assert side.memory_mb > 1


@needs_mosquitto
def test_ours_and_plain_paho_are_measured_over_a_jittered_link():
    contestants = {"ours": Ours(), "paho": PlainPaho("mosquitto", 0.5)}
    results = play(CONDITIONS["asymmetric"], contestants, Plan(1, 2.0, 0.2, seed=1))
    checked(results["ours"], "ours", 30_000)
    checked(results["ours"], "ours, afterwards", 30_000)
    checked(results["ours"], "ours, live", 30_000)
    checked(results["paho"], "paho over mosquitto, least delay", 30_000)
    for result in results.values():
        one_way = [(e.receive - e.origin, e.destination - e.transmit) for e in result.singles]
        out, back = (statistics.quantiles(way)[0] / 1e6 for way in zip(*one_way, strict=True))
        assert 4 < out < 25 * BUSY  # ms: the long way is the way out, for ours as for theirs
        assert 1 < back < out


def test_ours_straight_is_measured_over_a_delayed_link():
    results = play(CONDITIONS["asymmetric"], {"direct": Direct(0.5)}, Plan(1, 2.0, 0.2, seed=1))
    checked(results["direct"], "ours, direct", 30_000)
    assert " and " in results["direct"].note


@needs_chrony
@needs_ntplib
def test_chrony_and_ntplib_are_measured_directly():
    contestants = {"chrony": Chrony(), "ntplib": Ntplib(0.5)}
    results = play(CONDITIONS["idle"], contestants, Plan(1, 1.5, 3.0, seed=1))
    checked(results["ntplib"], "ntplib, least delay", 5_000)
    checked(results["chrony"], "chrony", 5_000, promises_bound=False)


def waits_of(program):
    """How often it has waited."""
    status = Path(f"/proc/{program.pid}/status").read_text()
    return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", status, re.MULTILINE)[1])


def test_a_log_is_full_although_its_program_is_stopped_while_it_writes(tmp_path):
    """Stopping asks once: a second signal would end the writing halfway."""
    port = free_port()
    with Programs(tmp_path) as programs:
        answering = programs.python("answer", "bench.cost.floor", "answer", port)
        wait_until_listening(port, "the floor")
        ask = ("ask", port, 200, 0.5, 200, tmp_path / "log.txt")
        asking = programs.python("ask", "bench.cost.floor", *ask)
        until((tmp_path / "log.txt").exists, 10, "its log, which it writes when it is stopped")
        before = [waits_of(one) for one in (asking, answering)]

        def many():
            asked, answered = (waits_of(one) for one in (asking, answering))
            return asked > before[0] + 100 and answered > before[1] + 50

        until(many, what="many exchanges, each with two waits at most")
        assert answering.alive
    assert len(read(tmp_path / "log.txt")) > 20


@needs_lsl
def test_lsl_is_asked_through_the_proxy_without_discovery():
    results = play(CONDITIONS["jitter"], {"lsl": Lsl()}, Plan(1, 2.0, 0.1, seed=1))
    checked(results["lsl"], "LSL", 60_000)
    assert results["lsl"].rows["LSL"][0].delay_ns > 2e6  # a direct exchange takes a tenth of a millisecond


def test_a_program_that_dies_ends_the_run():
    class Dying(PlainPaho):
        def begin(self, setup):
            setup.programs.python("dying", "bench.peers.hog", "nonsense")

        def ready(self, setup):
            until(setup.programs.dead, 10, "its death")

        def serve(self, setup):
            pass

    with pytest.raises(NotReadyError, match="dying has ended: ValueError"):
        play(CONDITIONS["idle"], {"dying": Dying("mosquitto", 0.5)}, Plan(1, 0.1, 0.0, 1))


def own_children():
    lists = [path.read_text() for path in Path("/proc/self/task").glob("*/children")]
    return set(" ".join(lists).split())


@needs_mosquitto
def test_the_command_writes_markdown_and_json_and_leaves_no_process(tmp_path):
    before = own_children()
    paths = tmp_path / "peers.md", tmp_path / "peers.json"
    options = ["--quick", "--estimates=1", "--seconds-per-estimate=0.6", "--condition=idle"]
    options += [
        "--warm-up=0.2",
        "--contestant=paho-mosquitto",
        f"--markdown={paths[0]}",
        f"--json={paths[1]}",
    ]
    result = CliRunner().invoke(main, options)
    assert result.exit_code == 0, result.output
    assert "| paho over mosquitto, least delay" in paths[0].read_text()
    figures = json.loads(paths[1].read_text())
    assert figures["scores"]["idle"]["paho over mosquitto, mean"]["covered"] == 1.0
    assert own_children() <= before
