"""`GET /api/sync/time`: what the clock shows now; `app.include_router(router)` adds it to any FastAPI app."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel

from runtime.clock import Clock, SystemClock, asleep_s
from runtime.version import VERSION
from schemas.instants import utc_from_ns


class TimeReply(BaseModel):
    """The consumer's reply, key for key. Both instants are one reading of realtime, cut to their unit."""

    pi_iso: str
    pi_unix_ms: int
    container_version: str
    schema_version: Literal[1]


_system_clock = SystemClock()

router = APIRouter(tags=["time"])


async def served_clock() -> Clock:
    """The clock that is served: the system's, unless the app overrides this dependency."""
    return _system_clock


@router.get("/api/sync/time")
async def sync_time(clock: Annotated[Clock, Depends(served_clock)], response: Response) -> TimeReply:
    """What the clock shows, in ISO 8601 and in milliseconds since the Unix epoch."""
    await asyncio.sleep(asleep_s(clock))
    response.headers["Cache-Control"] = "no-store"
    return time_reply(clock.realtime_ns())


def time_reply(realtime_ns: int) -> TimeReply:
    """The reply for one reading of realtime, ns since the Unix epoch."""
    return TimeReply(
        pi_iso=utc_from_ns(realtime_ns).isoformat(timespec="microseconds"),
        pi_unix_ms=realtime_ns // 1_000_000,
        container_version=VERSION,
        schema_version=1,
    )
