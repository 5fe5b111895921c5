"""When messages arrived, and whether this connection has shown that the kernel's stamps can be had."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from broker.client.plain import PlainClient
    from broker.client.stamps import ArrivalStamper
    from runtime.clock import Reading
    from runtime.logs import RateLimitedLog
    from schemas.exchange import StampKind

_UNSTAMPED_MOST = 8
"""Messages in a row without a usable kernel stamp until they are no longer expected."""


class Arrivals:
    """Reads the clock as it stood when `client`'s packet arrived."""

    def __init__(self, stamper: ArrivalStamper, client: PlainClient, say: RateLimitedLog) -> None:
        self._client = client
        self._say = say
        self._stamper = stamper
        self._kernel_stamps: bool | None = None
        self._unstamped = 0
        self.unstamped_because: str | None = None
        """Why the kernel's stamps cannot be had, once that is known."""

    @property
    def stamp(self) -> StampKind:
        """Where arrivals are stamped, as far as this connection has shown."""
        return "kernel" if self._kernel_stamps else "user"

    def begin(self) -> None:
        """A connection was accepted: learn anew, beginning with that packet."""
        self._kernel_stamps, self._unstamped = None, 0
        self.reading()

    def reading(self) -> tuple[Reading, StampKind]:
        """The clock at the arrival of the packet that is being handled, and how that is known."""
        received, stamp = self._stamper.arrived(self._client.arrival())
        if stamp == "user" or not self._kernel_stamps or self._unstamped:
            self._note(stamp)
        return received, stamp

    def _note(self, stamp: StampKind) -> None:
        """Learn whether the kernel's stamps come and can be used; say once that they do not."""
        if stamp != "user":
            self._kernel_stamps, self._unstamped, self.unstamped_because = True, 0, None
            return
        self._unstamped += 1
        refused = self._client.unstamped_because
        if self._kernel_stamps is False or (refused is None and self._unstamped < _UNSTAMPED_MOST):
            return
        self._kernel_stamps = False
        why = refused or "the kernel's stamps do not come, or contradict its clock"
        self.unstamped_because = why
        self._say.info(f"arrivals are stamped in user space: {why}")
