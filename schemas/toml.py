"""The TOML reader: the standard library's, for Python 3.10 the library that it was made from."""

from __future__ import annotations

import sys

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["tomllib"]
