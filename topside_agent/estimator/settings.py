"""The estimator's constants, each with its unit, its range and the reason for its value."""

from __future__ import annotations

from itertools import pairwise

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.compat import Self

FEWEST_BLOCKS = 4
"""A max-margin line needs this many blocks with exchanges."""


class EstimatorSettings(BaseModel):
    """Everything that can be set. Every field has a default."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    rate_limit_ppm: float = Field(
        default=100_000.0,
        gt=0,
        le=100_000,
        description="ρ, ppm: no two RAW clocks run apart faster. What the exchanges prove narrows it; a "
        "smaller value is a promise that narrows the first seconds, given up if they contradict it.",
    )
    rate_usual_ppm: float = Field(
        default=200.0,
        gt=0,
        le=10_000,
        description="ppm: twice the ±100 ppm that network hardware may be off. Clocks that are proved to be "
        "farther apart are reported (clock_rate). Without RAW, where no rate is proved, it is the limit.",
    )
    wander_limit: float = Field(
        default=5e-7,
        gt=0,
        le=1e-3,
        description="κ, s^-1/2: within Δt the offset leaves its tangent by at most κ·Δt^1.5 seconds. Covers "
        "a housing put into cold water (21 ppm within half an hour); 5e-8 was measured to fail there.",
    )
    slew_limit_ppm: float = Field(
        default=500.0,
        ge=0,
        le=100_000,
        description="ppm: how fast a wall clock may be slewed, where exchanges carry no RAW clock; with RAW "
        "no bound rests on it. 500 is adjtime's and ntpd's limit; timesyncd reaches 50 000, chrony 83 333.",
    )
    step_min_ns: int = Field(
        default=500_000,
        ge=1_000,
        le=1_000_000_000,
        description="ns: a change of realtime - raw, beyond what slewing allows, that counts as a clock "
        "step. Smaller ones change nothing but the number of segments: the latest difference is always used.",
    )
    late_limit_s: float = Field(
        default=10.0,
        ge=0,
        le=600,
        description="s: an exchange older than the newest by more is refused. Messages overtake each other "
        "by one or two; a batch that is sent again carries sequence numbers already seen.",
    )
    block_s: float = Field(
        default=2.0,
        ge=0.5,
        le=10,
        description="s: of each block only the least upper and the greatest lower bound are kept. Dropping "
        "the others is safe, and 2 s is short beside the shortest window.",
    )
    windows_s: tuple[float, ...] = Field(
        default=(8, 12, 16, 24, 32, 44, 64, 90, 128, 180, 256, 360, 512, 720),
        min_length=2,
        description="s, rising: the window lengths, whole blocks. A factor of √2 apart; "
        "2 was measured to be too coarse.",
    )
    gap_s: float = Field(
        default=30.0,
        ge=5,
        le=600,
        description="s: after a longer silence the windows start again. A line drawn across it "
        "would claim an accuracy that was measured where there were exchanges.",
    )
    wander_typical: float = Field(
        default=3e-9,
        gt=0,
        le=1e-5,
        description="s^-1/2: frequency wander expected of a crystal before its own has been measured; it "
        "keeps long windows from being trusted on noise alone.",
    )
    wander_holdover: float = Field(
        default=1e-8,
        gt=0,
        le=1e-5,
        description="s^-1/2: the wander that u95 allows for while no exchange arrives: that of a slow "
        "warming, which only new exchanges could show.",
    )
    u95_factor: float = Field(
        default=1.27,
        gt=0,
        le=10,
        description="u95 = this · √(expected squared error). From simulation: the errors' tails are thinner "
        "than a normal law's (1.96), and the best of several windows is claimed.",
    )
    u95_doubt: float = Field(
        default=0.3,
        ge=0,
        le=10,
        description="How much u95² grows, relatively, while a window's error has been measured only n times: "
        "this / (n + 1/2).",
    )
    u95_warmup_s: float = Field(
        default=750.0,
        ge=0,
        le=86_400,
        description="s: u95² also grows by (this / time watched)², at most tenfold: a slow change of drift "
        "shows only after a while, and until then it is not known to be absent.",
    )
    u95_factor_smoother: float = Field(
        default=0.81,
        gt=0,
        le=10,
        description="u95_factor for a smoother window with as much after the instant as before: its line is "
        "surer in the middle than at the ends, where its error is measured. A session's own "
        "lines may show a greater one.",
    )
    asymmetry_share: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="u95 includes this share of half the least round trip, for ways whose least delays "
        "differ: an assumption. 3.9 % were measured over the internet, 0.8 % on a LAN; 0: none.",
    )
    asymmetry_ms: float = Field(
        default=0.0,
        ge=-10_000,
        le=10_000,
        description="ms: the least delay out less that back, where it is known; the offset is corrected by "
        "half of it. The hard bound does not move.",
    )
    forget_s: float = Field(
        default=1200.0,
        ge=60,
        le=86_400,
        description="s: time constant with which a window's measured error is forgotten: the sea, the "
        "traffic and the temperature change over a dive.",
    )

    @model_validator(mode="after")
    def _windows_of_whole_blocks(self) -> Self:
        blocks = [window_s / self.block_s for window_s in self.windows_s]
        rising = all(shorter < longer for shorter, longer in pairwise(blocks))
        if not rising or any(count % 1 for count in blocks) or blocks[0] < FEWEST_BLOCKS:
            raise ValueError(
                f"expected windows_s to rise from {FEWEST_BLOCKS} blocks on, in whole blocks of"
                f" {self.block_s:g} s, received {self.windows_s}"
            )
        return self

    @property
    def usual_rate(self) -> float:
        """The rate (ns/s) that is likely until the exchanges prove a greater one."""
        return min(self.rate_usual_ppm, self.rate_limit_ppm) * 1e3

    @property
    def asymmetry_ns(self) -> float:
        """How far (ns) the middle of the least delays lies above the offset: half of `asymmetry_ms`."""
        return self.asymmetry_ms * 1e6 / 2

    @property
    def window_blocks(self) -> list[int]:
        """The window lengths in blocks, rising."""
        return [round(window_s / self.block_s) for window_s in self.windows_s]
