"""``python -m bench``: one command per step of the workflow."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    try:
        from bench.cli.main import main

        sys.exit(main())
    except KeyboardInterrupt:  # before or after the command
        sys.exit(130)
