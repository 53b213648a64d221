"""What the order of texts does to the estimates of mutual information on blocks.

    python benchmarks/blocks.py results/runs/quick/coupled-vae/ptb/wae/seed0

The bounds presuppose texts at random; the paper's blocks are consecutive texts of the file. For each run with
Gaussian posteriors: both estimates in the order of the file and in random orders, and the one on all texts.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from safetensors.torch import load_file
from turns import print_table

from bench.base.errors import BenchError
from bench.base.files import read_json
from bench.estimators.information import Information, mutual_information
from bench.models.distributions import DiagonalGaussian
from bench.models.noise import TextSource
from bench.models.priors import StandardNormal

ORDERS = 3  # random ones


def main() -> None:
    """Print the means over texts, in nats."""
    options_of = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options_of.add_argument("runs", nargs="+", type=Path, help="folders of measured runs")
    options_of.add_argument("--codes", type=int, default=10, help="of each text")
    options = options_of.parse_args()
    rows: list[list[object]] = []
    torch.manual_seed(0)
    for folder in options.runs:
        run = read_json(folder / "run.json")
        saved = load_file(folder / "latents.safetensors")
        if set(saved) != {"mean", "log_std"} or run["settings"]["posterior"]["kind"] != "gaussian":
            raise BenchError("the posteriors are no Gaussians", where=folder)
        q = DiagonalGaussian(saved["mean"], saved["log_std"])
        index = torch.arange(len(q.mean))
        codes = q.sample(TextSource(index, "blocks"), options.codes)[0]
        block = int(run["settings"]["evaluation"]["information_block"])
        orders = [index, *(torch.randperm(len(index)) for _ in range(ORDERS))]
        for number, order in enumerate(orders):
            found = _estimated(q, codes, order, block)
            name = f"random {number}" if number else "of the file"
            values = (found.leave_one_out, found.self_included, found.aggregate)
            rows.append([run["name"], name, *(float(value.mean()) for value in values)])
    print_table(["run", "order", "leave-one-out", "self-included", "aggregate"], iter(rows))


def _estimated(q: DiagonalGaussian, codes: torch.Tensor, order: torch.Tensor, block: int) -> Information:
    latent, prior = q.map(lambda values: values[order]), StandardNormal(codes.shape[-1])
    terms = latent.kl_terms(prior)
    assert terms is not None
    return mutual_information(latent, codes[order], terms.sum(-1), torch.ones(len(order)), prior, block)


if __name__ == "__main__":
    main()
