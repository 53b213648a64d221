"""What runs like those of a plan have cost before: their own records, and those of published runs."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from bench.base.errors import BenchError
from bench.base.files import read_json, stable_hash
from bench.base.settings import RunSettings
from bench.store.freshness import recorded_settings

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
    basis: Literal["recorded", "recorded and timed", "timed"] = "timed"
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


@dataclass(frozen=True)
class Record:
    """Seconds of one recorded run: of a step, of a validation, of its evaluation; and where it was made."""

    step: float
    validation: float
    evaluation: float | None
    parameters: int
    device: str


class Records:
    """The recorded costs below a results folder, by what makes runs alike."""

    def __init__(self, results: Path, device: str = "") -> None:
        """``device``: only what was recorded on devices whose description begins with this."""
        self._trained: dict[str, list[Record]] = {}
        self._measured: dict[str, list[Record]] = {}
        for root in (results / "runs", results / "published" / "runs"):
            for path in sorted(root.glob("*/*/*/*/seed*/run.json")):
                for settings, record in _read(path):
                    if record.device.startswith(device):
                        self._trained.setdefault(_kind(settings), []).append(record)
                        if record.evaluation is not None:
                            self._measured.setdefault(_kind(settings, measured=True), []).append(record)

    def like(self, run: RunSettings) -> Record | None:
        """The medians over recorded runs that take the same steps as ``run``, or None where there is none.

        They may differ in seed, number of steps, weights and rates. ``evaluation`` is of those that were
        also measured in the same way.
        """
        settings = run.model_dump(mode="json")
        trained = self._trained.get(_kind(settings))
        if not trained:
            return None
        measured = self._measured.get(_kind(settings, measured=True), ())
        seconds = [record.evaluation for record in measured if record.evaluation is not None]
        return Record(
            step=statistics.median(record.step for record in trained),
            validation=statistics.median(record.validation for record in trained),
            evaluation=statistics.median(seconds) if seconds else None,
            parameters=trained[0].parameters,
            device=", ".join(sorted({record.device for record in trained})),
        )


def recorded_cost(run: RunSettings, record: Record) -> Cost:
    """The cost of ``run`` by the ``record`` of runs like it; no evaluation where none was recorded."""
    return Cost(
        name=run.name,
        steps=run.training.steps,
        training=run.training.steps * record.step,
        validation=validations(run) * record.validation,
        evaluation=record.evaluation or 0.0,
        disk=BYTES * record.parameters,
        basis="recorded",
    )


def validations(run: RunSettings) -> int:
    """How often the run measures its validation split."""
    return -(-run.training.steps // run.training.validate_every)


def _read(path: Path) -> Iterator[tuple[dict[str, Any], Record]]:
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
            Record(
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
