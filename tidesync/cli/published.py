"""Crates are published: no command writes into one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidesync.errors import SettingsError
from tidesync.sessions.correction.walk import crate_of

if TYPE_CHECKING:
    from pathlib import Path


def check_outside(place: Path, instead: str) -> None:
    """SettingsError where `place` is in a crate's folder; `instead` says what to do."""
    if crate := crate_of(place):
        where = "it is a crate" if crate == place.resolve() else f"it is in the crate {crate}"
        raise SettingsError(f"{place}: {where}, which is published and stays as it is: {instead}")
