"""The report in a real browser without a network: figures, no console message, no request."""

import json
import re
import subprocess
from urllib.parse import urlsplit

import pytest

from bench.dashboard.browser import FLAGS as QUIET
from bench.dashboard.browser import PROGRAM
from schemas.exchange import Exchange
from tidesync.command_line import run

pytestmark = pytest.mark.browser

FLAGS = (*QUIET, "--headless", "--enable-logging=stderr", "--virtual-time-budget=5000")
ITS_OWN = ("google.com", "googleapis.com")
"""Hosts that Chromium itself contacts on any page; no name is resolved here, so no request leaves."""

S = 1_000_000_000
NOON = 1_777_636_800 * S
HOSTILE = (
    "</script><script>console.error('injected')</script>"
    "<img src=http://evil.invalid/x onerror=console.error('no')>"
)


@pytest.fixture
def browse(tmp_path):
    """Opens a file with options of Chromium; returns the DOM, the console's lines and the requested URLs."""
    if PROGRAM is None:
        pytest.skip("Chromium is not installed")

    def open_file(path, *options):
        log = tmp_path / "net.json"
        command = [PROGRAM, *FLAGS, "--host-resolver-rules=MAP * ~NOTFOUND"]
        command += [
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--log-net-log={log}",
            *options,
            path.as_uri(),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
        console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        urls = set(re.findall(r'"url":"([^"]+)"', log.read_text()))
        foreign = [url for url in urls if not (urlsplit(url).hostname or "").endswith(ITS_OWN)]
        return (
            done.stdout,
            console,
            {url for url in foreign if urlsplit(url).scheme not in {"file", "data", "blob"}},
        )

    return open_file


@pytest.fixture
def report(tmp_path):
    """The report on ten minutes of two vehicles; the first one's clock is stepped, the mission is hostile."""
    folder = tmp_path / "session_2026-05-01T12-00-00Z"
    (folder / "time_sync").mkdir(parents=True)
    lines = [exchange(vehicle, number).encode() for vehicle in ("rov1", "rov2") for number in range(2400)]
    (folder / "time_sync" / "exchanges.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    (folder / "sync_metadata.json").write_text(json.dumps({"mission": HOSTILE, "timeSync": {}}))
    assert run(["report", str(folder)]) == 0
    return folder / "report.html"


def exchange(vehicle, number, ahead_ns=-150_000_000):
    """Four a second, 1 ms each way and 5 ms now and then; from the middle on rov1 is 3 s further ahead."""
    raw = NOON - 1000 * S
    step = 3 * S if vehicle == "rov1" and number >= 1200 else 0
    origin = NOON + number * S // 4
    late = 4_000_000 * (number % 7 == 0)
    pi = origin + 1_000_000 + late + ahead_ns + step
    return Exchange(
        vehicle=vehicle,
        topside="laptop",
        seq=number,
        boot_id="b",
        origin_ns=origin,
        receive_ns=pi,
        transmit_ns=pi,
        destination_ns=origin + 2_000_000 + late,
        pi_realtime_minus_raw_ns=raw + step + ahead_ns,
        topside_realtime_minus_raw_ns=raw,
    )


def test_both_figures_are_drawn_without_a_console_message_or_request(report, browse):
    dom, console, urls = browse(report, "--dump-dom", "--window-size=1280,900")
    assert console == []
    assert urls == set()
    assert dom.count('class="plot-container') == 2
    assert len(re.findall(r'class="js-line"[^>]* d="M', dom)) >= 8
    assert "step +3.000" in dom
    assert "12:05" in dom  # an axis of instants
    assert "The curves need JavaScript" not in re.sub(r"<script.*?</script>", "", dom, flags=re.DOTALL)


@pytest.mark.parametrize("ahead_s", [0.001, -3600.25, -56 * 365 * 86_400 + 0.25])
@pytest.mark.parametrize("width", [390, 1366])
def test_no_number_of_an_axis_and_no_title_is_cut(ahead_s, width, tmp_path, chromium):
    (tmp_path / "time_sync").mkdir()
    lines = [exchange("rov2", number, round(ahead_s * 1e3) * 1_000_000).encode() for number in range(200)]
    (tmp_path / "time_sync" / "exchanges.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    assert run(["report", str(tmp_path)]) == 0
    page = chromium.new_page(viewport={"width": width, "height": 800})
    page.goto((tmp_path / "report.html").as_uri())
    page.wait_for_function(
        "document.querySelectorAll('.ytick, .y2tick, .y3tick, .y4tick').length > 4", timeout=120_000
    )
    page.wait_for_function(
        """() => {
          const { left, right } = document.querySelector(".main-svg").getBoundingClientRect();
          return [...document.querySelectorAll(".figure svg text")].every((text) => {
            const at = text.getBoundingClientRect();
            return at.width === 0 || (at.left >= left - 1 && at.right <= right + 1);
          });
        }""",
        timeout=120_000,
    )
    page.close()


def test_the_numbers_of_an_axis_differ_where_an_offset_changes_by_less_than_a_microsecond(tmp_path, chromium):
    (tmp_path / "time_sync").mkdir()
    lines = [exchange("rov2", number, number * 2).encode() for number in range(200)]
    (tmp_path / "time_sync" / "exchanges.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    assert run(["report", str(tmp_path)]) == 0
    page = chromium.new_page(viewport={"width": 390, "height": 800})
    page.goto((tmp_path / "report.html").as_uri())
    page.wait_for_function("document.querySelectorAll('.ytick').length > 1", timeout=120_000)
    page.wait_for_function(
        """() => {
          const numbers = [...document.querySelectorAll(".ytick")].map((tick) => tick.textContent);
          return numbers.length === new Set(numbers).size;
        }""",
        timeout=120_000,
    )
    page.close()


def test_a_hostile_mission_is_shown_as_text(report, browse):
    dom, console, urls = browse(report, "--dump-dom")
    assert "&lt;img src=http://evil.invalid/x" in dom
    assert "<img src=http" not in dom
    assert console == []
    assert urls == set()


def test_it_prints_without_a_page_that_holds_little(report, browse, tmp_path):
    pdf = tmp_path / "report.pdf"
    _, console, urls = browse(report, f"--print-to-pdf={pdf}", "--no-pdf-header-footer")
    assert console == []
    assert urls == set()
    pages = len(re.findall(rb"/Type\s*/Page\b", pdf.read_bytes()))
    assert pages == 3


def test_a_request_and_a_console_message_would_be_found(browse, tmp_path):
    bad = tmp_path / "bad.html"
    bad.write_text("<html><img src='http://evil.invalid/x.png'><script>missing()</script></html>")
    _, console, urls = browse(bad, "--dump-dom")
    assert any("missing is not defined" in line for line in console)
    assert any("evil.invalid" in url for url in urls)
