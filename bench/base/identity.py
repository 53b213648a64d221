"""The identity of a run: a hash of its settings, and of the versions of what computes it.

Versions take the place of a hash of the source. A part (``@part("prior", "mixture", version=2)``), a reader, a
measure and a stage carry a number, 1 at first. It is raised by whoever changes the numbers that they compute; the
golden values in ``tests/golden`` fail where that was forgotten. Nothing else in the source counts.

A setting that has its default value is left out of the hash, and so is a version that is 1. So a setting that is
added with a neutral default changes no identity. For the same reason a default must not be changed alone: the
identity would stay, but not the numbers. Whoever changes a default raises the version of the part or of the stage,
or keeps the default and writes the new value into the protocols; :func:`bench.base.upgrade.upgraded` fills in the
former default where a record is older than the setting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from bench.base.files import stable_hash
from bench.base.registry import EVALUATOR, NONE, SINGLE, lookup
from bench.base.text_rules import TextRules

STAGES = {"prepare": 1, "train": 1, "evaluate": 1, "report": 2}

Versions = Mapping[str, int]


class IdentifiedRun(Protocol):
    """What is asked here of :class:`bench.base.settings.RunSettings`, which has its identity from this module."""

    @property
    def evaluation(self) -> Any:
        """How it is measured."""

    @property
    def initial(self) -> Any:
        """Its initial values."""

    @property
    def objective(self) -> Mapping[str, Any]:
        """The terms of its objective."""

    def used(self) -> Iterator[tuple[str, str]]:
        """(choice, kind) of each of its parts."""

    @property
    def model_dump(self) -> Callable[..., dict[str, Any]]:
        """The settings as JSON."""


def training_identity(run: IdentifiedRun, versions: Versions | None = None) -> str:
    """Hash of what can change the trained weights: everything but how they are measured afterwards.

    ``versions`` are those of today by default; a record gives those that it was made with.
    """
    settings = without_defaults(run)
    settings.pop("evaluation", None)
    return _hash(settings, training_versions(run) if versions is None else versions)


def identity(run: IdentifiedRun) -> str:
    """Hash of what can change the weights or the measurements of a run; each measure counts by itself."""
    return _hash(without_defaults(run), training_versions(run) | evaluation_versions())


def corpus_identity(entry: str, rules: TextRules, versions: Versions) -> str:
    """Hash of what can change a prepared corpus; ``entry`` is the hash of what its entry in the catalog contains."""
    return _hash({"entry": entry, "rules": rules.model_dump(mode="json", exclude_defaults=True)}, versions)


def training_versions(run: IdentifiedRun) -> dict[str, int]:
    """Versions other than 1 of the parts of a run (``prior mixture``) and of the stage ``train``."""
    found = {f"{choice} {kind}": lookup(choice, kind).version for choice, kind in run.used()}
    return raised({"train": STAGES["train"], **found})


def evaluation_versions() -> dict[str, int]:
    """The version of the stage ``evaluate``, if it is another than 1."""
    return raised({"evaluate": STAGES["evaluate"]})


def corpus_versions(kind: str, reader: int) -> dict[str, int]:
    """Versions other than 1 of the stage ``prepare`` and of the reader of a ``kind``, whose version is given."""
    return raised({"prepare": STAGES["prepare"], f"reader {kind}": reader})


def raised(versions: Versions) -> dict[str, int]:
    """Those versions that are not 1."""
    return {name: version for name, version in versions.items() if version != 1}


def without_defaults(run: IdentifiedRun) -> dict[str, Any]:
    """The settings that do not have their default value, as JSON."""
    found = run.model_dump(mode="json", exclude_defaults=True, exclude={"evaluation"})
    found["evaluation"] = run.evaluation.numbers()
    found |= {choice: _of_part(choice, getattr(run, choice)) for choice in SINGLE if choice in found}
    if run.initial.vectors is not None:
        found["initial"] |= {"vectors": _of_part(EVALUATOR, run.initial.vectors)}
    terms = run.objective.items()
    return found | {
        "objective": {
            name: _of_part("term", term) | {"weight": _of_part("weight", term.weight)} for name, term in terms
        }
    }


def _of_part(choice: str, part: Any) -> dict[str, Any]:
    """The kind of a part, and its options that do not have their default value."""
    if part.kind == NONE:
        return {"kind": part.kind}
    options = lookup(choice, part.kind).options.model_validate(part.options)
    return {"kind": part.kind, "options": options.model_dump(mode="json", exclude_defaults=True)}


def _hash(settings: Mapping[str, Any], versions: Versions) -> str:
    return stable_hash({**settings, "versions": versions} if versions else settings)
