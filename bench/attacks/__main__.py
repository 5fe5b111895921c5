"""`python -m bench.attacks [--part datagrams] FIGURES DOCUMENT`: put a run's table into the document."""

from __future__ import annotations

import json
from pathlib import Path

import click

from bench.attacks.document import PARTS, replaced


@click.command()
@click.option("--part", type=click.Choice(list(PARTS)), default="broker", show_default=True)
@click.argument("figures", type=click.Path(path_type=Path, exists=True))
@click.argument("document", type=click.Path(path_type=Path, exists=True))
def main(part: str, figures: Path, document: Path) -> None:
    """Put the table of FIGURES (JSON) into DOCUMENT (Markdown)."""
    run = json.loads(figures.read_text(encoding="utf-8"))
    made = replaced(document.read_text(encoding="utf-8"), run, PARTS[part])
    document.write_text(made, encoding="utf-8")


main()
