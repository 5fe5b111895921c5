"""`python -m bench.attacks FIGURES DOCUMENT`: put a run's table into the document."""

from __future__ import annotations

import json
from pathlib import Path

import click

from bench.attacks.document import replaced


@click.command()
@click.argument("figures", type=click.Path(path_type=Path, exists=True))
@click.argument("document", type=click.Path(path_type=Path, exists=True))
def main(figures: Path, document: Path) -> None:
    """Put the table of FIGURES (JSON) into DOCUMENT (Markdown)."""
    made = replaced(document.read_text(encoding="utf-8"), json.loads(figures.read_text(encoding="utf-8")))
    document.write_text(made, encoding="utf-8")


main()
