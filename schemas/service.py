"""What BlueOS asks a web service: who it is, for its menu, its list of services, and for Cockpit.

BlueOS: docs "Development › Extensions › Web Interface (HTTP Server)", and `ServiceMetadata` of its Helper
(core/services/helper/main.py), which asks each port for `/` and then for `/register_service`, with a second's
patience.
"""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict


class ServiceMetadata(BaseModel):
    """BlueOS's own keys; all but the last three are required."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    description: str
    icon: str
    """A name from Material Design Icons."""
    company: str
    version: str
    webpage: str
    api: str
    new_page: bool
    works_in_relative_paths: bool
    """BlueOS may show the page below `extension_path`."""
    extras: dict[str, str] = {}
    """`cockpit`: where below that path `cockpit_extras.json` is."""

    @property
    def extension_path(self) -> str:
        """Where BlueOS's web server has the page, as its Helper makes it from the name."""
        return f"/extensionv2/{re.sub(r'[^a-z0-9]', '', self.name.lower())}"
