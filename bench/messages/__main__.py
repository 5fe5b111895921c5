"""`python -m bench.messages`: `tidesync correct` on a file of each format beside a plain pass over it.

Each pass is a process of its own, and all take turns. A ratio is of two passes of one round: what other
programs do at that time touches both.
"""

from __future__ import annotations

import os
import platform
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from bench.correction.session import DURATION_S, FAMILIES, make_session
from bench.estimators.traces import make_trace
from bench.messages import files
from bench.messages.document import document
from bench.messages.kinds import KINDS, Kind
from bench.tables import tell
from bench.used import Used, used_by

if TYPE_CHECKING:
    from collections.abc import Sequence

ONE_PASS, TWO_PASSES = FAMILIES
FEW = 200
"""Messages of a file that shows what a program's start takes."""
LEAST = 5_000
"""Records of a dataflash log whose attitudes show of which dive it is."""
PART = 4
"""Memory is compared with that of a file so many times smaller."""


class Figures(NamedTuple):
    """What was measured of a kind of file; each list has a value of each round."""

    kind: Kind
    bytes: int
    runs: dict[str, list[Used]]
    smaller: Used
    """Of `tidesync correct` on the smaller file, where that is read once or twice as the whole one."""


@click.command()
@click.option("--rounds", default=3, show_default=True, help="Each pass so often, in turn.")
@click.option("--share", default=1.0, show_default=True, help="Of the files' usual sizes.")
@click.option("--only", multiple=True, help="Kinds whose name begins so.")
@click.option("--markdown", type=click.Path(path_type=Path))
@click.option("--json", "json_path", type=click.Path(path_type=Path))
def main(
    rounds: int, share: float, only: Sequence[str], markdown: Path | None, json_path: Path | None
) -> None:
    """Measure, print and write the figures."""
    load = f"{os.getloadavg()[0]:.1f}"
    kinds = [each for each in KINDS if not only or each.name.startswith(tuple(only))]
    how: dict[str, Any] = {
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load": load,
        "rounds": rounds,
    }
    found: list[Figures] = []
    for kind in kinds:
        found.append(measured(kind._replace(messages=int(kind.messages * share)), rounds))
        if markdown:
            markdown.write_text(document(found, how), encoding="utf-8")
    figures = [
        {"name": each.kind.name, "bytes": each.bytes, "runs": each.runs, "smaller": each.smaller}
        for each in found
    ]
    tell({"how": how, "kinds": figures}, document(found, how), markdown, json_path)


def measured(kind: Kind, rounds: int) -> Figures:
    """All passes over files of a kind."""
    with tempfile.TemporaryDirectory() as folder:
        passes: dict[str, list[str]] = {}
        names = (ONE_PASS, TWO_PASSES) if kind.stepped else (ONE_PASS,)
        counts = {"whole": kind.messages, "few": FEW}
        for name, part in [*((name, "whole") for name in names), (ONE_PASS, "few")]:
            session = Path(folder) / f"{name}, {part}"
            file = made(session, name, kind, counts[part])
            passes[f"{name}, {part}"] = ours(session, file, kind)
            if name == ONE_PASS:
                beside = session / "flight.tlog" if "--since" in kind.options else Path(folder) / "copy"
                passes[f"plain, {part}"] = [
                    "bench.messages.plain",
                    file.suffix.lower(),
                    str(file),
                    str(beside),
                ]
        size = (Path(folder) / f"{ONE_PASS}, whole" / kind.file).stat().st_size
        session = Path(folder) / "smaller"
        file = made(session, names[-1], kind, kind.messages // PART)
        smaller = used_by(ours(session, file, kind), quiet=True)
        runs: dict[str, list[Used]] = {name: [] for name in passes}
        for _ in range(rounds):
            for name, command in passes.items():
                runs[name].append(used_by(command, quiet=True))
                click.echo(f"{kind.name}: {name}: {runs[name][-1]}", err=True)
        return Figures(kind, size, runs, smaller)


def made(session: Path, name: str, kind: Kind, count: int) -> Path:
    """A session of this clock, with a file of so many messages in it."""
    family = FAMILIES[name]
    make_session(session, family, 1)
    trace = make_trace(family, seed=1, duration_s=DURATION_S)
    if "--since" in kind.options:
        count = max(count, LEAST)
        files.write_tlog(session / "flight.tlog", trace, count // 10)
    path = session / kind.file
    kind.write(path, trace, count)
    return path


def ours(session: Path, file: Path, kind: Kind) -> list[str]:
    """The command that corrects it."""
    options = [str(session / each) if each == "flight.tlog" else each for each in kind.options]
    of_it = ["--file", str(file), "--vehicle", "rov1", *options]
    return ["tidesync", "-q", "correct", "--again", str(session), *of_it]


if __name__ == "__main__":
    main()
