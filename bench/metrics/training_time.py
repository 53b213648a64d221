"""What a training step takes, for papers that print how long trainings took."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.metrics.definitions import Definition, Metric
from bench.metrics.measures import measure

if TYPE_CHECKING:
    from bench.metrics.context import Context
    from bench.metrics.record import Record


@measure(
    "training-time",
    only_named=True,
    metrics=[Metric("step_time", "seconds a step", 0)],
    gives=[
        Definition(
            "step_time",
            "processor",
            "s",
            "consistent",
            "Processor seconds of all training steps over their number, without validation; of runs on the CPU.",
            "That of one machine; what else computes there costs some percent.",
            "lower",
            main=True,
            cost="none",
        )
    ],
)
def training_time(context: Context, record: Record) -> None:
    """What the run recorded; nothing where a GPU computed, for which the processor only waits."""
    from bench.base.files import read_json

    run = read_json(context.folder / "run.json")
    spent, device = run["cost"].get("processor_seconds"), run["provenance"]["device"]
    if spent is not None and device.startswith("cpu"):
        record.add("step_time", "processor", spent / run["steps"])
