"""How far a run is: which of its stages its files in a results folder show as done, as the workflow sees it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bench.base.errors import BenchError
from bench.base.files import read_json, stable_hash, write_json
from bench.base.settings import RunSettings
from bench.store.provenance import code_hash

Stage = Literal["train", "evaluate"]
WEIGHTS = "model.safetensors"  # in the folder of a run
STATUS = "status.json"  # how far a run is, or why it failed


def next_stage(run: RunSettings, results: Path, corpora: Path | None = None) -> Stage | None:
    """What is still to be done for ``run``; None once it is measured. ``corpora``: where not in ``results``.

    A stage counts as done if its file was written under the same configuration, on the same data, by the same
    code, and, for an evaluation, from the weights of that training.
    """
    trained = _trained(run, results, corpora)
    if trained is None:
        return "train"
    if measured_record(run, results / "runs", trained) is not None:
        return None
    return "evaluate" if (results / "runs" / run.name / WEIGHTS).exists() else "train"


@dataclass(frozen=True)
class Standing:
    """How far a run is: the share of its steps that were made, 1 once it is trained; whether it is measured."""

    trained: float
    measured: bool


def standing(run: RunSettings, results: Path) -> Standing:
    """How far ``run`` is in a results folder, an unfinished training by what it says of itself."""
    trained = _trained(run, results, None)
    if trained is not None:
        return Standing(1.0, measured_record(run, results / "runs", trained) is not None)
    corpus = _corpus(run, results, None)
    status = _content(state_folder(results / "state", run, str(corpus.get("data_hash"))) / STATUS)
    return Standing(status.get("step", 0) / run.training.steps, False)


def state_folder(state: Path, run: RunSettings, data_hash: str) -> Path:
    """Where a run keeps its resumable state: keyed by configuration, data and code, never mixed up."""
    return state / stable_hash([run.training_identity, data_hash, code_hash("train", run=run)])


def goes_on(run: RunSettings, results: Path, folder: Path, status: Mapping[str, Any]) -> bool:
    """Whether a training of ``run`` goes on from the state in ``folder``, of which its ``status`` tells.

    It does if that has its settings, this code and the data that are prepared here, or of which nothing is known.
    """
    data = _corpus(run, results, None).get("data_hash", status.get("data_hash"))
    return folder == state_folder(results / "state", run, str(data))


def _trained(run: RunSettings, results: Path, corpora: Path | None) -> dict[str, Any] | None:
    """The record of the training of ``run``, None where there is none or it is of something else."""
    return trained_record(run, results / "runs", _corpus(run, results, corpora).get("data_hash"))


def trained_record(run: RunSettings, runs: Path, data_hash: str | None) -> dict[str, Any] | None:
    """The ``run.json`` of ``run`` below ``runs``; None where there is none or it is of something else.

    It is this run's if it has its settings, this code and, where they are known, these data and the weights that
    the run has now with which it begins.
    """
    content = _content(runs / run.name / "run.json")
    settings = {key: value for key, value in content.get("settings", {}).items() if key != "evaluation"}
    same_data = data_hash is None or content.get("data_hash") == data_hash
    same = stable_hash(settings) == run.training_identity and same_data
    same = same and begun_as_now(content.get("begun_with"), runs)
    return content if same and _code(content) == code_hash("train", run=run) else None


def begun_as_now(begun_with: Mapping[str, str] | None, runs: Path) -> bool:
    """Whether the ``run`` below ``runs`` that another begun with still has those weights (``weights_sha256``).

    So it is taken where nothing is recorded, of runs that begin afresh or of earlier versions, or to compare with.
    """
    if begun_with is None:
        return True
    now = _content(runs / begun_with["run"] / "run.json").get("files", {}).get(WEIGHTS)
    return now in (None, begun_with["weights_sha256"])


def measured_record(run: RunSettings, runs: Path, trained: dict[str, Any]) -> dict[str, Any] | None:
    """The ``measurements.json`` of ``run`` below ``runs``; None where there is none or it is of something else.

    It is this run's if it has its settings, this code and the weights of the training ``trained``.
    """
    content = _content(runs / run.name / "measurements.json")
    weights = trained.get("files", {}).get(WEIGHTS)
    same = content.get("identity") == run.identity and content.get("weights_sha256") == weights
    return content if same and _code(content) == code_hash("evaluate", run=run) else None


def _corpus(run: RunSettings, results: Path, corpora: Path | None) -> dict[str, Any]:
    return _content((corpora or results / "corpora") / run.paper / run.corpus / "corpus.json")


def _code(content: dict[str, Any]) -> Any:
    return content.get("provenance", {}).get("code_hash")


def _content(path: Path) -> dict[str, Any]:
    """A JSON file; nothing if it is absent or damaged: then its stage is to be done again."""
    try:
        content = read_json(path)
    except BenchError:
        return {}
    return content if isinstance(content, dict) else {}


@contextlib.contextmanager
def failure_noted(folder: Path, name: str) -> Iterator[None]:
    """Leave the reason of a failure in ``status.json``, for the report; the failure goes on."""
    try:
        yield
    except Exception as error:
        failed = {"name": name, "state": "failed", "reason": f"{type(error).__name__}: {error}"}
        with contextlib.suppress(Exception):  # the failure itself matters more, and a full disk is one
            write_json(folder / STATUS, failed)
        raise
