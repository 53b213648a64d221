"""``python -m bench``: one command per step of the workflow."""

from __future__ import annotations

import sys

from bench.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
