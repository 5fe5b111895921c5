"""A client that tries what it may not, and a checker that sees whatever the broker lets through."""

import socket
import threading
from urllib.parse import urlsplit

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from tests.deadline import until

ROOT = "tidesync/v1/"
MARK = "checker/mark"


class Intruder:
    """One connection with any name, password, client id and will.

    The broker grants forbidden subscriptions and acknowledges forbidden messages as it does any other: only
    what arrives somewhere says what was let through.
    """

    def __init__(self, url, username=None, password=None, *, client_id=None, will=None):
        self.heard = []
        self.ended = threading.Event()
        self._answered = threading.Event()
        self.refusal = None
        client = Client(
            CallbackAPIVersion.VERSION2, client_id=client_id or username or "", reconnect_on_failure=False
        )
        if username:
            client.username_pw_set(username, password)
        if will:
            client.will_set(ROOT + will, b"intruder", 1, retain=True)
        client.on_connect = self._on_connect
        client.on_disconnect = lambda *_: self.ended.set()
        client.on_message = lambda _client, _userdata, message: self.heard.append(
            (message.topic, message.payload, message.retain)
        )
        address = urlsplit(url)
        client.connect(address.hostname, address.port)
        client.loop_start()
        until(lambda: self._answered.is_set() or self.ended.is_set(), 10, "an answer to CONNECT")
        self.client = client

    def publish(self, topic, payload=b"intruder", *, retain=False):
        """Publish at QoS 1 and wait until the broker has dealt with it."""
        self.client.publish(topic, payload, 1, retain).wait_for_publish(60)

    def subscribe(self, *filters):
        """Subscribe and wait for the answer."""
        granted = threading.Event()
        self.client.on_subscribe = lambda *_: granted.set()
        self.client.subscribe([(topic, 1) for topic in filters])
        assert granted.wait(60)

    def break_off(self):
        """End without DISCONNECT, so that the will is due."""
        self.client.socket().shutdown(socket.SHUT_RDWR)
        assert self.ended.wait(60)
        self.client.loop_stop()

    def end(self):
        self.client.disconnect()
        self.client.loop_stop()

    def _on_connect(self, _client, _userdata, _flags, reason, _properties):
        self.refusal = str(reason) if reason.is_failure else None
        self._answered.set()


class TopicReader(Intruder):
    """May read and write everything, by an entry of the test's own."""

    ACL = "\nuser checker\ntopic readwrite #\n"

    def since_the_last_mark(self):
        """What was let through since this was called last: a mark comes after all that was before it."""
        self.publish(MARK)
        until(lambda: any(topic == MARK for topic, _, _ in self.heard), 10, "the mark")
        seen = [entry for entry in self.heard if entry[0] != MARK]
        self.heard.clear()
        return seen
