"""MkDocs' hooks: pages of the repository's root join those of `docs/`, and links lead to them there."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File
from pymdownx.slugs import slugify

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
OF_ROOT = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "clients/tidesync.ts")
_LINK = re.compile(r"(?<=\]\()[^)#\s:]+(?=[)#])")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Make headings' anchors as GitHub does."""
    config["mdx_configs"].setdefault("toc", {})["slugify"] = slugify(case="lower")
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is not in `docs/`."""
    published = (
        path.relative_to(ROOT).as_posix() for path in (ROOT / "schemas" / "published").glob("*.json")
    )
    for name in (*OF_ROOT, *published):
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    icon = ROOT / "tidesync" / "dashboard" / "page" / "icon.svg"
    files.append(File.generated(config, "icon.svg", abs_src_path=str(icon)))
    return files


def on_page_markdown(markdown: str, page: Page, **_others: object) -> str:
    """Rewrite links: the site has the pages of `docs/` beside those of the root."""
    name = page.file.src_uri
    here = posixpath.dirname(name)
    in_repository = here if name in OF_ROOT else posixpath.join("docs", here)

    def moved(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(in_repository, link[0]))
        return posixpath.relpath(target.removeprefix("docs/"), here or ".")

    return _LINK.sub(moved, markdown)
