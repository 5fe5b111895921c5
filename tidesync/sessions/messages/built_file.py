"""Files that a library writes by their path: built under another name, then copied whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.files import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def built(output: Path) -> Iterator[Path]:
    """A path that is free, in a folder of its own; what is there when the block ends replaces `output`."""
    with tempfile.TemporaryDirectory(prefix=".tidesync-", dir=output.parent) as folder:
        path = Path(folder) / output.name
        yield path
        with path.open("rb") as source, replacing(output) as stream:
            shutil.copyfileobj(source, stream, 1 << 20)
