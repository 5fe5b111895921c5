"""The offset from a vehicle's handshakes over HTTP while MQTT cannot reach it, pure.

They have an estimator of their own, and only the newest one counts. HTTP reports neither the Pi's RAW clock
nor its boot id. If the vehicle's last `realtime − raw` were used to bring its stamp to RAW, then a step, a
slew or a reboot since then, which nobody could have reported, would give a false bound. And among handshakes
alone, a step smaller than the round trip contradicts nothing, so that an older one could be false as well.
The newest depends on nothing else, but for how topside's own clock was read in those before: whether that is
slewed is then known. Whether the Pi's is nobody knows, so it counts as slewed as fast as a kernel can. An
older one could add little: in the two seconds between them the wall clock may have moved by 1.4 ms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from topside_agent.estimator import Estimate, EstimatorSettings, OffsetEstimator

if TYPE_CHECKING:
    from runtime.clock import Reading
    from schemas.exchange import Exchange


class Fallback:
    """A vehicle's handshakes since MQTT last reached it."""

    def __init__(self, settings: EstimatorSettings) -> None:
        # Realtime against RAW: what is carried forward may be slewed, on top of the drift.
        rate_ppm = settings.usual_rate * 1e-3 + settings.slew_limit_ppm
        self._settings = settings.model_copy(update={"rate_limit_ppm": rate_ppm})
        self._newest: OffsetEstimator | None = None
        self.exchanges = 0
        """In a row, since MQTT last reached the vehicle."""
        self.tried = False
        """Whether a handshake was made since then."""

    def reset(self) -> None:
        """MQTT has reached the vehicle."""
        self.exchanges, self.tried = 0, False

    def break_off(self) -> None:
        """Topside slept: what its handshakes showed is over."""
        self._newest, self.exchanges = None, 0

    def failed(self) -> None:
        """A handshake gave no offset."""
        self.tried = True

    def add(self, exchange: Exchange) -> None:
        """A handshake gave this exchange."""
        self.tried = True
        self.exchanges += 1
        # With the Pi's realtime in the place of its RAW clock, a step of topside's own changes nothing.
        newest = OffsetEstimator(self._settings, points=False)
        if self._newest is not None:
            newest.follow(self._newest)
        self._newest = newest
        newest.add(exchange.model_copy(update={"pi_realtime_minus_raw_ns": 0}))

    def estimate(self, now: Reading | None, segment: int) -> Estimate | None:
        """The offset by the newest handshake, at its own end or carried forward to `now`."""
        if self._newest is None:
            return None
        if now is None:
            estimate = self._newest.estimate()
        else:
            estimate = self._newest.estimate(now.raw_ns, now.realtime_minus_raw_ns)
        return estimate and estimate._replace(segment=segment)
