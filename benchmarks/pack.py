"""How many runs an hour one device finishes with 1, 2, 4, ... of them at once, in one call.

    python benchmarks/pack.py [--device cuda] [--workers 1,2,4,8] [--corpora results/corpora] [--corpus ptb]
                              [--tier paper] [--system coupled-vae] [--steps 2000] [--threads 1] [--graphs 1,0]

Each line is one `bench pack` of as many runs as it has workers, seeds of one system, trained for --steps steps
and measured. From it follow the runs an hour at that budget, and the steps a second of all workers together
without their starts and measurements, by what the runs record. The more workers, the longer each one of them
takes: choose the number from which on the steps a second of all no longer grow. Under NVIDIA's MPS their
kernels can overlap: measure with and without. --graphs 1,0 measures each number of workers with updates that are
replayed from CUDA graphs, and with such as are launched kernel by kernel; only a CUDA device has them.
Without --corpora the tiny generated corpus is made, at sizes that a CPU trains in seconds; its figures say whether
the program works, not what a GPU does.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.base.files import read_json
from bench.catalog.catalog import load_catalog
from bench.corpora.prepare import prepare
from bench.planning.resolve import text_rules

PAPER, TINY = "coupled-vae", "generated-tiny"


def measure(
    options: argparse.Namespace, corpora: Path, workers: int, graphs: str
) -> tuple[float, float, float]:
    """Minutes of one pack with that many workers, runs per hour, and steps per second of all trainings."""
    settings: dict[str, Any] = {"training": {"steps": options.steps, "validate_every": options.steps}}
    names = [
        f"{options.tier}/{PAPER}/{options.corpus}/{options.system}/seed{seed}" for seed in range(workers)
    ]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "bench", "pack", *names, "--out", folder, "--prepared", str(corpora)]
        command += ["--workers", str(workers), "--threads", str(options.threads), "--device", options.device]
        began = time.perf_counter()
        command += ["--settings", json.dumps(settings)]
        subprocess.run(command, check=True, capture_output=True, env=os.environ | {"BENCH_GRAPHS": graphs})
        seconds = time.perf_counter() - began
        runs = [read_json(Path(folder, "runs", name, "run.json")) for name in names]
    costs = [run["cost"] for run in runs]
    steps = sum(
        run["steps"] / (c["seconds"] - c["validation_seconds"]) for run, c in zip(runs, costs, strict=True)
    )
    return seconds / 60, 3600 * workers / seconds, steps


def main() -> None:
    """Measure each number of workers in turn and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", default="1,2")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--graphs", default="1", help="1, 0 or both: BENCH_GRAPHS of the workers")
    parser.add_argument("--corpora", type=Path, help="folder of prepared corpora")
    parser.add_argument("--corpus", default=TINY)
    parser.add_argument("--tier", default="demo")
    parser.add_argument("--system", default="vae")
    parser.add_argument("--steps", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        corpora = options.corpora
        if corpora is None:
            corpora, catalog = Path(made), load_catalog()
            rules = text_rules(catalog, PAPER, TINY)
            prepare(catalog.corpus(TINY), {}, rules, corpora / PAPER / TINY)
        print(f"{options.system} on {options.corpus}, {options.steps} steps, {options.device}")
        print(
            f"{'workers':>7} {'graphs':>6} {'minutes':>8} {'runs/hour':>10} {'steps/s of all':>15} {'of the first':>13}"
        )
        first = None
        for workers, graphs in itertools.product(options.workers.split(","), options.graphs.split(",")):
            minutes, runs, steps = measure(options, corpora, int(workers), graphs)
            first = first or steps
            print(
                f"{workers:>7} {graphs:>6} {minutes:8.2f} {runs:10.1f} {steps:15.1f} {steps / first:12.2f}x",
                flush=True,
            )


if __name__ == "__main__":
    main()
