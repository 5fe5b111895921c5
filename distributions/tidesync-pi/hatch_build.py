"""Takes the packages from the repository's root, or from beside this file in an unpacked sdist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Parts(BuildHookInterface[Any]):
    """Adds `parts` of pyproject.toml to wheel and sdist; an editable install finds them by path."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Map each part to its place below site-packages."""
        here = Path(self.root)
        source = here if (here / "schemas").is_dir() else here.parents[1]
        if version != "editable":
            build_data["force_include"].update({str(source / part): part for part in self.config["parts"]})
