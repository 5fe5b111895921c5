"""A page of which a part did not load, as over a link that broke meanwhile: it recovers by itself."""

import pytest
from playwright.sync_api import expect

from tests.deadline import until

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("path", ["app.js", "stream.js", "boot.js"])
def test_a_script_whose_request_fails_once_is_loaded_again(visit, proxy, path):
    proxy.failures[f"/page/{path}"] = "cut"
    visited = visit()
    page = visited.open()
    expect(page.locator("#link-text")).to_have_text("live")
    expect(page.locator(".empty")).to_be_visible()
    expect(page.locator("#alarm")).to_be_hidden()
    assert proxy.failures == {}
    visited.check()


def test_a_failure_is_reported_while_it_lasts_and_the_pauses_grow(visit, proxy):
    page = visit().page
    page.clock.install(time=0)
    page.clock.pause_at(1000)  # else it goes on with the time that the test takes
    loads = []
    page.on("request", lambda request: loads.append(request.url) if request.is_navigation_request() else None)
    page.route("**/page/stream.js", lambda route: route.abort())
    page.goto(proxy.url)
    for paused_ms in (1000, 2000, 4000):
        seen = len(loads)
        expect(page.locator("#alarm")).to_contain_text("could not be loaded completely")
        expect(page.locator("#link-text")).to_have_text("connecting …")
        page.clock.run_for(paused_ms - 100)
        assert len(loads) == seen
        with page.expect_navigation():
            page.clock.run_for(200)
    page.unroute("**/page/stream.js")
    page.clock.run_for(9000)
    page.clock.resume()
    expect(page.locator("#link-text")).to_have_text("live")


def test_a_module_that_is_never_answered_is_asked_for_again(visit, proxy):
    proxy.failures["/page/format.js"] = "held"
    visited = visit()
    page = visited.page
    page.clock.install()
    page.goto(visited.base, wait_until="commit")
    expect(page.locator("#alarm")).to_be_hidden()
    page.clock.run_for(10_000)
    expect(page.locator("#alarm")).to_contain_text("could not be loaded completely")
    page.clock.run_for(1100)
    expect(page.locator("#link-text")).to_have_text("live")
    visited.check()


def test_a_page_is_not_loaded_again_before_its_server_answers(visit, dashboard, proxy):
    proxy.failures["/page/dom.js"] = "held"
    visited = visit()
    page = visited.page
    page.clock.install()
    page.goto(visited.base, wait_until="commit")
    until(lambda: proxy.failures == {}, 10, "the module asked for")
    dashboard.kill()
    page.clock.run_for(12_000)
    expect(page.locator("#alarm")).to_contain_text("trying again")
    dashboard.start()
    page.clock.run_for(2_000)
    expect(page.locator("#link-text")).to_have_text("live")
    visited.check()


def test_a_style_sheet_that_failed_is_asked_for_again_without_the_page(visit, proxy):
    proxy.failures["/page/style.css"] = "cut"
    visited = visit()
    page = visited.open()
    expect(page.locator("body")).to_have_css("margin", "0px")
    expect(page.locator("#link-text")).to_have_text("live")
    assert sum(url == visited.base for url in visited.requests) == 1
    visited.check()


def test_with_no_script_at_all_the_page_asks_to_be_loaded_again(visit, proxy):
    proxy.failures |= {"/page/app.js": "held", "/page/boot.js": "cut"}
    visited = visit()
    page = visited.page
    page.goto(visited.base, wait_until="commit")
    late = page.locator(".late")
    expect(late).to_be_hidden()
    late.evaluate("node => node.getAnimations().forEach((one) => one.finish())")
    expect(late).to_be_visible()
    expect(late).to_contain_text("Please load it again")
    visited.check()
