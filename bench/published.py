"""Publishing a run: its small measurement files, without weights, are copied to where they can be committed."""

from __future__ import annotations

import shutil
from pathlib import Path

from bench.errors import BenchError
from bench.files import read_json, replacing

FILES = (
    "training.parquet",
    "validation.parquet",
    "sentences.parquet",
    "texts.json",
    "histograms.json",
    "run.json",
    "measurements.json",
)
CORPUS_FILES = ("card.json", "corpus.json")


def publish(results: Path, name: str) -> Path:
    """Copy the run ``name`` and its corpus card below ``results/published``; returns the folder of the run.

    Raises :class:`BenchError` for a run that is not finished or measured, and for one made by code that was
    not committed: such a number could not be traced.
    """
    source = results / "runs" / name
    run, measured = read_json(source / "run.json"), read_json(source / "measurements.json")
    for what, content in (("trained", run), ("measured", measured)):
        if content["provenance"]["dirty"]:
            raise BenchError(
                f"the run was {what} by code that differs from its commit {content['provenance']['code_version']}",
                where=source,
                remedy="commit, then run it again",
            )
    if measured["weights_sha256"] != run["files"]["model.safetensors"]:
        raise BenchError("the measurements are of other weights", where=source, remedy="evaluate the run again")
    target = results / "published" / "runs" / name
    for file in FILES:
        _copy(source / file, target / file)
    _, paper, corpus, *_ = Path(name).parts
    for file in CORPUS_FILES:
        at = Path(paper) / corpus / file
        _copy(results / "corpora" / at, results / "published" / "corpora" / at)
    return target


def _copy(source: Path, target: Path) -> None:
    if not source.exists():
        raise BenchError("file not found", where=source, remedy="run the step that makes it first")
    with replacing(target) as part:
        shutil.copyfile(source, part)
