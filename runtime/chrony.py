"""How fast chronyd may slew the clock: `maxslewrate` of its configuration, chrony.conf(5)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CONFIGURATIONS = (Path("/etc/chrony/chrony.conf"), Path("/etc/chrony.conf"))
DEFAULT_PPM = 83_333.333
"""Where the configuration names no `maxslewrate`."""
_MOST_INCLUDES = 8


def configured(
    arguments: Sequence[str], configurations: Sequence[Path] = CONFIGURATIONS
) -> tuple[Path, float] | None:
    """The configuration in use and its `maxslewrate`, ppm; None where there is none, OSError if unreadable.

    `arguments` are those of the running chronyd: a `-f FILE` among them comes first.
    """
    named = [Path(arguments[at + 1]) for at, word in enumerate(arguments[:-1]) if word == "-f"]
    for path in (*named[:1], *configurations):
        try:
            return path, max_slew_ppm(path)
        except FileNotFoundError:
            continue
    return None


def max_slew_ppm(configuration: Path) -> float:
    """The `maxslewrate` in force, included files considered; OSError when the file cannot be read."""
    rate_ppm = DEFAULT_PPM
    for directive, values in _directives(configuration, _MOST_INCLUDES):
        if directive == "maxslewrate" and values:
            try:
                rate_ppm = float(values[0])
            except ValueError:
                continue  # chronyd does not start with such a line
    return rate_ppm


def _directives(path: Path, depth: int) -> Iterator[tuple[str, list[str]]]:
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        words = line.split()
        if not words or words[0][0] in "#%;!":
            continue
        directive, values = words[0].lower(), words[1:]
        yield directive, values
        if depth and directive in {"include", "confdir"}:
            for included in _included(directive, values):
                yield from _directives(included, depth - 1)


def _included(directive: str, values: list[str]) -> list[Path]:
    """`include` takes a pattern; `confdir` folders: of *.conf with one name, the first folder's counts."""
    if directive == "include":
        return [
            path
            for value in values[:1]
            for path in sorted(Path("/").glob(value.lstrip("/")))
            if path.is_file()
        ]
    found: dict[str, Path] = {}
    for value in values:
        for path in Path(value).glob("*.conf"):
            found.setdefault(path.name, path)
    return [found[name] for name in sorted(found)]
