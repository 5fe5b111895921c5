"""Under what the peers are compared: what the link does to messages, and how busy the answering side is."""

from __future__ import annotations

from dataclasses import dataclass

from bench.peers.laws import JITTER, LONG_WAY, NONE, SHORT_WAY, Law


@dataclass(frozen=True, slots=True)
class Condition:
    """`out` delays what goes to the answering side, `back` its answers."""

    name: str
    title: str
    out: Law = NONE
    back: Law = NONE
    hogs: int = 0

    @property
    def delayed(self) -> bool:
        return self.out != NONE or self.back != NONE


CONDITIONS: dict[str, Condition] = {
    condition.name: condition
    for condition in (
        Condition("idle", "idle: nothing else runs, loopback as it is"),
        Condition("busy", "busy: two CPU hogs beside the answering side", hogs=2),
        Condition(
            "jitter",
            "jitter: lognormal around 5 ms, σ 0.5, and 1 % of +50 ms, each way",
            JITTER,
            JITTER,
        ),
        Condition(
            "asymmetric",
            "asymmetric jitter: lognormal around 8 ms out and 2 ms back, σ 0.5",
            LONG_WAY,
            SHORT_WAY,
        ),
    )
}
