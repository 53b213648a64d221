"""How the cost of a training step grows with vocabulary, length, batch and hidden size, beside the operations.

    python benchmarks/growth.py [--system vae] [--rounds 3]

Random words in texts of one length; one size at a time is halved and doubled around those of the paper on Penn
Treebank. The last column says how fast the operations of the products were done: it is low where something else
is what costs.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from plain import stand_in
from torch.utils.flop_counter import FlopCounterMode
from turns import Work, parser, print_table, sides_from

from bench.base.device import prepare_process
from bench.catalog.catalog import load_catalog
from bench.planning.resolve import resolve
from bench.training.loop import Trainer

SIZES = {"vocabulary": 10_000, "length": 20, "batch": 32, "hidden": 256}
BASE = "paper's sizes"
SIDES = [BASE, *(f"{name} {int(size * k)}" for name, size in SIZES.items() for k in (0.5, 2.0))]


def build(options: argparse.Namespace, side: str) -> Work:
    """A turn is ``--steps`` training steps; the operations are those of one step, counted once."""
    prepare_process(options.threads)
    sizes = dict(SIZES)
    if side != BASE:
        name, value = side.split()
        sizes[name] = int(value)
    corpus = stand_in(2_000, sizes["vocabulary"], sizes["length"], 0.0)
    wanted = {"training": {"batch": sizes["batch"]}, "decoder": {"hidden": sizes["hidden"]}}
    settings = resolve(load_catalog(), "paper", "coupled-vae", "ptb", options.system, 0, wanted)
    trainer = Trainer(settings, corpus, Path(tempfile.mkdtemp()), torch.device("cpu"))
    with FlopCounterMode(display=False) as counter:
        trainer.one_step(1)
    operations, made = counter.get_total_flops() / 1e9, 1

    def turn() -> dict[str, float]:
        nonlocal made
        for _ in range(options.steps):
            made += 1
            trainer.one_step(made)
        return {"steps": options.steps, "operations": operations * options.steps}

    return turn


def main() -> None:
    """Measure each size in turns with the paper's."""
    options_of = parser(__doc__, rounds=3)
    options_of.add_argument("--system", default="vae")
    options_of.add_argument("--steps", type=int, default=6, help="in one turn")
    options = options_of.parse_args()
    sides = sides_from(options, BASE, build)

    def rows() -> Iterator[list[object]]:
        at_base = 0.0
        for name, found in sides.measure(SIDES):
            operations = found.own[-1].done["operations"] / options.steps
            at_base = at_base or operations
            cost = 1 / found.ratio("steps", processor=True)
            speed = found.rate("steps")
            yield [name, speed, cost, operations / at_base, operations, operations * speed]

    print(f"{options.system}, {options.threads} threads, {options.rounds} turns of {options.steps} steps")
    columns = ["size", "steps/s", "cost", "operations", "GFLOP", "GFLOP/s"]
    print_table(columns, rows())


if __name__ == "__main__":
    main()
