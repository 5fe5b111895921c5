"""`GET /docs`: what a service answers, as a page that loads nothing: boats have no internet."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="description" content="{summary}"><title>{title}: HTTP interface</title>
<style>
body {{ font: 16px/1.45 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 12px 16px;
  overflow-wrap: anywhere; }}
h1 {{ font-size: 1.6rem; }}
h2 {{ font-size: 1rem; margin: 1.6rem 0 0.3rem; }}
dl, p {{ margin: 0.3rem 0; }}
dd {{ margin-left: 1.2rem; }}
</style></head>
<body><h1>{title}: HTTP interface</h1>
{about}
<p>Version {version}. For programs: <a href="openapi.json">openapi.json</a>.</p>
{paths}
</body></html>
"""

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'self'"

router = APIRouter(include_in_schema=False)


@router.get("/docs", response_class=HTMLResponse)
async def docs(request: Request) -> HTMLResponse:
    """The page about the app that serves this request."""
    return HTMLResponse(page(request.app.openapi()), headers={"content-security-policy": _POLICY})


def page(document: Mapping[str, Any]) -> str:
    """An OpenAPI document as HTML."""
    info = document["info"]
    about = info.get("description", "")
    return _PAGE.format(
        title=escape(info["title"]),
        version=escape(info["version"]),
        summary=escape(about.partition("\n")[0]),
        about=_paragraphs(about),
        paths="\n".join(_operations(document)),
    )


def _operations(document: Mapping[str, Any]) -> Iterator[str]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield f"<h2><code>{method.upper()} {escape(path)}</code></h2>"
            yield _paragraphs(operation.get("description", operation.get("summary", "")))
            rows = [*_parameters(operation), *_body(operation), *_answers(operation)]
            yield f"<dl>{''.join(rows)}</dl>" if rows else ""


def _parameters(operation: Mapping[str, Any]) -> Iterator[str]:
    for parameter in operation.get("parameters", ()):
        name = f"{parameter['in']} <code>{escape(parameter['name'])}</code>"
        yield _row(name, parameter.get("description", ""))


def _body(operation: Mapping[str, Any]) -> Iterator[str]:
    if "requestBody" in operation:
        yield _row("body", _schemas(operation["requestBody"]))


def _answers(operation: Mapping[str, Any]) -> Iterator[str]:
    for status, answer in operation.get("responses", {}).items():
        described = [answer.get("description", ""), _schemas(answer)]
        yield _row(f"answer {escape(status)}", " ".join(filter(None, described)))


def _schemas(part: Mapping[str, Any]) -> str:
    """The content's kinds, and the names of their schemas."""
    found = []
    for kind, content in part.get("content", {}).items():
        name = str(content.get("schema", {}).get("$ref", "")).rpartition("/")[2]
        found.append(f"{kind}: {name}" if name else kind)
    return f"({', '.join(found)})" if found else ""


def _row(name: str, text: str) -> str:
    return f"<dt>{name}</dt><dd>{escape(text)}</dd>"


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{escape(' '.join(part.split()))}</p>" for part in text.split("\n\n") if part.strip())
