"""What a training step does, counted: kernels, operations, bytes; and what bounds its time on a GPU.

    python benchmarks/counts.py [--tier paper] [--corpus ptb] [--systems vae,coupled-vae] [--steps 3]

Nothing is timed, and no GPU is needed: steps of each system are made on the CPU, on random words of the size
of the corpus, and every tensor operation is counted that would be a kernel on a GPU, with the bytes of what it
reads and writes. Not counted: validations, the evaluation, and what the processor does between two kernels.
Where an update is replayed from a CUDA graph, the processor launches that graph and the kernels around it.
Bounds: operations by --tflops, bytes by --tbytes, kernels by --kernel microseconds each if one runs at a time, and
launches by --launch microseconds each from one process. They are lower bounds, of which the largest holds.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from bench.base.settings import RunSettings
from bench.catalog.catalog import load_catalog
from bench.corpora.readers import check_options
from bench.models import packing
from bench.planning.cost import sizes_of, stand_in
from bench.planning.plan import Request, make_plan
from bench.training import update
from bench.training.loop import Trainer

# They give another view of the same memory, or only memory: no kernel.
FREE = {
    "detach",
    "empty",
    "empty_like",
    "empty_strided",
    "new_empty",
    "alias",
    "lift_fresh",
    "_reshape_alias",
    "_unsafe_view",
}


class Kernels(TorchDispatchMode):
    """Counts operations that would be kernels, and the bytes of what they read and write."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation and count it."""
        result = func(*args, **(kwargs or {}))
        if not func.is_view and func.overloadpacket.__name__ not in FREE:
            self.count += 1
            read = {id(t): t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
            written = [t for t in tree_leaves(result) if isinstance(t, Tensor)]
            self.bytes += sum(t.numel() * t.element_size() for t in (*read.values(), *written))
        return result


def trainer_of(run: RunSettings, folder: str) -> Trainer:
    """A run that has made its first step."""
    entry = load_catalog().corpus(run.corpus)
    corpus = stand_in(run, sizes_of(entry), check_options(entry, entry.name))
    trainer = Trainer(run, corpus, Path(folder), torch.device("cpu"))
    trainer.reporter.every = float("inf")
    trainer.one_step(1)
    return trainer


def counted(run: RunSettings, steps: int) -> tuple[float, float, float, float]:
    """Kernels, launches with graphs, operations and bytes of a step, means over ``steps`` steps."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = trainer_of(run, folder)
        with FlopCounterMode(display=False) as operations, Kernels() as kernels:
            for step in range(2, 2 + steps):
                trainer.one_step(step)
    found = kernels.count / steps, operations.get_total_flops() / steps, kernels.bytes / steps
    return found[0], launches(run) or found[0], *found[1:]


def launches(run: RunSettings) -> int:
    """Kernels of a step around its updates, and one for the graph of each; 0 where they are not recorded."""
    recorded = mock.Mock(side_effect=lambda function, _, pool: (function(), lambda: None, pool))
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.multiple(update, DEVICES=("cpu",), WARM=0, record=recorded),
        # Nothing is computed again here, so there is nothing to compare with the step made anew.
        mock.patch.object(update.ReplayedUpdate, "_first", lambda self, found, step, turn: found(step.batch)),
    ):
        trainer = trainer_of(run, folder)
        shapes, before = recorded.call_count, trainer.update.replays
        with Kernels() as kernels:
            trainer.one_step(1)  # its shapes have been recorded
        assert recorded.call_count == shapes
        return kernels.count + trainer.update.replays - before if shapes else 0


def rows(options: argparse.Namespace) -> Iterator[tuple[str, int, float, float, float, float]]:
    """Name, steps, and what each of them does, of each system."""
    request = {"tier": options.tier, "corpora": options.corpus, "tables": options.tables}
    if options.systems:
        request["systems"] = options.systems
    for run in make_plan(load_catalog(), Request.model_validate(request)).runs.values():
        yield run.system, run.training.steps, *counted(run, options.steps)


def main() -> None:
    """Print a table, and the sums over all systems with the bounds that follow."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tier", default="paper")
    parser.add_argument("--corpus", default="ptb")
    parser.add_argument("--tables", default="table1")
    parser.add_argument("--systems")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument(
        "--tflops", type=float, default=989.0, help="10^12 dense bfloat16 operations a second"
    )
    parser.add_argument("--tbytes", type=float, default=4.8, help="10^12 bytes a second")
    parser.add_argument("--kernel", type=float, default=2.0, help="microseconds of the smallest kernel")
    parser.add_argument("--launch", type=float, default=5.0, help="microseconds to launch a kernel")
    options = parser.parse_args()
    packing.ANSWERING = ("none",)  # as on a GPU: nothing is looked at
    print(f"{'system':28} {'kernels':>9} {'launches':>9} {'GFLOP':>8} {'MB':>8}   a step")
    sums = [0.0] * 4
    for system, steps, *found in rows(options):
        kernels, launched, operations, size = found
        print(
            f"{system:28} {kernels:9,.0f} {launched:9,.0f} {operations / 1e9:8.1f} {size / 1e6:8.0f}",
            flush=True,
        )
        sums = [total + steps * value for total, value in zip(sums, found, strict=True)]
    kernels, launched, operations, size = sums
    print(
        f"all steps: {kernels:.3g} kernels, {launched:.3g} launches, {operations:.3g} operations, {size:.3g} bytes"
    )
    print(f"by operations: {operations / options.tflops / 1e12 / 60:8.1f} min at {options.tflops:g} TFLOP/s")
    print(f"by bytes:      {size / options.tbytes / 1e12 / 60:8.1f} min at {options.tbytes:g} TB/s")
    print(
        f"by kernels:    {kernels * options.kernel / 6e7:8.1f} min, one at a time, at {options.kernel:g} us"
    )
    for what, count in (("launches:  ", launched), ("no graphs: ", kernels)):
        print(f"by {what} {count * options.launch / 6e7:8.1f} min of one process at {options.launch:g} us")


if __name__ == "__main__":
    main()
