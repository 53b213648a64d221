"""Results that were copied or moved: their times are put in order where their content says that they belong together.

Snakemake makes again what is older than what it was made from. A copy gives all files new times, in any order, and
what Snakemake has noted of files is not known at another place. So before it looks, an input that is newer than what
was made from it is dated back, if the record of what was made shows that it is of this very input.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from bench.base.settings import RunSettings
from bench.catalog.catalog import Catalog
from bench.store.freshness import WEIGHTS, Wanted, is_prepared, next_stage

TRAINED = (WEIGHTS, "training.parquet", "validation.parquet", "run.json")
PREPARED = ("vocabulary.json", "ids.safetensors", "card.json", "corpus.json")


def put_in_order(catalog: Catalog, runs: Iterable[RunSettings], results: Path, wanted: Wanted) -> None:
    """Date back the inputs of what is up to date among ``runs`` and their corpora; other files are left alone."""
    corpora = {}
    for run in runs:
        corpora[results / "corpora" / run.paper / run.corpus] = run
        _order_run(run, results, wanted)
    for folder, run in corpora.items():
        listing, made = results / "sources" / f"{run.corpus}.json", [folder / name for name in PREPARED]
        if (times := _late([listing], made)) and is_prepared(catalog.corpus(run.corpus), run.text, folder):
            _date_back(times)


def _order_run(run: RunSettings, results: Path, wanted: Wanted) -> None:
    folder = results / "runs" / run.name
    corpus = results / "corpora" / run.paper / run.corpus / "corpus.json"
    begun = [results / "runs" / run.start / "run.json"] if run.start else []
    timed = {stage: results / "logs" / stage / f"{run.name}.jsonl" for stage in ("train", "evaluate")}
    trained = [*(folder / name for name in TRAINED), *filter(Path.exists, [timed["train"]])]
    measured = [folder / "measurements.json", *filter(Path.exists, [timed["evaluate"]])]
    if not _late([corpus, *begun], trained) and not _late([corpus, folder / "run.json"], measured):
        return
    stage = next_stage(run, results, wanted)
    if stage is None:
        _date_back(_late([corpus, folder / "run.json"], measured))
    if stage != "train":  # after the evaluation, for which run.json may have been dated back
        _date_back(_late([corpus, *begun], trained))


def _late(inputs: Iterable[Path], outputs: Iterable[Path]) -> dict[Path, int]:
    """Those of the ``inputs`` that are newer than the oldest of the ``outputs``, with its time in nanoseconds.

    None where an output is not there.
    """
    times = [_time(path) for path in outputs]
    oldest = min((time for time in times if time is not None), default=0)
    if None in times:
        return {}
    return {path: oldest for path in inputs if (_time(path) or 0) > oldest}


def _time(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def _date_back(times: Mapping[Path, int]) -> None:
    for path, time in times.items():
        with contextlib.suppress(OSError):  # results of another user: Snakemake goes by their times
            os.utime(path, ns=(time, time))
