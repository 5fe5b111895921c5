"""What Python 3.10 lacks, under the names that later versions have in the standard library."""

from __future__ import annotations

import re
import sys
from datetime import datetime, timezone

from typing_extensions import Self

__all__ = ["UTC", "Self", "from_iso"]

UTC = timezone.utc
_READS_ALL = sys.version_info >= (3, 11)
_FRACTION = re.compile(r"[.,](\d+)")


def from_iso(text: str) -> datetime:
    """As `datetime.fromisoformat` of 3.11 reads it; 3.10 takes no `Z`, and fractions of 3 or 6 digits only.

    ValueError for what is no instant.
    """
    if _READS_ALL:
        return datetime.fromisoformat(text)
    plain = re.sub("[Zz]$", "+00:00", text)
    return datetime.fromisoformat(_FRACTION.sub(lambda found: "." + found[1][:6].ljust(6, "0"), plain))
