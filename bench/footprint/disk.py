"""What `pip install tidesync-pi` brings to a disk, distribution by distribution."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class Installed(NamedTuple):
    """One distribution, with the bytecode that pip makes of it."""

    name: str
    version: str
    size_mb: float


def install() -> list[Installed]:
    """Install the locked closure into a folder of its own, the largest first."""
    with tempfile.TemporaryDirectory(prefix="bench-footprint-") as made:
        pip = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--target",
            made,
        ]
        subprocess.run([*pip, "--require-hashes", "-r", str(ROOT / "requirements" / "pi.lock")], check=True)
        subprocess.run([*pip, "--no-deps", str(ROOT / "distributions/tidesync-pi")], check=True)
        found = [_sized(distribution, Path(made)) for distribution in distributions(path=[made])]
    return sorted(found, key=lambda installed: -installed.size_mb)


def _sized(distribution: Distribution, folder: Path) -> Installed:
    files = [folder / file for file in distribution.files or ()]
    size = sum(path.stat().st_size for path in files if path.is_file())
    return Installed(distribution.metadata["Name"], distribution.version, size / 1e6)
