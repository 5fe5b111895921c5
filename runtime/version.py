"""The version of the installed distribution."""

from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version


def _installed() -> str:
    for name in ("tidesync-pi", "tidesync"):  # they have the same
        with suppress(PackageNotFoundError):
            return version(name)
    return "0.0.0+source"  # run from a source tree that is not installed


VERSION = _installed()
