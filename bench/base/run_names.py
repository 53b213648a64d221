"""The names of runs: ``tier/paper/corpus/system/seedN``."""

from __future__ import annotations

import re

from bench.base.errors import BenchError

RUN_NAME = "TIER/PAPER/CORPUS/SYSTEM/seedN"
SEED_FOLDER = re.compile(r"seed(0|[1-9][0-9]*)")
EXAMPLE = "demo/coupled-vae/generated-clear/vae/seed0"


def parse_name(name: str) -> tuple[str, str, str, str, int]:
    """(tier, paper, corpus, system, seed) of a run's name. Raises :class:`BenchError` for another form."""
    *parts, seed = name.split("/")
    if len(parts) != 4 or not SEED_FOLDER.fullmatch(seed):
        raise BenchError(
            f"{name!r} is not the name of a run", allowed=[RUN_NAME], remedy=f"for example {EXAMPLE}"
        )
    tier, paper, corpus, system = parts
    return tier, paper, corpus, system, int(seed[4:])
