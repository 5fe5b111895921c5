"""Fixtures: a real browser, a fleet on a real broker, the dashboard below a prefix it knows nothing of."""

import re
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from bench.dashboard.browser import PROGRAM
from bench.dashboard.browser import chromium as started
from tests.browser.dashboard_process import Dashboard
from tests.browser.prefix_proxy import PREFIX, PrefixProxy
from tests.deadline import PATIENCE_S
from tests.network.boats import Boat
from tests.network.running import mosquitto_in, running

expect.set_options(timeout=PATIENCE_S * 1000)


@pytest.fixture(scope="module")  # not longer: its event loop runs in this thread, and no other may then
def chromium():
    if PROGRAM is None:
        pytest.skip("Chromium is not installed")
    with started() as browser:
        yield browser


@pytest.fixture
def broker(tmp_path):
    limited = "allow_anonymous true\nmessage_size_limit 64512\n"  # as in `broker/mosquitto.conf`
    with running(mosquitto_in(tmp_path, limited)) as started_broker:
        yield started_broker


@pytest.fixture
def boat(broker):
    with ExitStack() as stack:
        yield Boat(broker.url, stack)


@pytest.fixture
def dashboard(broker, tmp_path):
    running = Dashboard(broker.url, tmp_path)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def proxy(dashboard):
    with PrefixProxy(dashboard.port) as running:
        yield running


class Visit:
    """A page of the dashboard behind the proxy, that may complain of nothing and ask nobody else."""

    def __init__(self, page, base):
        self.page = page
        self.base = base
        self.complaints = []
        self.requests = []
        self.expected = ()
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: self.requests.append(request.url))

    def open(self, view=""):
        answer = self.page.goto(f"{self.base}{view}", wait_until="domcontentloaded")
        assert answer.ok, f"{answer.status} {answer.text()}"
        return self.page

    def until_not_wider(self, width):
        """Until nothing of the page has to be scrolled to sideways: it is laid out in steps."""
        self.page.wait_for_function("width => document.documentElement.scrollWidth <= width", arg=width)

    def row(self, vehicle):
        return self.page.locator(f'tr[data-vehicle="{vehicle}"]')

    def check(self):
        assert self.complaints == []
        assert self.requests
        for url in self.requests:
            parts = urlsplit(url)
            assert parts.scheme in {"data", "blob"} or parts.netloc == urlsplit(self.base).netloc, url
            assert parts.scheme in {"data", "blob"} or parts.path.startswith(PREFIX), url

    def _note(self, message):
        """A server that is away is the browser's own complaint, and cannot be kept from it."""
        failed = re.match(r"Failed to load resource: (net::ERR_\w+|.* status of (\d+))", message.text)
        if failed is None or failed[2] not in {None, "502", *self.expected}:
            self.complaints.append(f"{message.type}: {message.text}")


@pytest.fixture
def visit(chromium, proxy):
    with ExitStack() as stack:

        def begin(base=proxy.url, **options):
            context = chromium.new_context(**({"viewport": {"width": 1280, "height": 800}} | options))
            stack.callback(context.close)
            context.set_default_timeout(PATIENCE_S * 1000)
            return Visit(context.new_page(), base)

        yield begin
