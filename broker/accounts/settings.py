"""Where accounts are kept."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from schemas.names import Root


class AccountSettings(BaseModel):
    """The production broker's folder, and below which root its accounts may speak."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path = Field(Path("/mosquitto/config"), description="Folder that the broker reads")
    topic_root: Root | None = Field(
        None, description="First level(s) of every topic  [default: the accounts' own, else tidesync]"
    )
