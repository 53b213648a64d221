"""Whether a run is what its settings ask for, and how far it is: the one place that answers both.

A record is compared by what it says of itself: the settings that it was made with, read as settings of today, and
the versions of the parts, stages and measures behind it. A record that is older than versions counts as version 1
of everything.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from bench.base.errors import BenchError
from bench.base.files import read_json, sha256_file, stable_hash, write_json
from bench.base.identity import corpus_identity, evaluation_versions, training_identity
from bench.base.settings import RunSettings
from bench.base.text_rules import TextRules
from bench.base.upgrade import upgraded, upgraded_record
from bench.corpora.entry import CorpusEntry
from bench.corpora.readers import versions_of
from bench.store.seal import changed_since, seal_fault

Stage = Literal["train", "evaluate"]
Record = Mapping[str, Any]  # the content of run.json or measurements.json
# The versions of the measures of a run, from its settings and the content of the corpus.json of its corpus.
Wanted = Callable[[RunSettings, Record], Mapping[str, Any]]
WEIGHTS = "model.safetensors"  # in the folder of a run
MEASUREMENTS = "measurements.json"
STATUS = "status.json"  # how far a run is, or why it failed


def recorded_settings(trained: Record, evaluation: Any = None) -> RunSettings:
    """The settings in a ``run.json``, with other settings of the ``evaluation`` where they are given.

    Raises :class:`pydantic.ValidationError` for settings that this version cannot read.
    """
    settings = trained.get("settings")
    if isinstance(settings, dict):
        with contextlib.suppress(KeyError, TypeError, AttributeError):  # no settings: the validation says so
            settings = upgraded(settings)
        settings = settings | ({} if evaluation is None else {"evaluation": evaluation})
    return RunSettings.model_validate(settings)


def recorded_identity(trained: Record, runs: Path) -> str | None:
    """The training identity of a record, computed as today; None if its settings cannot be read.

    The run that it begins with is the one that lies below ``runs`` now.
    """
    try:
        settings = recorded_settings(trained)
    except ValidationError:
        return None
    if settings.start is not None and settings.starts_from is not None:
        first = recorded_identity(_content(runs / settings.start / "run.json"), runs)
        start = settings.starts_from.model_copy(update={"identity": first or settings.starts_from.identity})
        settings = settings.model_copy(update={"starts_from": start})
    return training_identity(settings, trained.get("versions", {}))


def is_training_of(trained: Record, run: RunSettings, runs: Path) -> bool:
    """Whether a ``run.json`` is of the training that ``run`` asks for: its settings and versions, and its start."""
    found = recorded_identity(trained, runs)
    if found is None:  # no run was made yet: asked often in a plan, and an identity takes long to compute
        return False
    return found == run.training_identity and begun_as_now(trained.get("begun_with"), runs)


def is_evaluation_of(measured: Record, trained: Record, run: RunSettings) -> bool:
    """Whether a ``measurements.json`` is of the weights of ``trained`` and of the evaluation that ``run`` asks for.

    Which measures it holds is another question: see :func:`to_measure`.
    """
    if measured.get("weights_sha256") != trained.get("files", {}).get(WEIGHTS):
        return False
    settings = measured_settings(measured, trained)
    same = settings is not None and settings.evaluation.numbers() == run.evaluation.numbers()
    return same and measured.get("versions", {}) == evaluation_versions()


def measured_settings(measured: Record, trained: Record) -> RunSettings | None:
    """The settings that a ``measurements.json`` was measured under; None if they are not known.

    A record without settings of its own has those of ``trained`` if both name the same identity.
    """
    if "evaluation" not in measured and measured.get("identity") != trained.get("identity"):
        return None
    try:
        return recorded_settings(trained, measured.get("evaluation"))
    except ValidationError:
        return None


def to_measure(measured: Record | None, wanted: Mapping[str, Any]) -> list[str]:
    """Which of the ``wanted`` measures, by name, are missing in a ``measurements.json`` or have another version.

    Of a run that diverged nothing is measured.
    """
    if measured is not None and measured.get("state") == "diverged":
        return []
    recorded = {} if measured is None else recorded_measures(measured)
    return [name for name, version in wanted.items() if recorded.get(name) != version]


def recorded_measures(measured: Record) -> dict[str, Any]:
    """The version of each measure that a ``measurements.json`` holds."""
    return {name: made["version"] for name, made in upgraded_record(measured)["measures"].items()}


def next_stage(run: RunSettings, results: Path, wanted: Wanted, corpora: Path | None = None) -> Stage | None:
    """What is still to be done for ``run``; None once it is measured. ``corpora``: where not in ``results``."""
    trained = _trained(run, results, corpora)
    if trained is None:
        return "train"
    measured = measured_record(run, results / "runs", trained)
    if measured is not None and not to_measure(measured, wanted(run, _corpus(run, results, corpora))):
        return None
    return "evaluate" if (results / "runs" / run.name / WEIGHTS).exists() else "train"


@dataclass(frozen=True)
class Standing:
    """How far a run is: the share of its steps that were made, 1 once it is trained; whether it is measured."""

    trained: float
    measured: bool


def standing(run: RunSettings, results: Path, wanted: Wanted) -> Standing:
    """How far ``run`` is in a results folder; an unfinished training by its ``status.json``."""
    trained = _trained(run, results, None)
    if trained is not None:
        measured = measured_record(run, results / "runs", trained)
        asked = wanted(run, _corpus(run, results, None))
        return Standing(1.0, measured is not None and not to_measure(measured, asked))
    corpus = _corpus(run, results, None)
    status = _content(state_folder(results / "state", run, str(corpus.get("data_hash"))) / STATUS)
    return Standing(status.get("step", 0) / run.training.steps, False)


def training_mark(run: RunSettings, results: Path) -> str:
    """What Snakemake compares with its own note of a training: the identity as recorded if that is current.

    So it plans the training again exactly if this module does, however an identity was computed in the past.
    """
    trained = _trained(run, results, None) or {}
    recorded = trained.get("training_identity")
    return str(run.training_identity if recorded is None else recorded)


def evaluation_mark(run: RunSettings, results: Path, wanted: Wanted, asked: Mapping[str, Any]) -> str:
    """The same of an evaluation: its identity and its measures, as recorded if they are current.

    ``asked`` are the versions of the measures that may apply to the run, as they are known before its corpus is
    prepared.
    """
    trained = _trained(run, results, None)
    measured = None if trained is None else measured_record(run, results / "runs", trained)
    if measured is None or to_measure(measured, wanted(run, _corpus(run, results, None))):
        return mark_of(run, asked)
    recorded = measured.get("mark")
    return str(mark_of(run, asked) if recorded is None else recorded)


def mark_of(run: RunSettings, asked: Mapping[str, Any]) -> str:
    """The mark of an evaluation that is made today."""
    return stable_hash([run.identity, asked])


def corpus_mark(entry: CorpusEntry, rules: TextRules, folder: Path) -> str:
    """The mark of a preparation of a corpus into ``folder`` that is made today; of a current one, the recorded mark."""
    if is_prepared(entry, rules, folder):
        return str(_content(folder / "corpus.json")["identity"])
    return corpus_identity(stable_hash(entry.content()), rules, versions_of(entry))


def is_prepared(entry: CorpusEntry, rules: TextRules, folder: Path) -> bool:
    """Whether ``folder`` holds the corpus as ``entry`` and ``rules`` have it today."""
    recorded = _content(folder / "corpus.json")
    try:
        same_rules = TextRules.model_validate(recorded.get("rules")) == rules
    except ValidationError:
        return False
    now = (stable_hash(entry.content()), versions_of(entry))
    return same_rules and (recorded.get("entry"), recorded.get("versions")) == now


def state_folder(state: Path, run: RunSettings, data_hash: str) -> Path:
    """Where a run keeps its resumable state: one folder for each training identity and data."""
    return state / stable_hash([run.training_identity, data_hash])


def goes_on(run: RunSettings, results: Path, folder: Path, status: Mapping[str, Any]) -> bool:
    """Whether a training of ``run`` goes on from the state in ``folder``, whose ``status.json`` is given.

    It does if the state is of the same identity and of the data that are prepared here. Where none are prepared,
    those of the status count.
    """
    data = _corpus(run, results, None).get("data_hash", status.get("data_hash"))
    return folder == state_folder(results / "state", run, str(data))


def _trained(run: RunSettings, results: Path, corpora: Path | None) -> dict[str, Any] | None:
    """The record of the training of ``run``, None where there is none or it is of something else."""
    return trained_record(run, results / "runs", _corpus(run, results, corpora).get("data_hash"))


def trained_record(run: RunSettings, runs: Path, data_hash: str | None) -> dict[str, Any] | None:
    """The ``run.json`` of ``run`` below ``runs``; None if there is none, or one of other settings, versions or data.

    ``data_hash`` is None where the data are not known: then any will do.
    """
    content = _content(runs / run.name / "run.json")
    same_data = data_hash is None or content.get("data_hash") == data_hash
    return content if same_data and is_training_of(content, run, runs) else None


def begun_as_now(begun_with: Mapping[str, str] | None, runs: Path) -> bool:
    """Whether the run that another began with still has the weights (``weights_sha256``) that it had then.

    True where nothing can be compared: for a run that begins with no other, for a record that does not name the
    weights, and where that run is not below ``runs``.
    """
    if begun_with is None:
        return True
    now = _content(runs / begun_with["run"] / "run.json").get("files", {}).get(WEIGHTS)
    return now in (None, begun_with["weights_sha256"])


def measured_record(run: RunSettings, runs: Path, trained: Record) -> dict[str, Any] | None:
    """The ``measurements.json`` of ``run`` below ``runs``; None if there is none, or it is of another evaluation.

    Also None for one that was changed since it was measured.
    """
    content = _content(runs / run.name / MEASUREMENTS)
    usable = content and not seal_fault(content) and is_evaluation_of(content, trained, run)
    return content if usable else None


def is_measured(run: RunSettings, runs: Path, corpora: Path, wanted: Wanted) -> bool:
    """Whether all that is wanted of ``run`` lies below ``runs``, beside its weights, as it was written."""
    corpus, folder = _content(corpora / run.paper / run.corpus / "corpus.json"), runs / run.name
    trained = trained_record(run, runs, corpus.get("data_hash"))
    measured = None if trained is None else measured_record(run, runs, trained)
    if trained is None or measured is None or to_measure(measured, wanted(run, corpus)):
        return False
    weights = folder / WEIGHTS
    whole = weights.exists() and sha256_file(weights) == trained["files"].get(WEIGHTS)
    return whole and not changed_since(measured, folder)


def _corpus(run: RunSettings, results: Path, corpora: Path | None) -> dict[str, Any]:
    return _content((corpora or results / "corpora") / run.paper / run.corpus / "corpus.json")


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
