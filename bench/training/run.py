"""One training run as a step of the workflow: from a prepared corpus to a run folder."""

from __future__ import annotations

import contextlib
import gc
import resource
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas
import torch
from safetensors.torch import load_file, save_file

from bench.base.device import choose_device, prepare_process
from bench.base.errors import BenchError
from bench.base.files import read_json, remove_parts, sha256_file, write_json, write_with
from bench.base.identity import training_versions
from bench.base.locks import locked
from bench.base.outputs import EVALUATORS, RUNS, STATE, claim, require_ours
from bench.base.settings import RunSettings
from bench.corpora.prepared import Prepared
from bench.models.precision import in_words
from bench.store.freshness import (
    STATUS,
    WEIGHTS,
    begun_as_now,
    failure_noted,
    recorded_identity,
    state_folder,
    trained_record,
)
from bench.store.provenance import provenance
from bench.training import state as saved
from bench.training.log import Diverged
from bench.training.loop import OutOfMemory, Trainer
from bench.training.passed import Checked
from bench.training.places import place_on
from bench.training.self_check import ensured
from bench.training.vectors import give_vectors

FILES = (WEIGHTS, "training.parquet", "validation.parquet")


def train_run(
    settings: RunSettings,
    corpora: Path,
    out: Path,
    state: Path,
    *,
    device: str,
    threads: int | None,
    wait: bool = False,
    again: bool = True,
) -> dict[str, Any]:
    """Train one run and write its folder below ``out``; returns the content of ``run.json``.

    A run whose loss diverges is finished too: its state says so. One whose memory does not hold a batch goes
    on from its last checkpoint with batches in smaller parts. Raises :class:`BenchError` when another process
    trains the same run, unless told to ``wait`` for it and to take what it leaves; passes on what stops the
    process after saving the state. Without ``again`` a run that is trained already is left as it is.
    """
    prepare_process(threads)
    corpus = Prepared.load(corpora / settings.paper / settings.corpus)
    if corpus.rules != settings.text:
        raise BenchError(
            "the corpus was prepared under other rules than this run has",
            where=corpus.folder,
            remedy=f"prepare it again: bench prepare {settings.paper} {settings.corpus}, with the same --settings",
        )
    corpus.require(settings.conditions, who=settings.name)
    require_ours(state, STATE)  # before ``out`` is marked
    out = claim(out, RUNS)
    folder = state_folder(claim(state, STATE), settings, corpus.data_hash)
    with place_on(device) as place, locked(folder, settings.name, wait=wait) as waited:
        content = _already_there(settings, corpus, out) if waited or not again else None
        if content is not None and not waited:
            print(f"{settings.name} is trained already: --again trains it again", file=sys.stderr)
        if content is None:
            with failure_noted(folder, settings.name):
                checked = ensured(place)
                trainer, reason = _trained(settings, corpus, folder, choose_device(place), out, checked)
                with locked(out / settings.name, f"the files of {settings.name}", wait=True):
                    content = _write(trainer, corpus, out / settings.name, reason, threads)
        _forget(folder)
    return content


def _forget(folder: Path) -> None:
    """Remove the resumable state of a run that needs it no more."""
    remove_parts(folder)
    for name in (saved.FILE, STATUS, ".lock"):
        (folder / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # it holds what is not ours
        folder.rmdir()


def _already_there(settings: RunSettings, corpus: Prepared, runs: Path) -> dict[str, Any] | None:
    """The content of ``run.json``, if this very training is finished and all that it wrote is there."""
    found, folder = trained_record(settings, runs, corpus.data_hash), runs / settings.name
    if found is None or not all((folder / name).exists() for name in FILES):
        return None
    return found if found["files"] == {name: sha256_file(folder / name) for name in FILES} else None


def _trained(
    settings: RunSettings,
    corpus: Prepared,
    folder: Path,
    device: torch.device,
    runs: Path,
    checked: Checked | None = None,
) -> tuple[Trainer, str | None]:
    """The run at its last step, or where its loss diverged, with the reason."""
    accumulation, without = None, None
    while True:
        trainer = Trainer(settings, corpus, folder, device, without_recordings=without, checked=checked)
        if not begun_as_now(trainer.progress.begun_with, runs):
            start = trainer.settings.start
            trainer.reporter.say(f"starts again from its first step: {start} has other weights now")
            (folder / saved.FILE).unlink()
            continue
        if not trainer.begun:
            _give_vectors(trainer, corpus, runs)
            initial = saved.clone(trainer.model.state_dict())
            _begin(trainer, runs)
            trainer.prepare(initial)
        if accumulation is not None:
            trainer.progress.accumulation = {"from_step": trainer.progress.step + 1, **accumulation}
        try:
            trainer.train()
        except Diverged as error:
            trainer.reporter.say(f"diverged: {error}")
            return trainer, str(error)
        except OutOfMemory as error:
            if trainer.update.recordings:  # with their memory a whole batch may fit
                without = str(error)
                trainer.reporter.say(f"{error}, recordings held: goes on without CUDA graphs")
            else:
                accumulation = {"parts": trainer.smaller_parts(), "reason": str(error)}
                trainer.reporter.say(f"{error}: goes on with each batch in {accumulation['parts']} parts")
        else:
            return trainer, None
        del trainer  # with its memory, before another is made
        _release(device)


def _release(device: torch.device) -> None:
    """Give back the memory of what is used no more."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _give_vectors(trainer: Trainer, corpus: Prepared, runs: Path) -> None:
    """Give the words of the model their vectors, where its settings name what has them."""
    if trainer.settings.initial.vectors is not None:
        evaluators = claim(runs.parent / "evaluators", EVALUATORS)
        trainer.progress.vectors = give_vectors(trainer.model, trainer.settings, corpus, evaluators)


def _begin(trainer: Trainer, runs: Path) -> None:
    """Give the model the trained modules that its system begins with."""
    start, name = trainer.settings.starts_from, trainer.settings.start
    if start is None or name is None:
        return
    folder = runs / name
    remedy = f"train it first: bench train {name}"
    if not (folder / "run.json").exists():
        raise BenchError(f"{trainer.settings.name} begins with another run", where=folder, remedy=remedy)
    first = read_json(folder / "run.json")
    if recorded_identity(first, runs) != start.identity:
        raise BenchError("the run to begin with has another configuration", where=folder, remedy=remedy)
    if sha256_file(folder / WEIGHTS) != first["files"][WEIGHTS]:
        raise BenchError("the weights to begin with are damaged", where=folder, remedy=remedy)
    weights = load_file(folder / WEIGHTS)
    own = trainer.model.state_dict()
    for module in start.modules:
        wanted = {key: value.shape for key, value in own.items() if key.startswith(f"{module}.")}
        found = {key: weights[key] for key in wanted if key in weights and weights[key].shape == wanted[key]}
        if not wanted or len(found) < len(wanted):
            raise BenchError(f"no module {module!r} to begin with", where=folder, allowed=sorted(weights))
        own |= found
    trainer.model.load_state_dict(own)
    trainer.progress.begun_with = {"run": name, "weights_sha256": first["files"][WEIGHTS]}


def _write(
    trainer: Trainer, corpus: Prepared, folder: Path, reason: str | None, threads: int | None
) -> dict[str, Any]:
    """Write weights, tables and, last, ``run.json``; the caller holds a lock on ``folder``, as an evaluation does."""
    progress, settings = trainer.progress, trainer.settings
    weights = trainer.best or trainer.composition.state_dict()
    remove_parts(folder)
    for name in ("run.json", STATUS):  # a failed evaluation was that of other weights
        (folder / name).unlink(missing_ok=True)
    write_with(
        folder / WEIGHTS, lambda path: save_file({k: v.contiguous() for k, v in weights.items()}, path)
    )
    for name, rows in (("training", progress.history), ("validation", progress.validations)):
        write_with(folder / f"{name}.parquet", pandas.DataFrame(rows).to_parquet)
    content = {
        "name": settings.name,
        "identity": settings.identity,
        "training_identity": settings.training_identity,
        "versions": training_versions(settings),
        "settings": settings.model_dump(mode="json"),
        "data_hash": corpus.data_hash,
        "begun_with": progress.begun_with,
        "vectors": progress.vectors,
        "state": "finished" if reason is None else "diverged",
        "reason": reason,
        "steps": progress.step,
        "epochs": progress.history[-1]["epoch"] if progress.history else 0.0,
        "best": progress.best,
        "parameters": trainer.composition.counts(),
        "cost": {
            "seconds": progress.seconds + progress.validation_seconds,
            "validation_seconds": progress.validation_seconds,
            "processor_seconds": progress.processor_seconds,
            "peak_memory_mb": _peak_memory(trainer.device),
            "tokens_per_second": progress.tokens / max(progress.seconds, 1e-9),
            "attempts": progress.attempts,
        },
        "provenance": {
            **provenance(device=str(trainer.device), threads=threads or torch.get_num_threads()),
            "precision": in_words(trainer.model, trainer.dtype),
            "accumulation": progress.accumulation,
            "replayed_updates": trainer.update.replays,  # since the last resume
            "without_graphs": trainer.update.fell_back,  # why, where updates should have been replayed
            **({"self_check": trainer.checked.record()} if trainer.checked.needed else {}),
            "started": progress.started,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        },
        "files": {name: sha256_file(folder / name) for name in FILES},
    }
    write_json(folder / "run.json", content)
    return content


def _peak_memory(device: torch.device) -> float:
    """Peak memory in MiB: of the device, or of the process on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
