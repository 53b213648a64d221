"""What lies in a user's own folder under nearly the name of something that is read, which nothing else would tell."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bench.base.errors import BenchError, nearest

NAMES = ("systems.yaml", "questions.yaml", "papers", "corpora", "parts", "measures", "readers")
OF_PAPER = (
    *("paper.yaml", "tables.yaml", "reported.csv"),
    *("systems.yaml", "claims.yaml", "audits.yaml", "tiers.yaml", "paper.bib"),
)
NEARLY = 0.88  # one letter more, less or at another place; `systems-old.yaml` is a name of the user's own
SINGULAR = {"corpus": "corpora"}


def check_file_names(folder: Path) -> None:
    """Raise :class:`BenchError` for what somebody meant to be read: ``system.yaml``, ``corpus/``, ``mine.yml``."""
    _check(folder.iterdir(), NAMES)
    for paper in folder.glob("papers/*/"):
        _check(paper.iterdir(), OF_PAPER)
    for path in sorted(folder.glob("corpora/*.yml")):
        raise _unread(path, f"{path.stem}.yaml", ["*.yaml"])


def _check(paths: Iterable[Path], names: tuple[str, ...]) -> None:
    known = {Path(name).stem: name for name in names}
    for path in sorted(paths):
        if path.name in names or not (path.is_dir() or path.suffix in {".yaml", ".yml", ".py"}):
            continue
        stem = SINGULAR.get(path.stem, path.stem)
        if meant := nearest(stem, known, like=NEARLY):
            raise _unread(path, known[meant], names)


def _unread(path: Path, meant: str, names: Iterable[str]) -> BenchError:
    remedy = f"rename it: did you mean {meant!r}?"
    return BenchError("nothing reads a file or folder of this name", where=path, allowed=names, remedy=remedy)
