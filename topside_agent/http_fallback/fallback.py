"""What a vehicle's handshakes over HTTP say while MQTT cannot reach it, pure.

They have an estimator of their own, and only the newest one counts. HTTP tells neither the Pi's RAW clock nor
its boot id. Were the vehicle's last `realtime − raw` used to bring its stamp to RAW, then a step, a slew or a
reboot since then, which nobody could have reported, would put a false bound among the true ones. And among
handshakes alone, a step smaller than the round trip contradicts nothing, so that an older one would be false
as well. The newest stands on nothing but itself. What an older one could add is little: in the two seconds
between them the wall clock may have moved by 1.4 ms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from topside_agent.estimator import Estimate, EstimatorSettings, OffsetEstimator

if TYPE_CHECKING:
    from runtime.clock import Reading
    from schemas.exchange import Exchange
    from schemas.messages import ErrorWord


class Fallback:
    """A vehicle's handshakes since MQTT last reached it."""

    def __init__(self, settings: EstimatorSettings) -> None:
        # Realtime against RAW: what is carried forward may be slewed, on top of the drift.
        rate_ppm = min(settings.rate_limit_ppm + settings.slew_limit_ppm, 10_000)
        self._settings = settings.model_copy(update={"rate_limit_ppm": rate_ppm})
        self._newest: OffsetEstimator | None = None
        self.exchanges = 0
        """In a row, since MQTT last reached the vehicle."""
        self.asked = False
        """Whether a handshake was made since then."""
        self.error: ErrorWord | None = None
        """Of the newest handshake."""

    def rest(self) -> None:
        """MQTT has reached the vehicle."""
        self.exchanges, self.asked, self.error = 0, False, None

    def failed(self, error: ErrorWord | None) -> None:
        """A handshake gave no offset."""
        self.asked, self.error = True, error

    def add(self, exchange: Exchange) -> None:
        """A handshake gave this exchange."""
        self.asked, self.error = True, None
        self.exchanges += 1
        # With the Pi's realtime in the place of its RAW clock, a step of topside's own changes nothing.
        self._newest = OffsetEstimator(self._settings, points=False)
        self._newest.add(exchange.model_copy(update={"pi_realtime_minus_raw_ns": 0}))

    def estimate(self, now: Reading | None, segment: int) -> Estimate | None:
        """The offset by the newest handshake, at its own end or carried forward to `now`."""
        if self._newest is None:
            return None
        if now is None:
            found = self._newest.estimate()
        else:
            found = self._newest.estimate(now.raw_ns, now.realtime_minus_raw_ns)
        return found and found._replace(segment=segment)
