"""`clients/tidesync.ts`, compiled strictly and run under node against a real dashboard."""

import json
import re
import shutil
import socket
import subprocess
import threading
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import pytest

from schemas.compat import UTC
from tests.browser.dashboard_process import Dashboard
from tests.deadline import until
from tests.network.boats import Boat
from tests.network.recording import until_written
from tests.network.running import mosquitto_in, running
from tidesync.command_line import run

ROOT = Path(__file__).parents[2]
NODE = shutil.which("node")
COMPILER = ROOT / "tests" / "node_modules" / "typescript" / "bin" / "tsc"
pytestmark = pytest.mark.skipif(
    NODE is None or not COMPILER.exists(), reason="node or the TypeScript compiler is not installed (npm)"
)
STRICT = (
    "--strict --noUncheckedIndexedAccess --exactOptionalPropertyTypes false --target es2022 --module esnext"
)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("client")
    options = [*STRICT.split(), "--lib", "es2022,dom", "--outDir", str(folder)]
    source = str(ROOT / "clients" / "tidesync.ts")
    made = subprocess.run([NODE, COMPILER, *options, source], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout
    (folder / "tidesync.js").rename(folder / "tidesync.mjs")
    return folder / "tidesync.mjs"


ELECTRON = """
declare const settings: { tidesyncUrl: string; vehicle: string };
type Listener = (event: unknown, ...values: any[]) => unknown;
declare const ipcMain: { handle(channel: string, listener: Listener): void };
"""


def test_the_lines_for_a_recording_programs_main_process_compile(tmp_path):
    document = (ROOT / "docs" / "bio-cockpit.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"^```ts\n(.*?)^```", document, re.MULTILINE | re.DOTALL)
    (tmp_path / "main.ts").write_text(lines + ELECTRON, encoding="utf-8")
    shutil.copy(ROOT / "clients" / "tidesync.ts", tmp_path)
    options = [*STRICT.split(), "--moduleResolution", "bundler", "--lib", "es2022,dom", "--noEmit"]
    checked = subprocess.run(
        [NODE, COMPILER, *options, "main.ts"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout


def under_node(compiled, expression, **options):
    """What `expression` on a client resolves to."""
    program = (
        f"import {{ Tidesync }} from {json.dumps(compiled.as_uri())};"
        f"const tidesync = new Tidesync({json.dumps(options)});"
        f"console.log(JSON.stringify(await ({expression})));"
    )
    command = [NODE, "--input-type=module", "--eval", program]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_a_session_is_begun_and_ended_by_it_and_fuses(compiled, tmp_path):
    with ExitStack() as stack:
        broker = stack.enter_context(running(mosquitto_in(tmp_path)))
        boat = Boat(broker.url, stack)
        boat.vehicle("rov1", offset_ns=-3_000_000_000)
        boat.topside()
        boat.recorder(tmp_path / "dives")
        dashboard = Dashboard(broker.url, tmp_path)
        stack.callback(dashboard.stop)
        dashboard.start()

        def client(expression):
            return under_node(compiled, expression, url=dashboard.url, timeoutMs=60_000)

        def locked():
            return [v for v in client("tidesync.vehicles()")["value"]["vehicles"] if v["state"] == "locked"]

        assert until(locked, 30, "rov1 locked")[0]["vehicle"] == "rov1"
        assert client('tidesync.measureNow("rov1")')["value"] == {"vehicle": "rov1", "topsides": ["topside"]}
        wanted = json.dumps({"mission": "Récif 42", "sensors": {"inWater": "rov1"}})
        begun = client(f"tidesync.startSession({wanted})")
        assert begun["ok"], begun
        session, folder = begun["value"]["session"], tmp_path / "dives" / begun["value"]["path"]
        lines = folder / "time_sync" / "exchanges.jsonl"

        def recorded():
            return lines.read_bytes().count(b"\n") if lines.exists() else 0

        until(lambda: recorded() > 4, 30, "exchanges")
        at, before = datetime.fromtimestamp(boat.clocks["rov1"].realtime_ns() / 1e9, UTC), recorded()
        until(lambda: recorded() > before + 8, 30, "exchanges of after the row")
        ended = client(f"tidesync.stopSession({json.dumps(session)})")
        assert ended["ok"], ended
        assert ended["value"]["state"] == "stopped"
        until_written(folder)
        known = client("tidesync.sessions()")["value"]["sessions"]
        assert [each["session"] for each in known] == [session]
    (folder / "in-water_1").mkdir()
    (folder / "in-water_1" / "session.csv").write_text(f"timestamp,value\n{at:%Y-%m-%dT%H:%M:%S.%fZ},1\n")
    out = tmp_path / "fused.csv"
    assert run(["fuse", str(folder), "--on", "inWater", "--out", str(out)]) == 0
    assert ",ok\n" in out.read_text()


def test_a_refusal_has_the_dashboards_word_and_sentence(compiled, tmp_path):
    with ExitStack() as stack:
        broker = stack.enter_context(running(mosquitto_in(tmp_path)))
        dashboard = Dashboard(broker.url, tmp_path)
        stack.callback(dashboard.stop)
        dashboard.start()
        refused = under_node(compiled, 'tidesync.measureNow("rov9")', url=dashboard.url)
        assert (refused["ok"], refused["error"], refused["status"]) == (False, "not_found", 404)
        assert "rov9" in refused["detail"]
        asked = 'tidesync.startSession({ mission: "x", timeout_s: 1 })'
        unanswered = under_node(compiled, asked, url=dashboard.url, timeoutMs=60_000)
        assert (unanswered["ok"], unanswered["error"]) == (False, "no_answer")


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"])
def test_whatever_answers_it_neither_throws_nor_waits(compiled, answer):
    timeout_ms = 20_000 if answer else 500
    with socket.create_server(("127.0.0.1", 0)) as server:
        held = []

        def serve():
            connection, _ = server.accept()
            held.append(connection)
            connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        found = under_node(compiled, "tidesync.vehicles()", url=url, timeoutMs=timeout_ms)
    for connection in held:
        connection.close()
    assert (found["ok"], found["error"]) == (False, "invalid_answer" if answer else "timeout")


def test_nobody_there(compiled):
    assert under_node(compiled, "tidesync.vehicles()", url="http://127.0.0.1:9")["error"] == "network_error"
