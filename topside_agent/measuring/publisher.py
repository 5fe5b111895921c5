"""Publishes vehicles' results and batches, and logs what changes in them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from broker.connection import Outgoing
    from runtime.clock import Reading
    from schemas.messages import ErrorWord, OffsetResult, State
    from topside_agent.integrations.blueos_mirror import BlueosMirror
    from topside_agent.measuring.measurement import Measurement
    from topside_agent.measuring.outbox import Outbox

_log = logging.getLogger(__name__)


class Publisher:
    """To be used while connected: what `send` takes reaches the broker, if over a later connection."""

    def __init__(self, outbox: Outbox, send: Callable[..., bool], mirror: BlueosMirror) -> None:
        self._outbox = outbox
        self._send = send
        self._mirror = mirror
        self._logged: dict[str, tuple[State, ErrorWord | None]] = {}

    def results(self, measurements: Iterable[Measurement], now: Reading) -> None:
        """Publish, in one write, what the measurements have to say at `now` that is worth a message."""
        messages: list[Outgoing] = []
        for measurement in measurements:
            result = measurement.publish(now)
            if result is not None:
                self._log_change(result)
                messages.append(self._outbox.result(result))
                messages += self._batches(measurement)
                messages += self._mirror.due(result, now)
        if messages:
            self._send(*messages)

    def batches(self, measurements: Iterable[Measurement]) -> None:
        """Publish the exchanges that are finished."""
        messages = [message for measurement in measurements for message in self._batches(measurement)]
        if messages:
            self._send(*messages)

    def again(self, measurement: Measurement, from_seq: int, to_seq: int) -> None:
        """Publish what is still kept of those exchanges once more."""
        for payload in measurement.backlog.again(from_seq, to_seq):
            self._send(self._outbox.batch(measurement.vehicle, payload))

    def forget(self, vehicle: str) -> None:
        """Have the broker retain no result of `vehicle`."""
        self._logged.pop(vehicle, None)
        self._mirror.forget(vehicle)
        self._send(self._outbox.no_result(vehicle))

    def _batches(self, measurement: Measurement) -> Iterator[Outgoing]:
        backlog = measurement.backlog
        while payload := backlog.next_batch():
            yield self._outbox.batch(measurement.vehicle, payload)
            backlog.published()

    def _log_change(self, result: OffsetResult) -> None:
        if self._logged.get(result.vehicle) == (result.state, result.error):
            return
        self._logged[result.vehicle] = (result.state, result.error)
        found = (
            "" if result.offset_ms is None else f": {result.offset_ms} ms, max error {result.max_error_ms} ms"
        )
        why = f" ({result.error})" if result.error else ""
        _log.info("%s is %s%s%s", result.vehicle, result.state, found, why)
