"""Where the dashboard serves and to whom: what it refuses before it opens a port."""

import click
import pytest
from pydantic import ValidationError

from runtime.clock import SystemClock
from tidesync.command_line import run
from tidesync.dashboard.agent import DashboardAgent
from tidesync.dashboard.settings import DashboardSettings, TokenNeededError
from tidesync.settings import with_settings

SECRET = "sea-slug-sea-slug"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.2.2", "::", "boat.local"])
def test_more_than_this_machine_needs_a_token(host):
    with pytest.raises(TokenNeededError, match="token"):
        DashboardAgent(DashboardSettings(host=host), SystemClock())
    DashboardAgent(DashboardSettings(host=host, token=SECRET), SystemClock())


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_this_machine_does_not(host):
    DashboardAgent(DashboardSettings(host=host), SystemClock())


def test_a_short_token_is_refused_and_not_repeated(tmp_path):
    (tmp_path / "token").write_text("short-one\n")
    with pytest.raises(TokenNeededError) as caught:
        DashboardAgent(DashboardSettings(token_file=tmp_path / "token"), SystemClock())
    assert "9 characters" in str(caught.value)
    assert "short-one" not in str(caught.value)


def test_the_token_never_shows():
    assert SECRET not in repr(DashboardSettings(token=SECRET))


@pytest.mark.parametrize(
    "origin", ["cockpit.local", "https://a b", "https://x; script-src *", "'none'", "https://x,y"]
)
def test_what_is_no_origin_may_not_frame_the_page(origin):
    with pytest.raises(ValidationError, match="expected an origin"):
        DashboardSettings(frame_ancestor=(origin,))


@pytest.mark.parametrize("host", ["boat.example:80", "http://boat", "*", "", "bo at"])
def test_what_is_no_host_name_is_refused(host):
    with pytest.raises(ValidationError, match="expected a host"):
        DashboardSettings(allowed_host=(host,))


def test_names_and_addresses_are_taken_from_the_variable_and_an_empty_one_is_none(monkeypatch):
    made = DashboardSettings(allowed_host=("Blueos.local", "192.168.2.2", "FD00::2"))
    assert made.allowed_host == ("blueos.local", "192.168.2.2", "fd00::2")
    shown = []

    @click.command()
    @with_settings(DashboardSettings)
    def show(settings):
        shown.append(settings.allowed_host)

    for value in ("blueos.local 192.168.2.2", ""):
        monkeypatch.setenv("TIDESYNC_ALLOWED_HOST", value)
        show.main([], standalone_mode=False)
    assert shown == [("blueos.local", "192.168.2.2"), ()]


def test_the_command_says_what_is_missing(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert run(["dashboard", "--host", "0.0.0.0"]) == 2
    assert "TIDESYNC_TOKEN" in capsys.readouterr().err
    monkeypatch.setenv("TIDESYNC_TOKEN", "short")
    assert run(["dashboard", "--host", "0.0.0.0"]) == 2
    error = capsys.readouterr().err
    assert "5 characters" in error


@pytest.mark.slow
def test_a_token_in_the_environment_is_known_to_every_command(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIDESYNC_TOKEN", SECRET)
    assert run(["status", "--broker", "mqtt://127.0.0.1:1"]) == 1
    assert "TIDESYNC_TOKEN" not in capsys.readouterr().err
