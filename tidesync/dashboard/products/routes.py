"""The report, the corrected tables and the fused table of a stopped session, made on demand."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import FileResponse

from schemas.names import Session
from tidesync.dashboard.api import COMMAND_PROBLEMS, NOT_FOUND, Here
from tidesync.dashboard.commands import NotDoneError
from tidesync.dashboard.products.folder import KINDS, Kind, ProductFolder, session_folder
from tidesync.dashboard.products.jobs import ProductJobs, QueueFullError
from tidesync.dashboard.products.views import MakeProduct, ProductFile, ProductsView, ProductView

if TYPE_CHECKING:
    from pathlib import Path

    from tidesync.dashboard.products.views import ProductState

_MOST_LINES, _MOST_LINE_BYTES = 1000, 10_000
_REPORT_POLICY = (
    "sandbox allow-scripts allow-modals; default-src 'none'; script-src 'unsafe-inline';"
    " style-src 'unsafe-inline'; img-src data: blob:"
)
"""A report's scripts are in it; in a sandbox they are of no origin, and reach nothing of ours."""

_READING_PROBLEMS = NOT_FOUND | {status: COMMAND_PROBLEMS[status] for status in (403, 409)}

router = APIRouter(prefix="/api/sessions/{session}/products", tags=["products"])


def _products(session: Session, here: Here) -> tuple[ProductFolder, ProductJobs]:
    """The folder of a stopped session, and what makes its products; only where commands are allowed."""
    here.commands.check_allowed()
    jobs = here.products
    with here.subscriber.lock:
        entry = here.subscriber.fleet.session(session)
    folder = None if jobs is None or entry is None else session_folder(jobs.root, entry.state)
    if jobs is None or entry is None or folder is None:
        where = "is not in this dashboard's --root" if jobs else "this dashboard has no --root"
        raise NotDoneError(404, "not_found", f"the folder of session {session!r}: {where}")
    if entry.state.state != "stopped":
        raise NotDoneError(409, "refused", f"session {session!r} is not stopped")
    if entry.state.closing:
        raise NotDoneError(409, "refused", f"session {session!r} is still being written")
    return folder, jobs


Found = Annotated[tuple[ProductFolder, ProductJobs], Depends(_products)]


@router.get("", responses=_READING_PROBLEMS)
def products(session: Session, found: Found) -> ProductsView:
    """What was made of a stopped session, what is being made, and why something was not."""
    return ProductsView(session=session, products=tuple(_view(*found, kind) for kind in KINDS))


@router.post("/{kind}", status_code=202, responses=COMMAND_PROBLEMS | NOT_FOUND)
def make(kind: Kind, _body: MakeProduct, found: Found) -> ProductView:
    """Make it in the background, with the power that is left, while the recorder has room on the disk."""
    folder, jobs = found
    try:
        jobs.ask(folder, kind)
    except QueueFullError as error:
        raise NotDoneError(503, "too_many", str(error)) from error
    return _view(folder, jobs, kind)


@router.get("/{kind}/{name:path}", responses=_READING_PROBLEMS, response_class=Response)
def file(
    kind: Kind,
    name: str,
    found: Found,
    *,
    download: Annotated[bool, Query(description="As a file to keep")] = False,
    lines: Annotated[
        int | None, Query(ge=1, le=_MOST_LINES, description="Only so many lines of a table, as plain text")
    ] = None,
) -> Response:
    """A file by the name that the list has."""
    path = found[0].file(kind, name)
    if path is None:
        raise NotDoneError(404, "not_found", f"no file of that name was made: {name[:100]!r}")
    if kind == "report" and not download:
        return FileResponse(path, headers={"content-security-policy": _REPORT_POLICY})
    if lines is not None and path.suffix in {".csv", ".tsv", ".txt"}:
        return Response(_first(path, lines), media_type="text/plain; charset=utf-8")
    return FileResponse(path, media_type="application/octet-stream", filename=path.name)


def _first(path: Path, lines: int) -> bytes:
    with path.open("rb") as opened:
        return b"".join(islice(iter(lambda: opened.readline(_MOST_LINE_BYTES), b""), lines))


def _view(folder: ProductFolder, jobs: ProductJobs, kind: Kind) -> ProductView:
    job, files = jobs.job(folder, kind), folder.files(kind)
    state: ProductState = "ready" if files else "absent"
    if job is not None:
        state = "waiting" if job.progress is None else "making"
    return ProductView(
        kind=kind,
        state=state,
        progress=job.progress if job else None,
        problem=jobs.problem(folder, kind),
        made_unix_s=folder.made_s(kind) if files else None,
        files=tuple(ProductFile(name=name, bytes=size) for name, size in files.items()),
    )
