"""Publishing a run: its small files, without the weights, are copied to where they can be committed."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.base.errors import BenchError
from bench.base.files import read_json, replacing, sha256_file, write_json
from bench.base.outputs import RESULTS, claim
from bench.base.run_names import parse_name
from bench.store.freshness import WEIGHTS
from bench.store.seal import TABLES as EVALUATION
from bench.store.seal import changed_since, is_sealed, sealed
from bench.store.shown import read_shown

TRAINING = ("training.parquet", "validation.parquet")
LAST = ("run.json", "measurements.json")
CORPUS_FILES = ("card.json", "corpus.json")


def publish(results: Path, name: str) -> Path:
    """Copy the run ``name`` and its corpus card below ``results/published``; returns the folder of the run.

    Raises :class:`BenchError` for a run that is not finished or measured, for one whose files are not those
    that it wrote, and for one made by code that was not committed: such a number could not be traced.
    """
    _, paper, corpus, _, _ = parse_name(name)
    source, target = results / "runs" / name, results / "published" / "runs" / name
    run, measured = _read(source, "run.json", "train"), _read(source, "measurements.json", "evaluate")
    for what, content in (("trained", run), ("measured", measured)):
        _check_code(what, [content["provenance"], *content.get("earlier", ())], source)
    if measured["weights_sha256"] != run["files"][WEIGHTS]:
        raise BenchError(
            "the measurements are of other weights", where=source, remedy="evaluate the run again"
        )
    if fault := changed_since(measured, source):
        raise BenchError(fault, where=source, remedy=f"bench evaluate {name}")
    files = (*TRAINING, *(EVALUATION if run["state"] == "finished" else ()), *LAST)
    copies = [(source / file, target / file) for file in files]
    at = Path("corpora", paper, corpus)
    copies += [(results / at / file, results / "published" / at / file) for file in CORPUS_FILES]
    _check(copies, run["files"])
    claim(results, RESULTS)
    for original, copy in copies:
        with replacing(copy) as part:
            shutil.copyfile(original, part)
    if run["state"] == "finished" and read_json(results / at / "corpus.json")["exact"] is None:
        texts = target / "texts.json"
        # sentences of the corpus are not ours to publish; the models' own stay
        write_json(texts, [one.without_corpus().model_dump() for one in read_shown(read_json(texts))])
        if is_sealed(measured):
            write_json(target / "measurements.json", sealed(measured, target))
    return target


def _check_code(what: str, made: Sequence[Mapping[str, Any]], where: Path) -> None:
    """Raise unless all code that made a document is that of a known commit."""
    for by in made:
        commit = str(by["code_version"])
        if by["dirty"] is None or not re.fullmatch("[0-9a-f]{40}", commit):
            problem = "code whose commit is not known: git does not say it"
        elif by["dirty"]:
            problem = f"code that differs from its commit {commit}"
        else:
            continue
        remedy = "run it again from a clean checkout"
        raise BenchError(f"the run was {what} by {problem}", where=where, remedy=remedy)


def _read(folder: Path, file: str, command: str) -> dict[str, Any]:
    if not (folder / file).exists():
        raise BenchError(
            f"there is no {file} of this run", where=folder, remedy=f"first: bench {command} RUN"
        )
    content: dict[str, Any] = read_json(folder / file)
    return content


def _check(copies: list[tuple[Path, Path]], hashes: dict[str, str]) -> None:
    """All files are there, before the first is copied, and are those that the training wrote."""
    for source, _ in copies:
        if not source.exists():
            raise BenchError("file not found", where=source, remedy="run the step that makes it again")
        expected = hashes.get(source.name)
        if expected is not None and sha256_file(source) != expected:
            raise BenchError(
                "the file is not the one that the run wrote", where=source, remedy="train the run again"
            )
