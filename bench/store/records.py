"""What is on disk of every run: its state with the reason, its files, and whatever is damaged.

Nothing is skipped in silence: a file that cannot be read becomes a fault of its run, and the report shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas
from pydantic import ValidationError

from bench.base.errors import BenchError
from bench.base.files import read_json, sha256_file
from bench.base.run_names import SEED_FOLDER, folders_like_runs, run_names
from bench.base.settings import RunSettings
from bench.base.upgrade import upgraded_columns, upgraded_record
from bench.store.changes import TOLD, changed, listed, why_stale
from bench.store.freshness import (
    WEIGHTS,
    goes_on,
    is_evaluation_of,
    is_training_of,
    measured_settings,
    recorded_settings,
)
from bench.store.shown import Shown, read_shown
from bench.store.texts import Measurement, document_fault, measurements_of, outside, reasons, table_fault

State = Literal["finished", "diverged", "failed", "running", "not evaluated", "damaged", "stale", "not run"]
Origin = Literal["own", "published", "external"]
Source = tuple[Origin, str]  # of runs: origin and tier
TABLES = ("training.parquet", "validation.parquet", "sentences.parquet")
TEXTS = "texts.json"
DOCUMENTS = (TEXTS, "histograms.json")
LOG_TAIL = 12


@dataclass
class RunRecord:
    """One run: what it was to be, how far it came, what it holds."""

    name: str
    origin: Origin
    folder: Path
    settings: RunSettings | None
    state: State = "not run"
    reason: str = ""
    run: dict[str, Any] = field(default_factory=dict)
    evaluation: dict[str, Any] = field(default_factory=dict)
    measurements: list[Measurement] = field(default_factory=list)
    tables: dict[str, pandas.DataFrame] = field(default_factory=dict)
    documents: dict[str, Any] = field(default_factory=dict)
    shown: dict[str, Shown] | None = None  # the texts of texts.json, by kind
    faults: list[str] = field(default_factory=list)
    logs: list[Path] = field(default_factory=list)
    log_tail: str = ""

    @property
    def parts(self) -> tuple[str, str, str, str, int]:
        """(tier, paper, corpus, system, seed)."""
        tier, paper, corpus, system, seed = self.name.split("/")
        return tier, paper, corpus, system, int(seed.removeprefix("seed"))

    @property
    def group(self) -> tuple[Origin, str, str, str, str]:
        """What the seeds of a system share: (origin, tier, paper, corpus, system)."""
        return (self.origin, *self.parts[:4])

    @property
    def seed(self) -> int:
        """The seed's number."""
        return self.parts[4]

    def find(self, metric: str, estimator: str | None, part: str | None = None) -> Measurement | None:
        """The measurement of that estimator, with whatever number of samples, or with None the main one."""
        for found in self.measurements:
            names = (found.estimator, found.estimator.removesuffix(f"-{found.samples}"))
            meant = found.main if estimator is None else estimator in names
            if meant and (found.metric, found.part) == (metric, part):
                return found
        return None


@dataclass
class CorpusRecord:
    """A prepared corpus of one paper's protocol, or why there is none."""

    paper: str
    corpus: str
    origin: Origin
    folder: Path
    summary: dict[str, Any] = field(default_factory=dict)
    card: dict[str, Any] = field(default_factory=dict)
    fault: str = ""


@dataclass(frozen=True)
class Records:
    """All runs and corpora that the report speaks of."""

    runs: list[RunRecord]
    corpora: list[CorpusRecord]
    unplanned: list[str]
    faults: list[str]

    def corpus(self, paper: str, corpus: str, origin: Origin = "own") -> CorpusRecord | None:
        """The prepared corpus, the user's own before the published one."""
        found = [c for c in self.corpora if (c.paper, c.corpus) == (paper, corpus)]
        return next((c for c in found if c.origin == origin and not c.fault), found[0] if found else None)


def load_records(results: Path, planned: Mapping[str, RunSettings]) -> Records:
    """Every run that is ``planned``, by name, and every published one, with the corpora they stand on."""
    places = dict.fromkeys((run.paper, run.corpus) for run in planned.values())
    corpora = [_load_corpus(results / "corpora", paper, corpus, "own") for paper, corpus in places]
    absent = {(c.paper, c.corpus): c.fault for c in corpora if c.fault}
    runs: list[RunRecord] = []
    statuses, faults = _statuses(results / "state")
    logs = _logs(results / "logs")
    for name, settings in planned.items():
        record = _load_run(results / "runs" / name, name, "own", settings)
        fault = absent.get((settings.paper, settings.corpus), "")
        record.logs = logs.get(name, [])
        _find_state(record, results, statuses.get(name, []), fault)
        runs.append(record)
    published = results / "published"
    for name in run_names(published / "runs"):
        record = _load_run(published / "runs" / name, name, "published", None)
        runs.append(record)
    keys = dict.fromkeys((r.parts[1], r.parts[2]) for r in runs if r.origin == "published")
    corpora += [_load_corpus(published / "corpora", paper, corpus, "published") for paper, corpus in keys]
    for record in runs:
        _check_data(record, corpora)
    faults += _misnamed(results / "runs", results) + _misnamed(published / "runs", results)
    unplanned = [name for name in run_names(results / "runs") if name not in planned]
    return Records(runs, corpora, unplanned, faults)


def _misnamed(root: Path, results: Path) -> list[str]:
    """Folders that look like runs and are none, as faults."""
    strange = [name for name in folders_like_runs(root) if not SEED_FOLDER.fullmatch(name.rpartition("/")[2])]
    return [
        f"{(root / name).relative_to(results)}: no run is named so (seed and a number)" for name in strange
    ]


def _load_run(folder: Path, name: str, origin: Origin, settings: RunSettings | None) -> RunRecord:
    record = RunRecord(name, origin, folder, settings)
    run = _document(record, "run.json")
    if run is None:
        if record.faults:
            record.state, record.reason = "damaged", record.faults[0]
        return record
    record.run = run
    if settings is None:
        record.settings = _own_settings(record)
    elif not is_training_of(run, settings, record.folder.parents[4]):
        why = why_stale(run, _own_settings(record), settings, record.folder.parents[4])
        record.state, record.reason = "stale", f"{why}: run it again"
        return record
    if run.get("state") == "diverged":
        record.state, record.reason = "diverged", str(run.get("reason") or "the loss was not finite")
    else:
        _load_evaluation(record)
    _load_files(record)
    return record


def _own_settings(record: RunRecord) -> RunSettings | None:
    """The settings that a published run was made with; a version that cannot read them says so."""
    try:
        return recorded_settings(record.run)
    except ValidationError as error:
        keys = [".".join(map(str, found["loc"])) or found["msg"] for found in error.errors()[:TOLD]]
        record.faults.append(f"run.json: settings that this version does not know ({', '.join(keys)})")
        return None


def _load_evaluation(record: RunRecord) -> None:
    evaluation = _document(record, "measurements.json")
    status = _document(record, "status.json") or {}
    failed = f"in its evaluation: {status.get('reason')}" if status.get("state") == "failed" else ""
    if evaluation is None:
        if record.faults:
            record.state, record.reason = "damaged", record.faults[0]
        elif failed:
            record.state, record.reason = "failed", failed
        else:
            record.state, record.reason = "not evaluated", "trained, but not evaluated yet"
        return
    record.measurements, damage = measurements_of(evaluation)
    record.evaluation = upgraded_record(evaluation)
    if damage:
        record.faults.append(f"measurements.json: {damage}")
        record.state, record.reason = "damaged", record.faults[-1]
        return
    record.faults += [f"measurements.json: {fault}" for fault in outside(record.measurements)]
    if fault := _other_evaluation(record):
        record.faults.append(f"measurements.json: {fault}")
        record.measurements, record.state, record.reason = [], "stale", fault
        if failed:
            record.state, record.reason = "failed", failed
        return
    record.state = "finished"
    if failed:  # what is measured stays; what was to be added is not there
        record.faults.append(f"measurements.json: failed {failed}")


def _other_evaluation(record: RunRecord) -> str:
    """Why the measurements are not those of this run, or nothing. A published run has the settings that it was
    measured under, whatever they are."""
    if record.evaluation.get("weights_sha256") != (record.run.get("files") or {}).get(WEIGHTS):
        return "measured with other weights than this run's: evaluate it again"
    if record.origin == "published" or record.settings is None:
        return ""
    if is_evaluation_of(record.evaluation, record.run, record.settings):
        return ""
    measured = measured_settings(record.evaluation, record.run)
    differ = [] if measured is None else changed(measured, record.settings)
    return f"measured under another configuration{listed(differ)}: evaluate it again"


def _document(record: RunRecord, name: str) -> dict[str, Any] | None:
    """A JSON object of the run folder; None if absent, or damaged (then a fault is noted)."""
    path = record.folder / name
    if not path.exists():
        return None
    try:
        value = read_json(path)
    except (BenchError, OSError) as error:
        record.faults.append(f"{name}: {getattr(error, 'what', error)}")
        return None
    if not isinstance(value, dict):
        record.faults.append(f"{name}: expected an object, found {type(value).__name__}")
        return None
    if fault := document_fault(name, value):
        record.faults.append(f"{name}: {fault}")
        return None
    return value


def _load_files(record: RunRecord) -> None:
    """Tables and documents; a listed hash that does not fit is a fault, as is a file that cannot be read."""
    listed = dict(record.run.get("files") or {}) | dict(record.evaluation.get("files") or {})
    expected = {*TABLES[:2], *((*TABLES[2:], *DOCUMENTS) if record.state == "finished" else ())}
    for name in (*TABLES, *DOCUMENTS):
        path = record.folder / name
        if not path.exists():
            if name in listed or name in expected:
                record.faults.append(f"{name}: missing")
            continue
        if name in listed and sha256_file(path) != listed[name]:
            record.faults.append(f"{name}: its content is not what the run wrote (sha256 differs)")
            continue
        if name in TABLES:
            try:
                table = pandas.read_parquet(path)
                table = table.rename(columns=upgraded_columns(list(table.columns)))
            except (OSError, ValueError) as error:  # pyarrow's errors are ValueErrors and OSErrors
                record.faults.append(f"{name}: cannot be read: {str(error).splitlines()[0][:160]}")
                continue
            if fault := table_fault(name, table, record.measurements):
                record.faults.append(f"{name}: {fault}")
            else:
                record.tables[name] = table
        elif name == TEXTS:
            record.shown = _shown(record)
        elif (value := _document(record, name)) is not None:
            record.documents[name] = value


def _shown(record: RunRecord) -> dict[str, Shown] | None:
    """The shown texts of a run by kind; None if they are damaged (then a fault is noted)."""
    try:
        return {one.kind: one for one in read_shown(read_json(record.folder / TEXTS))}
    except ValidationError as error:
        record.faults.append(f"{TEXTS}: {reasons(error)}")
    except (BenchError, OSError) as error:
        record.faults.append(f"{TEXTS}: {getattr(error, 'what', error)}")
    return None


Status = tuple[Path, dict[str, Any]]  # the folder of a state, and its ``status.json``


def _find_state(record: RunRecord, results: Path, statuses: list[Status], corpus_fault: str) -> None:
    """For a planned run without a result: what its status files, the newest last, and its logs tell."""
    if record.state in ("finished", "diverged"):
        return
    if corpus_fault and not record.run:
        _, paper, corpus, *_ = record.parts
        logs = results / "logs"
        steps = (logs / "fetch" / f"{corpus}.log", logs / "prepare" / paper / f"{corpus}.log")
        record.logs += [path for path in steps if path.is_file()]
    if record.logs:
        text = record.logs[-1].read_text(encoding="utf-8", errors="replace")
        record.log_tail = "\n".join(text.splitlines()[-LOG_TAIL:])
    if record.state != "not run":
        return
    if not statuses or record.settings is None:
        record.reason = corpus_fault or "not started"
        return
    run = record.settings
    own = [status for folder, status in statuses if goes_on(run, results, folder, status)]
    status = own[-1] if own else statuses[-1][1]
    if status.get("state") == "failed":
        record.state, record.reason = "failed", str(status.get("reason") or "no reason given")
        return
    progress = f"step {status.get('step')} of {status.get('steps')}"
    if not own:
        began = f"a training under other settings, data or code came to {progress}"
        record.reason = f"{began}: the same command begins with the first step"
    else:
        stopped = status.get("state") == "stopped"
        told = f"stopped at {progress} and saved: the same command goes on from there"
        unknown = f"training, or killed in training: last heard of at {progress}"
        record.state, record.reason = "running", told if stopped else unknown


def _statuses(state: Path) -> tuple[dict[str, list[Status]], list[str]]:
    """What each run has left under its name, the newest last, and the files that could not be read.

    The folders are named by a hash over configuration, data and code, so the run is told by the file itself.
    """
    found: dict[str, list[Status]] = {}
    faults = []
    for path in sorted(state.glob("*/status.json"), key=lambda p: p.stat().st_mtime):
        try:
            status = dict(read_json(path))
            found.setdefault(str(status["name"]), []).append((path.parent, status))
        except (BenchError, TypeError, ValueError, KeyError) as error:
            faults.append(f"state/{path.parent.name}/status.json: {getattr(error, 'what', error)}")
    return found, faults


def _logs(folder: Path) -> dict[str, list[Path]]:
    """Log files by run, the oldest first: those whose path holds the parts of its name in this order."""
    found: dict[str, list[Path]] = {}
    files = (p for p in folder.rglob("*") if p.is_file())
    for path in sorted(files, key=lambda p: (p.stat().st_mtime, str(p))):
        words = path.relative_to(folder).with_suffix("").parts
        for name in {words[-5:], words[-6:-1]}:  # .../seed0.log or .../seed0/train.log
            found.setdefault("/".join(name), []).append(path)
    return found


def _load_corpus(root: Path, paper: str, corpus: str, origin: Origin) -> CorpusRecord:
    record = CorpusRecord(paper, corpus, origin, root / paper / corpus)
    try:
        record.summary = dict(read_json(record.folder / "corpus.json"))
        record.card = dict(read_json(record.folder / "card.json"))
    except (BenchError, TypeError, ValueError) as error:
        absent = not (record.folder / "corpus.json").exists()
        what = "is not prepared" if absent else f"is damaged: {getattr(error, 'what', error)}"
        record.fault = f"the corpus {corpus} {what}"
    return record


def _check_data(record: RunRecord, corpora: list[CorpusRecord]) -> None:
    """A run that was trained on other data than the corpus that is shown beside it says so."""
    _, paper, corpus, *_ = record.parts
    for found in corpora:
        if (found.paper, found.corpus, found.origin) == (paper, corpus, record.origin) and not found.fault:
            used = record.run.get("data_hash")
            if used and used != found.summary.get("data_hash"):
                record.faults.append(f"trained on data {used[:12]}, the prepared corpus now differs")
