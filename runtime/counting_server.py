"""A web server whose event loop a watchdog can see; needs uvicorn, which the roles that serve HTTP bring."""

from __future__ import annotations

from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    from runtime.loop import Loop


class CountingServer(uvicorn.Server):
    """Counts the turns of its event loop, ten a second, so that the watchdog sees it come round."""

    def __init__(self, config: uvicorn.Config, loop: Loop) -> None:
        super().__init__(config)
        self._loop = loop

    async def on_tick(self, counter: int) -> bool:
        """Called by `main_loop`; whether to end."""
        self._loop.turns += 1
        return await super().on_tick(counter)
