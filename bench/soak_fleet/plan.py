"""What a soak does, and the names in it."""

from __future__ import annotations

from dataclasses import dataclass

VEHICLES = ("rov1", "rov2", "rov3")
NAMED_TWICE = VEHICLES[-1]
"""The only vehicle that gets namesakes: rows of such a name are `ambiguous`, and others are wanted too."""
TOPSIDES = ("port", "starboard")
"""`port` runs on this machine's clock and may be killed; `starboard` has a simulated clock. It is never
killed, so that its truth has no gap."""
RECORDER, DASHBOARD, BROKER = "recorder", "dashboard", "broker"
MISSION, SESSION = "soak", "s1"
ROOT = "tidesync"
RATE_HZ = 4.0
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Plan:
    """A session of `seconds`: a fault begins every `every_s`, or later, as soon as the last one is healed."""

    seconds: float = 3600.0
    seed: int = 1
    every_s: float = 5.0
    heal_s: float = 5.0
    """After a fault's end every pair must be measured again within this time."""
    browser: bool = False
    """Whether Chromium watches the dashboard."""
