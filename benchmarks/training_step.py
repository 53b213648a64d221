"""How fast a training step is, beside a plain implementation of the VAE, in one run.

    python benchmarks/training_step.py --corpus results/corpora/coupled-vae/ptb --systems vae,coupled-vae
    python benchmarks/training_step.py --corpus results/corpora/coupled-vae/ptb --systems all

All sides take the same batches (32 sentences of like length) where a system's protocol has them. The last column
is the ratio to the papers' own code, for those of its models that were measured beside the plain VAE (on two
cores, Penn Treebank, batch 32); a system without a figure of its own is compared with the VAE or Coupled-VAE of
that code, which does no more work in a step. A Lagging or SA system makes many updates in one step.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from plain import PlainVAE, corpus_from
from torch import nn
from turns import Work, parser, print_table, sides_from

from bench.base.device import prepare_process
from bench.catalog.catalog import load_catalog
from bench.corpora.batches import Collator, epoch_order
from bench.planning.plan import systems_of
from bench.planning.resolve import resolve
from bench.training.loop import Trainer

PAPER, PLAIN = "coupled-vae", "plain"
# Steps per second of the papers' code, as a multiple of those of the plain VAE.
PAPERS_CODE = {
    "vae": 2.4 / 6.45,
    "coupled-vae": 1.26 / 6.45,
    "vmf-vae": 2.5 / 6.45,
    "coupled-vmf-vae": 1.2 / 6.45,
    "cnn-vae": 1.8 / 6.45,
    "coupled-cnn-vae": 0.94 / 6.45,
}
THIRD_PARTY = ("lagging", "sa-vae", "gru-lm")  # not in that code, or not measured


def papers_code(system: str) -> float | None:
    """Steps per second of the papers' code for ``system`` as a multiple of the plain VAE's, if there is one."""
    if any(name in system for name in THIRD_PARTY):
        return None
    kind = next((name for name in ("vmf", "cnn") if name in system), None)
    coupled = "coupled-" if system.startswith("coupled-") else ""
    return PAPERS_CODE[f"{coupled}{kind}-vae" if kind else f"{coupled}vae"]


def build(options: argparse.Namespace, side: str) -> Work:
    """``--steps`` training steps in a turn."""
    prepare_process(options.threads)  # both sides keep freed memory: the ratio is of the steps alone
    corpus = corpus_from(options.corpus)
    collator = Collator(corpus.splits["train"])
    size = 32
    if side == PLAIN:
        model = PlainVAE(len(corpus.vocabulary))
        optimiser = torch.optim.Adam(model.parameters(), fused=True)
        order = epoch_order(collator.lengths, size, "ptb", 0, 0)

        def one_step(step: int) -> None:
            optimiser.zero_grad(set_to_none=True)
            model(collator(order[step - 1]), 0.1).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 30.0)
            optimiser.step()
    else:
        settings = resolve(load_catalog(), "paper", PAPER, "ptb", side, 0, {"training": {"batch": size}})
        trainer = Trainer(settings, corpus, Path(tempfile.mkdtemp()), torch.device("cpu"))
        one_step = trainer.one_step
        order = epoch_order(collator.lengths, size, "ptb", 0, 0, pool=settings.training.pool)
    made = 0

    def turn() -> dict[str, float]:
        nonlocal made
        rows = order[made : made + options.steps]
        for number in range(made + 1, made + options.steps + 1):
            one_step(number)
        made += options.steps
        return {
            "steps": options.steps,
            "tokens": sum(int(collator.lengths[texts].sum()) + len(texts) for texts in rows),
        }

    return turn


def main() -> None:
    """Measure each system in turns with the plain VAE."""
    options_of = parser(__doc__)
    options_of.add_argument("--corpus", type=Path, help="a prepared corpus; default: random words")
    options_of.add_argument("--systems", default="vae,coupled-vae,gru-lm,dae", help="names, or all")
    options_of.add_argument("--steps", type=int, default=10, help="in one turn")
    options = options_of.parse_args()
    sides = sides_from(options, PLAIN, build)
    wanted = options.systems.split(",")
    if wanted == ["all"]:
        wanted = systems_of(load_catalog(), PAPER, ["table1"])

    def rows() -> Iterator[list[object]]:
        for name, found in sides.measure([PLAIN, *wanted]):
            ratio, code = found.ratio("steps"), None if name == PLAIN else papers_code(name)
            yield [
                name,
                found.rate("steps"),
                found.rate("tokens"),
                found.peak,
                ratio,
                found.ratio("steps", processor=True),
                "-" if code is None else ratio / code,
            ]

    print(f"{options.threads} threads, {options.rounds} turns of {options.steps} steps")
    print_table(
        ["system", "steps/s", "tokens/s", "peak MiB", "of plain", "by CPU", "of papers' code"], rows()
    )


if __name__ == "__main__":
    main()
