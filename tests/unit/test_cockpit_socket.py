"""The WebSocket for Cockpit, with a client that takes nothing: it is disconnected, nothing is queued."""

import asyncio

from starlette.websockets import WebSocket

from runtime.clock import SystemClock
from tests.unit.dashboards import incoming, result
from tidesync.dashboard import cockpit
from tidesync.dashboard.app import make_app
from tidesync.dashboard.settings import DashboardSettings
from tidesync.dashboard.subscriber import Subscriber


class Client:
    """Takes `most` messages, then none."""

    def __init__(self, app, most):
        self.most = most
        self.taken = []
        scope = {"type": "websocket", "app": app, "path": "/cockpit", "headers": [], "query_string": b""}
        self.socket = WebSocket(scope, self._receive, self._send)
        self._opened = False

    async def _receive(self):
        if not self._opened:
            self._opened = True
            return {"type": "websocket.connect"}
        return await asyncio.Future()

    async def _send(self, message):
        if len(self.taken) >= self.most:
            await asyncio.Future()
        self.taken.append(message)


def test_a_client_that_takes_nothing_is_disconnected(monkeypatch):
    monkeypatch.setattr(cockpit, "_SEND_TIMEOUT_S", 0.05)
    settings = DashboardSettings()
    subscriber = Subscriber(settings, SystemClock())
    app = make_app(subscriber, settings)
    for n in range(50):
        subscriber.received(incoming(result(f"rov{n}")))

    async def serve():
        client = Client(app, most=5)
        await asyncio.wait_for(cockpit.lines(client.socket), 60)
        return client

    client = asyncio.run(serve())
    assert len(client.taken) == 5
    assert app.state.served.sockets == 0
