"""What the workflow is asked for in these tests: tiny runs on the tiny corpus."""

from __future__ import annotations

import json
from typing import Any

from tests.conftest import CORPUS, TINY


def config(*systems: str, **settings: Any) -> list[str]:
    """The option that asks for these systems."""
    chosen = {**TINY, **settings}
    where = ["papers=coupled-vae", f"corpora={CORPUS}", f"systems={','.join(systems)}"]
    return ["--config", *where, f"settings={json.dumps(chosen)}"]
