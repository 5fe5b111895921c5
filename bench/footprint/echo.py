"""The smallest program on paho that could do the job: it answers a ping with two stamps."""

from __future__ import annotations

import json
import sys
import time

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

ROOT = "tidesync/v1/vehicle/rov1"


def main() -> None:
    """Answer until killed."""
    client = Client(CallbackAPIVersion.VERSION2, client_id="echo")

    def answer(_client: Client, _data: object, message: MQTTMessage) -> None:
        received_ns = time.time_ns()
        ping = json.loads(message.payload)
        pong = {"seq": ping["seq"], "nonce": ping["nonce"], "receive_ns": received_ns}
        pong["transmit_ns"] = time.time_ns()
        client.publish(message.topic.replace("/ping/", "/pong/"), json.dumps(pong))

    client.on_message = answer
    client.connect("127.0.0.1", int(sys.argv[1]))
    client.subscribe(f"{ROOT}/ping/+")
    client.publish(f"{ROOT}/status", "online", 1, retain=True)
    client.loop_forever()


if __name__ == "__main__":
    main()
