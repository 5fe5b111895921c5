"""The page's files: our own beside this module, and Plotly's script from its Python package, packed once."""

from __future__ import annotations

import gzip
import importlib.util
from functools import cache
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Header, Response
from fastapi.responses import FileResponse

FOLDER = Path(__file__).parent / "page"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FILES = {path.name: path for path in sorted(FOLDER.iterdir()) if path.suffix in _TYPES}
_FRESH = {"cache-control": "no-cache"}
"""The browser keeps them, and asks whether they are still the same."""

router = APIRouter(include_in_schema=False)


@router.get("/")
async def index() -> Response:
    """The page."""
    return _file(_FILES["index.html"])


@router.get("/favicon.ico")
async def icon() -> Response:
    """For browsers that ask for it of themselves."""
    return _file(_FILES["icon.svg"])


@router.get("/page/plotly.min.js")
def plotly(accept_encoding: Annotated[str, Header()] = "") -> Response:
    """Plotly's script: 4.7 MB, a third of it when packed."""
    if "gzip" not in accept_encoding:
        return FileResponse(_plotly_path(), media_type="text/javascript", headers=_FRESH)
    headers = {"content-encoding": "gzip", "vary": "accept-encoding", "cache-control": "max-age=3600"}
    return Response(_packed_plotly(), media_type="text/javascript", headers=headers)


@router.get("/page/{name}")
async def file(name: str) -> Response:
    """One of the page's own files."""
    path = _FILES.get(name)
    return Response(status_code=404) if path is None else _file(path)


def _file(path: Path) -> Response:
    return FileResponse(path, media_type=_TYPES[path.suffix], headers=_FRESH)


def _plotly_path() -> Path:
    """Found without importing Plotly, which takes a second."""
    spec = importlib.util.find_spec("plotly")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("plotly is not installed", name="plotly")
    return Path(spec.origin).parent / "package_data" / "plotly.min.js"


@cache
def _packed_plotly() -> bytes:
    return gzip.compress(_plotly_path().read_bytes(), 6, mtime=0)
