"""Two processes of one name, as a reader of results notices them, pure; such a result is never `locked`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.doubtful import is_doubtful
from schemas.messages import DUPLICATES

if TYPE_CHECKING:
    from schemas.messages import ErrorWord, OffsetResult

REMEMBER_NS = 3_000_000_000
"""Two processes that took turns are taken for alive this long, or for 2.5 intervals of theirs if longer."""
_MISSED = 2.5
_MOST = 8
"""Processes remembered; their ids come from the network."""


class Alternation:
    """Whether two processes publish the results of one vehicle and topside by turns.

    One that follows another is a restart; one that comes back after another was there all along. Topsides
    notice it themselves and say so, unless their accounts may not read their own topics.
    """

    def __init__(self) -> None:
        self._heard_ns: dict[str, int] = {}
        self._until_ns = 0

    def take(self, result: OffsetResult, now_raw_ns: int) -> OffsetResult:
        """`result`, received live, as it may be relied on."""
        name, before_ns = result.instance_id, None
        if name in self._heard_ns and len(self._heard_ns) == 1:  # as nearly always
            self._heard_ns[name] = now_raw_ns
        elif name is not None:
            before_ns = self._heard_ns.pop(name, None)
            if len(self._heard_ns) >= _MOST:
                del self._heard_ns[next(iter(self._heard_ns))]
            if before_ns is not None and any(heard_ns > before_ns for heard_ns in self._heard_ns.values()):
                lasts_ns = max(REMEMBER_NS, round(_MISSED * (result.interval_s or 0.0) * 1e9))
                self._until_ns = max(self._until_ns, now_raw_ns + lasts_ns)
            self._heard_ns[name] = now_raw_ns
        return doubted(result, "duplicate_topside" if now_raw_ns < self._until_ns else None)

    def again(self, now_raw_ns: int) -> bool:
        """As `take` of a result by the one process that is known; false where there are others, or none."""
        if len(self._heard_ns) != 1 or now_raw_ns < self._until_ns:
            return False
        for name in self._heard_ns:
            self._heard_ns[name] = now_raw_ns
        return True


def doubted(result: OffsetResult, error: ErrorWord | None = None) -> OffsetResult:
    """`result` with the `error` that leaves it in doubt, if there is one; then it is not `locked`."""
    if error is None and result.error is None:
        return result
    known = result.error if result.error in DUPLICATES else error or result.error
    if not is_doubtful(known):
        return result
    state = "acquiring" if result.state == "locked" else result.state
    return result.model_copy(update={"error": known, "state": state})


def sentence(result: OffsetResult) -> str:
    """Why this result is in doubt."""
    if result.error not in DUPLICATES:
        return (
            f"topside {result.topside} reports {result.error!r} of {result.vehicle}, which is not known to"
            " this version: no timing of it can be relied on here; install one version everywhere"
        )
    whose = f"vehicles are named {result.vehicle}"
    if result.error == "duplicate_topside":
        whose = f"topsides are named {result.topside}"
    return f"two {whose}: no timing of {result.vehicle} can be relied on until one of them is renamed"
