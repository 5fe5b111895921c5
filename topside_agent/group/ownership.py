"""Which topside of a group measures a vehicle, pure: weighted rendezvous hashing.

Each topside has a score for each vehicle; the highest owns it, the second is its standby. Who comes or goes
moves its own vehicles only, and shares follow the weights. "Weighted Distributed Hash Tables", Schindelhauer
and Schomaker, SPAA 2005 (the logarithmic method).
"""

from __future__ import annotations

import math
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_BITS = 52
"""With a half added such a number is still exact as a float."""
_MOST_CACHED = 65_536


@lru_cache(_MOST_CACHED)
def _exponential(group: str, vehicle: str, topside: str) -> float:
    """A number above 0, distributed exponentially, the same in every process of every version of Python."""
    digest = blake2b(f"{group}/{vehicle}/{topside}".encode(), digest_size=8).digest()
    return -math.log(((int.from_bytes(digest, "big") >> (64 - _BITS)) + 0.5) / 2**_BITS)


def score(group: str, vehicle: str, topside: str, weight: float) -> float:
    """The score of `topside` for `vehicle`: -weight / ln(h), h the hash as a number in (0, 1)."""
    return weight / _exponential(group, vehicle, topside)


def ranked(group: str, vehicle: str, weights: Mapping[str, float]) -> list[str]:
    """The topsides in `weights`, by descending score for `vehicle`; equal scores go by name."""
    return sorted(weights, key=lambda topside: (-score(group, vehicle, topside, weights[topside]), topside))
