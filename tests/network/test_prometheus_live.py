"""A real Prometheus scrapes real agents: the dashboard's panels show something, the alerts keep quiet."""

import json
import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
import yaml

from runtime.metrics_server import metrics_served
from schemas.messages import StartCommand
from tests.deadline import until
from tests.ports import free_port
from tidesync.sessions.recorder.metrics import recorder_families
from topside_agent.metrics import topside_families

DEPLOY = Path(__file__).parents[2] / "deploy"
S = 1_000_000_000
MAY_BE_EMPTY = {"tidesync_rejected_total", "tidesync_datagrams_dropped_total"}
"""A counter by reason begins with the first of its reason."""


@pytest.fixture
def prometheus(tmp_path):
    """Starts a Prometheus that scrapes these ports every second, with our alert rules; gives its query."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not installed")
    port, running = free_port("127.0.0.1"), []

    def start(**ports):
        config = tmp_path / "prometheus.yml"
        jobs = [
            {"job_name": f"tidesync-{name}", "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}
            for name, target in ports.items()
        ]
        globals_ = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        alerts = str(DEPLOY / "prometheus" / "alerts.yml")
        config.write_text(
            yaml.safe_dump({"global": globals_, "rule_files": [alerts], "scrape_configs": jobs})
        )
        log = (tmp_path / "prometheus.log").open("wb")
        command = [
            program,
            f"--config.file={config}",
            f"--storage.tsdb.path={tmp_path / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        running.append(subprocess.Popen(command, stdout=log, stderr=log))

        def query(expression):
            parameters = urllib.parse.urlencode({"query": expression})
            try:
                with urllib.request.urlopen(
                    f"http://127.0.0.1:{port}/api/v1/query?{parameters}", timeout=60
                ) as reply:
                    return json.load(reply)["data"]["result"]
            except OSError:
                return []

        return query

    yield start
    for process in running:
        process.kill()
        process.wait()


def test_every_panel_of_the_dashboard_shows_something_and_no_alert_fires(
    mosquitto_boat, tmp_path, prometheus
):
    boat = mosquitto_boat
    checker = boat.checker()
    topside, recorder = boat.topside(), boat.recorder(tmp_path / "root")
    boat.vehicle("rov1", offset_ns=-3 * S, drift_ppm=20.0)
    checker.until_state("rov1", "locked")
    command = StartCommand(request_id="r", mission="reef-42", sensors={"inWater": "rov1"})

    def recording():
        checker.command("dive-1", command)
        return checker.wait_for_session(lambda state: state.exchanges > 0, 1.0)

    until(recording, 15, "the recording")
    ports = {"topside": free_port("127.0.0.1"), "record": free_port("127.0.0.1")}
    served = {
        "topside": lambda: topside_families(topside.counts()),
        "record": lambda: recorder_families(recorder.counts()),
    }
    with (
        metrics_served("127.0.0.1", ports["topside"], served["topside"]),
        metrics_served("127.0.0.1", ports["record"], served["record"]),
    ):
        query = prometheus(**ports)
        until(lambda: len(query("count_over_time(up[1m]) >= 4")) == 2, 40, "four scrapes of both")

        def empty():
            return [
                expression
                for expression in panel_expressions()
                if not query(expression) and not any(name in expression for name in MAY_BE_EMPTY)
            ]

        until(lambda: not empty(), what=lambda: f"something in every panel, was nothing in {empty()}")

        def locked():
            found = query('tidesync_state{state="locked"}')
            return [(state["metric"]["vehicle"], state["value"][1]) for state in found] == [("rov1", "1")]

        until(locked, what="rov1 locked")
        firing = query('ALERTS{alertname=~"Tidesync.*", alertstate="firing"}')
        assert [alert["metric"]["alertname"] for alert in firing] == []


def panel_expressions():
    dashboard = json.loads((DEPLOY / "grafana" / "tidesync.json").read_text(encoding="utf-8"))
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            expression = target["expr"].replace("$__rate_interval", "1m").replace("$__range", "1m")
            yield re.sub(r"\$\w+", ".*", expression)
