"""Which numbers an older version made: of a part, a stage or a measure whose version has risen since.

A run of the user's own whose training is of other versions is stale, and has no numbers. A published run keeps them,
and the reader is told; so is a measurement of an older version until it is measured again.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.base.identity import evaluation_versions, training_versions
from bench.metrics.measures import measures
from bench.store.changes import changed_versions
from bench.store.records import RunRecord


@dataclass(frozen=True)
class Age:
    """One thing of which a run has another version than today's."""

    stage: str
    name: str
    was: int
    now: int
    changed: str = ""  # what the last version changed, where that is known

    def __str__(self) -> str:
        """``trained with version 1 of prior mixture, now 2``."""
        done = {"train": "trained", "evaluate": "measured"}[self.stage]
        since = f" ({self.changed})" if self.changed else ""
        return f"{done} with version {self.was} of {self.name}, now {self.now}{since}"


def ages(run: RunRecord) -> tuple[Age, ...]:
    """What of a run is of another version than today's."""
    if run.settings is None or not run.run:
        return ()
    trained = changed_versions(run.run.get("versions") or {}, training_versions(run.settings))
    if not run.evaluation:
        return tuple(Age("train", *found) for found in trained)
    measured = changed_versions(run.evaluation.get("versions") or {}, evaluation_versions())
    known, each = measures(), {m.measure: m.version for m in run.measurements}
    older = [(known[name], was) for name, was in each.items() if name in known and was != known[name].version]
    return (
        *(Age("train", *found) for found in trained),
        *(Age("evaluate", *found) for found in measured),
        *(Age("evaluate", one.name, was, one.version, one.changed) for one, was in older),
    )


def told(run: RunRecord) -> str:
    """All of it as a sentence without its full stop; nothing where all versions are today's."""
    return "; ".join(map(str, ages(run)))
