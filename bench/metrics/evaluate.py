"""Evaluation as a step of the workflow: from a run's best weights to its measurements on the test split."""

from __future__ import annotations

import contextlib
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from safetensors.torch import save_file

from bench.base.device import choose_device, prepare_process
from bench.base.errors import BenchError
from bench.base.files import read_json, remove_parts, sha256_file, write_json, write_with
from bench.base.identity import evaluation_versions
from bench.base.locks import locked
from bench.base.outputs import EVALUATORS, RUNS, claim
from bench.base.seeds import derive_seed
from bench.base.settings import RunSettings
from bench.base.upgrade import upgraded_record
from bench.corpora.prepared import Prepared
from bench.metrics.context import SPLIT, Context
from bench.metrics.measures import Measure, find_measure, measures
from bench.metrics.needs import asked, expected, wanted, wanted_here
from bench.metrics.record import Record
from bench.metrics.results import Results
from bench.store.changes import why_stale
from bench.store.freshness import (
    MEASUREMENTS,
    STATUS,
    WEIGHTS,
    failure_noted,
    is_evaluation_of,
    is_training_of,
    mark_of,
    recorded_settings,
    to_measure,
)
from bench.store.provenance import provenance
from bench.store.seal import changed_since, sealed
from bench.training.places import place_on

LATENTS = "latents.safetensors"
FILES = (MEASUREMENTS, "sentences.parquet", "texts.json", "histograms.json", LATENTS)


def evaluate_run(
    settings: RunSettings,
    corpora: Path,
    runs: Path,
    *,
    device: str,
    threads: int | None,
    evaluators: Path | None = None,
) -> dict[str, Any]:
    """Measure a trained run and write its measurement files; returns the content of ``measurements.json``.

    Only those measures are made that its files do not hold yet, or hold in another version; what the others made
    stays as it is. ``evaluators`` is the folder of the evaluators, by default beside ``runs``. Waits for another
    process that works on the run. Raises :class:`BenchError` if the run is not there, is damaged, or was trained
    on other data.
    """
    prepare_process(threads)
    folder = runs / settings.name
    read_json(
        folder / "run.json", absent=f"bench train {settings.name}"
    )  # without a run there is no folder to lock
    corpus = Prepared.load(corpora / settings.paper / settings.corpus)
    claim(runs, RUNS)
    evaluators = evaluators or runs.parent / "evaluators"
    if settings.evaluation.evaluators:
        claim(evaluators, EVALUATORS)
    # A place before the run, as a training takes them: who held the run and waited for a place could wait for ever.
    with place_on(device) as place, locked(folder, f"the evaluation of {settings.name}", wait=True):
        run = read_json(folder / "run.json")
        if not is_training_of(run, settings, runs):
            raise _other_training(run, settings, runs)
        check_run(run, corpus, folder)
        with failure_noted(folder, settings.name):
            made = _Evaluation(settings, corpus, run, folder, evaluators)
            return made.updated(place, threads)


def _other_training(run: dict[str, Any], settings: RunSettings, runs: Path) -> BenchError:
    """The error for a run that was trained otherwise than is asked for now, saying in what."""
    try:
        trained = recorded_settings(run)
    except ValidationError:
        trained = None
    again = f"train the run again: bench train {settings.name}"
    return BenchError(
        why_stale(run, trained, settings, runs),
        where=runs / settings.name,
        remedy=f"give the --settings that it was trained with, or {again}",
    )


def check_run(run: dict[str, Any], corpus: Prepared, folder: Path) -> None:
    """Raise :class:`BenchError` unless the weights in ``folder`` are those of ``run``, trained on this corpus."""
    again = f"train the run again: bench train {run['name']}"
    if run["data_hash"] != corpus.data_hash:
        raise BenchError("the run was trained on other data", where=folder, remedy=again)
    weights = folder / WEIGHTS
    if not weights.exists():
        raise BenchError("the weights of the run are not there", where=weights, remedy=again)
    found, expected = sha256_file(weights), run["files"][WEIGHTS]
    if found != expected:
        raise BenchError(
            f"damaged weights: expected sha256 {expected}, found {found}", where=folder, remedy=again
        )


class _Evaluation:
    """The measurements of one run, brought up to date in its folder."""

    def __init__(
        self, settings: RunSettings, corpus: Prepared, run: dict[str, Any], folder: Path, evaluators: Path
    ) -> None:
        self.settings, self.corpus, self.run, self.folder = settings, corpus, run, folder
        self.evaluators, self.began = evaluators, time.time()
        self.wanted: dict[str, Any] = {}
        if run["state"] == "finished":
            self.wanted = wanted_here(settings, read_json(corpus.folder / "corpus.json"))
        self.content, self.results = self._kept()

    def _kept(self) -> tuple[dict[str, Any] | None, Results | None]:
        """The record that is there and its results, if they are of this run; else whatever is there is removed."""
        remove_parts(self.folder)
        with contextlib.suppress(
            BenchError, OSError, ValueError, TypeError, KeyError
        ):  # then it is measured anew
            recorded = read_json(self.folder / MEASUREMENTS)
            content, whole = upgraded_record(recorded), not changed_since(recorded, self.folder)
            same = whole and content.get("state") == self.run["state"]
            if same and is_evaluation_of(content, self.run, self.settings):
                finished = content.get("state") == "finished"
                return content, Results.read(self.folder, content) if finished else None
        for name in (
            *FILES,
            STATUS,
        ):  # a run that is trained again and diverges must not keep those of before
            (self.folder / name).unlink(missing_ok=True)
        return None, None

    def updated(self, device: str, threads: int | None) -> dict[str, Any]:
        """Make the measures that are missing; returns the content of ``measurements.json``."""
        before = self.content
        names = to_measure(before, self.wanted)
        self._say_what_is_left()
        (self.folder / STATUS).unlink(missing_ok=True)
        if before is not None and not names:
            (self.folder / MEASUREMENTS).touch()  # the workflow goes by its time
            return before
        began, started = time.perf_counter(), datetime.now(UTC)
        place = choose_device(device)
        results = self._measured(names, place) if names else Results()
        content = self._record(results, place, threads, started)
        content["seconds"] = time.perf_counter() - began + (before or {}).get("seconds", 0.0)
        content = sealed(content, self.folder)
        write_json(self.folder / MEASUREMENTS, content)
        (self.folder / STATUS).unlink(missing_ok=True)
        return content

    def _say_what_is_left(self) -> None:
        """Name the measures whose library is not installed: `bench evaluate` makes them alone where it is."""
        every = wanted(self.settings, read_json(self.corpus.folder / "corpus.json")) if self.wanted else {}
        for name in (name for name in every if name not in self.wanted):
            library = find_measure(name).library
            what = f"is not measured by {name} here: {library} is not installed"
            print(f"{self.settings.name} {what}; where it is, bench evaluate goes on", file=sys.stderr)

    def _measured(self, names: list[str], device: torch.device) -> Results:
        """The results that were there with those of the measures ``names``, written to the tables."""
        context = Context(self.settings, self.corpus, self.folder, device, self.evaluators)
        words = context.texts.lengths.astype(np.int64)
        results = self.results or Results.empty(words)
        if self.content and set(names) & set(results.measures):
            results.drop(names)  # first, so that no record is left beside tables of another version
            left = {"measures": results.measures, "measurements": results.measurements}
            write_json(self.folder / MEASUREMENTS, sealed(self.content | left, self.folder))
        for place, name in enumerate(names):
            self._status(name, place, len(names))
            self._measure(find_measure(name), context, words, results)
        results.sort(measures())
        if context.model.encoder is not None and not (self.folder / LATENTS).exists():
            save = {key: value.cpu().contiguous() for key, value in context.latent.parameters.items()}
            write_with(self.folder / LATENTS, lambda path: save_file(save, path))
        results.write(self.folder)
        return results

    def _status(self, measure: str, done: int, of: int) -> None:
        """Say in a small file how far the evaluation is, for those who watch."""
        told = {"name": self.settings.name, "state": "evaluating", "measure": measure}
        write_json(self.folder / STATUS, told | {"done": done, "of": of, "began": self.began})

    def _measure(self, measure: Measure, context: Context, words: np.ndarray, results: Results) -> None:
        began = time.perf_counter()
        record = Record(measure, SPLIT, words, derive_seed(*context.noise("bootstrap")))
        try:
            measure.function(context, record)
        except ArithmeticError as error:  # one number without end must not cost the others
            what = f"the measure {measure.name} gives no more numbers: {type(error).__name__}: {error}"
            print(f"{self.settings.name} {what}", file=sys.stderr, flush=True)
        given = record.given()
        lacking = [one for one in expected(measure, context.met) if (one.metric, one.estimator) not in given]
        made = {
            "version": self.wanted[measure.name],
            "seconds": time.perf_counter() - began,
            "absent": [f"{one.metric} {one.estimator}" for one in lacking],
        }
        results.add(record, made)

    def _record(
        self, results: Results, device: torch.device, threads: int | None, started: datetime
    ) -> dict[str, Any]:
        before = self.content
        return {
            "name": self.settings.name,
            "identity": self.settings.identity,
            "mark": mark_of(self.settings, asked(self.settings)),
            "versions": evaluation_versions(),
            "evaluation": self.settings.evaluation.model_dump(mode="json"),
            "data_hash": self.corpus.data_hash,
            "state": self.run["state"],
            "reason": self.run["reason"],
            "weights_sha256": self.run["files"][WEIGHTS],
            "provenance": {
                **provenance(device=str(device), threads=threads or torch.get_num_threads()),
                "started": started.isoformat(timespec="seconds"),
                "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            },
            "earlier": [*before.get("earlier", ()), before["provenance"]] if before else [],
            "seconds": 0.0,
            "measures": results.measures,
            "measurements": results.measurements,
        }
