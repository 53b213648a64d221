"""The names of runs, ``tier/paper/corpus/system/seedN``, and the folders that bear them."""

from __future__ import annotations

import re
from pathlib import Path

from bench.base.errors import BenchError

RUN_NAME = "TIER/PAPER/CORPUS/SYSTEM/seedN"
SEED_FOLDER = re.compile(r"seed(0|[1-9][0-9]*)")
EXTERNAL = "external"  # in a results folder: numbers of other code, the name of the code in place of a tier
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


def run_names(root: Path) -> list[str]:
    """Names of the run folders below ``root``."""
    return [name for name in folders_like_runs(root) if SEED_FOLDER.fullmatch(name.rpartition("/")[2])]


def folders_like_runs(root: Path) -> list[str]:
    """Those folders below ``root``, and others whose names only begin like those of seeds."""
    return [str(f.relative_to(root)) for f in sorted(root.glob("*/*/*/*/seed*")) if f.is_dir()]


def external_files(results: Path) -> list[Path]:
    """The files of numbers that other code made: those at their place, behind a link too, and those at a wrong one."""
    root = results / EXTERNAL
    placed = (root / name / "measurements.json" for name in run_names(root))
    return sorted({*root.rglob("*.json"), *(path for path in placed if path.exists())})
