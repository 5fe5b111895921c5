"""What a vehicle reports of its own clock between two exchanges, pure: a step, a suspend, a reboot, a slew.

A result that is carried forward rests on the realtime − RAW of the last exchange. Here is decided whether
that is still the Pi's, as far as was heard, by how much it moved, or that the offset is unknown until an
exchange comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from schemas.clock_history import Begins, VehicleClock
    from schemas.exchange import Exchange
    from schemas.messages import Event
    from topside_agent.estimator import Estimate


class HeardClock:
    """A vehicle's clock as it was heard of since the last exchange; instants are the Pi's RAW, in ns."""

    def __init__(self) -> None:
        self._boot_id: str | None = None
        self._exchange_ns: int | None = None
        """RAW at the last exchange's transmit stamp, and realtime − RAW there."""
        self._exchange_difference_ns = 0
        self._read_ns = 0
        """The newest reading of the Pi that is known, by that exchange or by a piece."""
        self._difference_ns = 0
        self._half_width_ns = 0
        self._stepped_ns: int | None = None
        self._slept_ns: int | None = None
        self._rebooted = False

    @property
    def unknown(self) -> bool:
        """Whether the old offset is known to be over, and the new one is not known."""
        unread = self._stepped_ns is not None and self._read_ns < self._stepped_ns
        return self._rebooted or self._slept_ns is not None or unread

    @property
    def stepped(self) -> bool:
        """Whether the Pi's realtime was set after the last exchange."""
        return self._stepped_ns is not None

    def exchanged(self, exchange: Exchange) -> None:
        """An exchange was accepted: it shows all that happened before it."""
        difference_ns = exchange.pi_realtime_minus_raw_ns
        if difference_ns is None:
            return
        raw_ns, same_boot = exchange.transmit_ns - difference_ns, exchange.boot_id == self._boot_id
        if same_boot and self._exchange_ns is not None and raw_ns < self._exchange_ns:
            return  # it was overtaken
        if not same_boot or (self._stepped_ns is not None and raw_ns >= self._stepped_ns):
            self._stepped_ns = None
        if not same_boot or (self._slept_ns is not None and raw_ns > self._slept_ns):
            self._slept_ns = None
        if not same_boot or raw_ns >= self._read_ns:
            self._read_ns, self._difference_ns, self._half_width_ns = raw_ns, difference_ns, 0
        self._boot_id, self._rebooted = exchange.boot_id, False
        self._exchange_ns, self._exchange_difference_ns = raw_ns, difference_ns

    def booted(self, boot_id: str) -> bool:
        """The vehicle named its boot; whether that ends the offset."""
        if self._exchange_ns is None or boot_id == self._boot_id or self._rebooted:
            return False
        self._rebooted = True
        return True

    def event(self, event: Event) -> bool:
        """The vehicle reported a step or suspend; whether no exchange has shown it."""
        if not self._newer(event.boot_id, event.at_raw_ns):
            return False
        self._changed(event.kind, event.at_raw_ns)
        return True

    def pieces(self, clock: VehicleClock) -> bool:
        """The vehicle sent pieces of its clock history; whether of a change that no exchange shows."""
        changed = False
        for piece in clock.pieces:
            if not self._newer(clock.boot_id, piece.to_raw_ns) or piece.to_raw_ns < self._read_ns:
                continue
            if piece.begins is not None and self._newer(clock.boot_id, piece.from_raw_ns):
                changed |= self._stepped_ns is None and self._slept_ns is None
                self._changed(piece.begins, piece.from_raw_ns)
            self._read_ns = piece.to_raw_ns
            self._difference_ns = piece.to_realtime_ns - piece.to_raw_ns
            self._half_width_ns = piece.half_width_ns
        return changed

    def _newer(self, boot_id: str, raw_ns: int) -> bool:
        """Whether RAW `raw_ns` of that boot is not before the last exchange."""
        return self._exchange_ns is not None and boot_id == self._boot_id and raw_ns >= self._exchange_ns

    def _changed(self, kind: Begins, at_ns: int) -> None:
        if kind == "suspend":
            self._slept_ns = at_ns
        elif kind == "step":
            self._stepped_ns = at_ns

    def moved(self, estimate: Estimate) -> Estimate:
        """`estimate`, which rests on the last exchange, by the Pi's newest reading."""
        moved_ns = self._difference_ns - self._exchange_difference_ns
        width_ns = self._half_width_ns
        return estimate._replace(
            offset_ns=estimate.offset_ns + moved_ns,
            lower_ns=estimate.lower_ns + moved_ns - width_ns,
            upper_ns=estimate.upper_ns + moved_ns + width_ns,
        )
