"""Publishes vehicles' results and batches, and logs what changes in them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from broker.clock import Reading
    from broker.connection import Outgoing
    from schemas.messages import ErrorWord, OffsetResult, State
    from topside_agent.measurement import Measurement
    from topside_agent.outbox import Outbox

_log = logging.getLogger(__name__)


class Publisher:
    """`send` returns whether a message is on its way; what is not stays in its backlog."""

    def __init__(self, outbox: Outbox, send: Callable[[Outgoing], bool]) -> None:
        self._outbox = outbox
        self._send = send
        self._logged: dict[str, tuple[State, ErrorWord | None]] = {}

    def result(self, measurement: Measurement, now: Reading) -> None:
        """Publish what the measurement has to say at `now`, if that is worth a message."""
        result = measurement.publish(now)
        if result is None:
            return
        self._log_change(result)
        self._send(self._outbox.result(result))
        self.batches(measurement)

    def batches(self, measurement: Measurement) -> None:
        """Publish the exchanges that are finished."""
        while payload := measurement.backlog.next_batch():
            if not self._send(self._outbox.batch(measurement.vehicle, payload)):
                return
            measurement.backlog.published()

    def again(self, measurement: Measurement, from_seq: int, to_seq: int) -> None:
        """Publish what is still kept of those exchanges once more."""
        for payload in measurement.backlog.again(from_seq, to_seq):
            self._send(self._outbox.batch(measurement.vehicle, payload))

    def forget(self, vehicle: str) -> None:
        """Have the broker retain no result of `vehicle`."""
        self._logged.pop(vehicle, None)
        self._send(self._outbox.no_result(vehicle))

    def _log_change(self, result: OffsetResult) -> None:
        if self._logged.get(result.vehicle) == (result.state, result.error):
            return
        self._logged[result.vehicle] = (result.state, result.error)
        found = (
            "" if result.offset_ms is None else f": {result.offset_ms} ms, max error {result.max_error_ms} ms"
        )
        why = f" ({result.error})" if result.error else ""
        _log.info("%s is %s%s%s", result.vehicle, result.state, found, why)
