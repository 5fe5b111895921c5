"""What rates the results of a fleet say, heard at the broker as cheaply as paho allows."""

from __future__ import annotations

import re
from collections import defaultdict
from statistics import fmean
from typing import TYPE_CHECKING

from bench.peers.plain_paho import connected_client, subscribe
from schemas.compat import Self

if TYPE_CHECKING:
    from collections.abc import Mapping

    from paho.mqtt.client import Client, MQTTMessage

_NUMBER = re.compile(r"/rov(\d+)/")
_RATE = re.compile(rb'"rate":([0-9.]+)')


class Reported:
    """From the retained results on, which say what held when it began."""

    def __init__(self, port: int) -> None:
        self._rates: dict[int, list[float]] = defaultdict(list)
        self._client = connected_client(port)

    def __enter__(self) -> Self:
        self._client.on_message = self._heard
        subscribe(self._client, "tidesync/v1/vehicle/+/offset/+")
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def rates(self) -> Mapping[int, float | None]:
        """The mean of what was reported of each vehicle, by its number."""
        return {number: fmean(rates) for number, rates in list(self._rates.items())}

    def _heard(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        number, rate = _NUMBER.search(message.topic), _RATE.search(message.payload)
        if number and rate:
            self._rates[int(number[1])].append(float(rate[1]))
