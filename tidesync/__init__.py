"""The command line `tidesync …` and the demo."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("tidesync")
except PackageNotFoundError:  # run from a source tree that nobody installed
    __version__ = "0.0.0+source"
