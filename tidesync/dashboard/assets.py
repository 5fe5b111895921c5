"""The page's files: our own beside this module, and Plotly's script, compressed once."""

from __future__ import annotations

import gzip
import mimetypes
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Header, Response
from fastapi.responses import FileResponse
from starlette.staticfiles import StaticFiles

from tidesync.plotly import SCRIPT

if TYPE_CHECKING:
    from starlette.responses import Response as StarletteResponse

FOLDER = Path(__file__).parent / "page"
_REVALIDATE = {"cache-control": "no-cache"}
"""The browser keeps them, and asks whether they are still the same."""
mimetypes.add_type("text/javascript", ".js")  # Windows' registry may have another, and browsers refuse it

router = APIRouter(include_in_schema=False)


class PageFiles(StaticFiles):
    """The files of `page/`."""

    def __init__(self) -> None:
        super().__init__(directory=FOLDER)

    def file_response(self, *arguments: Any, **options: Any) -> StarletteResponse:
        """The file, or that it is unchanged."""
        response = super().file_response(*arguments, **options)
        response.headers.update(_REVALIDATE)
        return response


@router.get("/")
async def index() -> Response:
    """The page."""
    return FileResponse(FOLDER / "index.html", headers=_REVALIDATE)


@router.get("/favicon.ico")
async def icon() -> Response:
    """For browsers that ask for it by default."""
    return FileResponse(FOLDER / "icon.svg", headers=_REVALIDATE)


@router.get("/page/plotly.min.js")
def plotly(accept_encoding: Annotated[str, Header()] = "") -> Response:
    """Plotly's script: 1.1 MB, a third of it when compressed."""
    if "gzip" not in accept_encoding:
        return FileResponse(SCRIPT, media_type="text/javascript", headers=_REVALIDATE)
    headers = {"content-encoding": "gzip", "vary": "accept-encoding", "cache-control": "max-age=3600"}
    return Response(_compressed_plotly(), media_type="text/javascript", headers=headers)


@cache
def _compressed_plotly() -> bytes:
    return gzip.compress(SCRIPT.read_bytes(), 6, mtime=0)
