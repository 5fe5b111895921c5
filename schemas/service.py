"""The description of a web service that BlueOS requests, for its menu, its list of services, and Cockpit.

BlueOS: docs "Development › Extensions › Web Interface (HTTP Server)", and `ServiceMetadata` of its Helper
(core/services/helper/main.py), which requests `/` and then `/register_service` from each port, with a
time-out of 1 s.
"""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict


class ServiceMetadata(BaseModel):
    """BlueOS's own keys; all but the last three are required there."""

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
    """`cockpit`: the path of `cockpit_extras.json` below `extension_path`."""

    @property
    def extension_path(self) -> str:
        """The page's path at BlueOS's web server, which its Helper makes from the name."""
        return f"/extensionv2/{re.sub(r'[^a-z0-9]', '', self.name.lower())}"
