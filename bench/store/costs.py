"""What runs like those of a plan have cost before: their own records, those of published runs, and what was timed."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from bench.base.errors import BenchError
from bench.base.files import read_json, stable_hash, write_json
from bench.base.settings import RunSettings
from bench.store.freshness import recorded_settings

Basis = Literal["recorded", "recorded and timed", "timed"]
BYTES = 20  # on disk for each parameter: its value, and in the checkpoint of a training five of them in all


@dataclass(frozen=True)
class Cost:
    """What one run costs in all, in seconds of one process and in bytes, and how far it is.

    ``assumed``: the sizes of its corpus are; ``basis``: where the seconds come from; ``trained``: the share of
    its steps that were made.
    """

    name: str
    steps: int
    training: float
    validation: float
    evaluation: float
    disk: int
    assumed: bool = False
    basis: Basis = "timed"
    trained: float = 0.0
    measured: bool = False

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.training + self.validation + self.evaluation

    @property
    def left(self) -> float:
        """Seconds of it that are still to come."""
        training = (1 - self.trained) * (self.training + self.validation)
        return training + (0.0 if self.measured else self.evaluation)


# Settings that change neither the operations of a training step nor those of a validation.
_FREE = ("tier", "system", "seed", "initial", "starts_from", "evaluation")
_FREE_OF_TRAINING = ("steps", "validate_every", "log_every")


TIMED = "timed-costs.json"  # in the results: what a few steps took, by device, threads and kind of run


@dataclass(frozen=True)
class CostRecord:
    """Seconds of one run: of a step, of a validation, of its evaluation; and where they were taken.

    ``assumed``: a few steps were timed on words of assumed sizes, because the corpus was not prepared.
    """

    step: float
    validation: float
    evaluation: float | None
    parameters: int
    device: str
    basis: Basis = "recorded"
    assumed: bool = False


class CostRecords:
    """The costs known below a results folder, by what makes runs alike; without a folder, those that are kept."""

    def __init__(self, results: Path | None, device: str = "", threads: int | None = None) -> None:
        """``device``: only what was recorded on devices whose description begins with this.

        ``threads``: of what was timed, only what was timed with so many.
        """
        self._trained: dict[str, list[CostRecord]] = {}
        self._measured: dict[str, list[CostRecord]] = {}
        self._file = results and results / TIMED
        self._threads = threads
        self._timed = _timed(self._file, device, threads)
        for root in (results / "runs", results / "published" / "runs") if results else ():
            for path in sorted(root.glob("*/*/*/*/seed*/run.json")):
                for settings, record in _read(path):
                    if record.device.startswith(device):
                        self._trained.setdefault(_kind(settings), []).append(record)
                        if record.evaluation is not None:
                            self._measured.setdefault(_kind(settings, measured=True), []).append(record)

    def like(self, run: RunSettings) -> CostRecord | None:
        """The medians over recorded runs that take the same steps as ``run``; else what was timed of such; else None.

        They may differ in seed, number of steps, weights and rates. ``evaluation`` is of those that were
        also measured in the same way, else timed.
        """
        settings = run.model_dump(mode="json")
        timed = self._timed.get(_kind(settings, measured=True))
        trained = self._trained.get(_kind(settings))
        if not trained:
            return timed
        measured = self._measured.get(_kind(settings, measured=True), ())
        seconds = [record.evaluation for record in measured if record.evaluation is not None]
        known = statistics.median(seconds) if seconds else None
        return CostRecord(
            step=statistics.median(record.step for record in trained),
            validation=statistics.median(record.validation for record in trained),
            evaluation=timed.evaluation if known is None and timed else known,
            parameters=trained[0].parameters,
            device=", ".join(sorted({record.device for record in trained})),
            basis="recorded and timed" if known is None and timed else "recorded",
        )

    def keep(self, run: RunSettings, record: CostRecord, *, lasting: bool = True) -> None:
        """Remember what was timed; ``lasting``: in the results folder too, where there is one."""
        kind = _kind(run.model_dump(mode="json"), measured=True)
        self._timed[kind] = record
        if lasting and self._file and self._file.parent.is_dir():
            content = _content(self._file)
            content.setdefault(_place(record.device, self._threads), {})[kind] = asdict(record)
            write_json(self._file, content)


def _content(path: Path) -> dict[str, Any]:
    """What the file of timed costs holds; nothing where it is not there or damaged: it is only a saving of time."""
    try:
        content = read_json(path)
    except (BenchError, OSError):
        return {}
    return content if isinstance(content, dict) else {}


def _place(device: str, threads: int | None) -> str:
    return f"{device}, {threads} threads"


def _timed(path: Path | None, device: str, threads: int | None) -> dict[str, CostRecord]:
    found: dict[str, CostRecord] = {}
    for name, kinds in (_content(path) if path else {}).items():
        here = name.startswith(device) if threads is None else name == _place(device, threads)
        for kind, values in kinds.items() if here and isinstance(kinds, dict) else ():
            with contextlib.suppress(TypeError):
                found[kind] = CostRecord(**values)
    return found


def recorded_cost(run: RunSettings, record: CostRecord) -> Cost:
    """The cost of ``run`` by the ``record`` of runs like it; no evaluation where none is known."""
    return Cost(
        name=run.name,
        steps=run.training.steps,
        training=run.training.steps * record.step,
        validation=validations(run) * record.validation,
        evaluation=record.evaluation or 0.0,
        disk=BYTES * record.parameters,
        assumed=record.assumed,
        basis=record.basis,
    )


def validations(run: RunSettings) -> int:
    """How often the run measures its validation split."""
    return -(-run.training.steps // run.training.validate_every)


def _read(path: Path) -> Iterator[tuple[dict[str, Any], CostRecord]]:
    """The settings and the cost of one finished run; nothing of one that diverged or cannot be read."""
    try:
        content = read_json(path)
        settings = recorded_settings(content).model_dump(mode="json")
        cost = content["cost"]
        if content["state"] != "finished" or content["steps"] < 1:
            return
        every = settings["training"]["validate_every"]
        evaluation = path.with_name("measurements.json")
        yield (
            settings,
            CostRecord(
                step=(cost["seconds"] - cost["validation_seconds"]) / content["steps"],
                validation=cost["validation_seconds"] / -(-content["steps"] // every),
                evaluation=read_json(evaluation)["seconds"] if evaluation.exists() else None,
                parameters=content["parameters"]["total"],
                device=content["provenance"]["device"],
            ),
        )
    except (BenchError, KeyError, TypeError, AttributeError, ValidationError):
        return  # the report says what is wrong with it


def _kind(settings: dict[str, Any], *, measured: bool = False) -> str:
    """What runs that cost the same have in common; with ``measured``, also in how they are measured."""
    kind = {key: value for key, value in settings.items() if key not in _FREE}
    kind["objective"] = {name: {**term, "weight": None} for name, term in settings["objective"].items()}
    kind["training"] = {k: v for k, v in settings["training"].items() if k not in _FREE_OF_TRAINING}
    kind["optimiser"] = settings["optimiser"]["kind"]
    kind["evaluation"] = settings["evaluation"] if measured else None
    return stable_hash(kind)
