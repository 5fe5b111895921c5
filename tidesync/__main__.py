"""The entry point of `tidesync` and of `python -m tidesync`; the commands are in `command_line.py`."""

import importlib
import sys


def main() -> None:
    """Run the command line and exit; Ctrl-C while it is loaded ends it without a traceback."""
    try:
        command_line = importlib.import_module("tidesync.command_line")
    except KeyboardInterrupt:
        sys.exit(130)
    command_line.main()


if __name__ == "__main__":
    main()
