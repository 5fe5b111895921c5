"""A finding: the verdict of one check, the sentence that says why, and advice."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Literal

Verdict = Literal["ok", "warn", "FAIL", "skipped"]
"""`warn`: it works, but not as well as it could; `skipped`: not checked, or not relevant here."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `tidesync doctor`."""

    check: str
    verdict: Verdict
    found: str
    advice: str | None = None
    """What to do about it; None where there is nothing to do."""
    of: str | None = None
    """The vehicle that it is about."""
    shared: str | None = None
    """What was found, without what is this vehicle's alone: the same for all of a group."""

    def document(self) -> dict[str, str | None]:
        """The finding as a JSON object."""
        return {key: value for key, value in asdict(self).items() if key not in {"of", "shared"}}

    def about(self, vehicle: str, shared: str | None = None) -> Finding:
        """The same, about this vehicle."""
        return replace(self, of=vehicle, shared=shared)


def ok(check: str, found: str) -> Finding:
    """All is well."""
    return Finding(check, "ok", found)


def warn(check: str, found: str, advice: str) -> Finding:
    """It works, but not as well as it could."""
    return Finding(check, "warn", found, advice)


def fail(check: str, found: str, advice: str) -> Finding:
    """It does not work."""
    return Finding(check, "FAIL", found, advice)


def skipped(check: str, found: str, advice: str | None = None) -> Finding:
    """It was not checked; `found` says why."""
    return Finding(check, "skipped", found, advice)
