"""``python -m bench``, and the command ``bench``: one command per step of the workflow."""

from __future__ import annotations

import sys


def main() -> int:
    """The command line, which is interrupted without a traceback while it is being imported, too."""
    try:
        from bench.cli.main import main as command_line

        return command_line()
    except KeyboardInterrupt:  # before or after the command
        return 130


if __name__ == "__main__":
    sys.exit(main())
