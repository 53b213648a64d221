"""How fast texts are measured and written, beside a plain implementation of the same, in one run.

    python benchmarks/evaluation.py --corpus results/corpora/coupled-vae/ptb --systems vae,coupled-vae,cnn-vae

Importance sampling: sentences per second at N = 100 samples, and the peak of memory, on sentences spread evenly
over the lengths of the test split. Greedy decoding: texts per second from codes of the prior, by models that are
not trained and therefore seldom end a text, so that every side writes about as many words.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from plain import PlainVAE, corpus_from
from turns import Sides, Work, parser, print_table, sides_from

from bench.base.device import prepare_process, product_type
from bench.catalog.catalog import load_catalog
from bench.corpora.batches import Collator, by_length
from bench.corpora.prepared import Texts
from bench.estimators.likelihood import text_likelihoods
from bench.metrics.decoding import greedy
from bench.planning.resolve import resolve
from bench.training.composition import build_model

PLAIN = "plain"
PLAIN_ROWS = 8_192  # target tokens decoded at once, over texts and samples
LONGEST = 40  # words of a decoded text


def some_texts(texts: Texts, count: int) -> Texts:
    """``count`` texts at even distances in the order of their lengths."""
    order = np.argsort(texts.lengths.numpy(), kind="stable")
    chosen = [texts[int(order[i])] for i in np.linspace(0, len(order) - 1, count).round().astype(int)]
    lengths = torch.tensor([len(text) for text in chosen])
    return Texts(torch.cat(chosen), torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)]))


def build(options: argparse.Namespace, side: str) -> Work:
    """A turn measures ``--texts`` sentences or decodes as many codes; a side is ``likelihood`` or ``decode``,
    a colon, and a system.
    """
    prepare_process(options.threads)
    what, system = side.split(":")
    corpus = corpus_from(options.corpus)
    collator = Collator(some_texts(corpus.splits["test"], options.texts))
    words, samples = len(corpus.vocabulary), options.samples
    codes = torch.randn(options.texts, 32, generator=torch.Generator().manual_seed(0))
    if system == PLAIN:
        plain = PlainVAE(words)
        if what == "decode":

            def written() -> dict[str, float]:
                plain.greedy(codes, LONGEST)
                return {"texts": options.texts}

            return written

        def likelihoods() -> dict[str, float]:
            for index in by_length(collator.lengths, PLAIN_ROWS, copies=samples):
                plain.likelihoods(collator(index), samples)
            return {"texts": options.texts}

        return likelihoods
    settings = resolve(load_catalog(), "paper", "coupled-vae", "ptb", system, 0)
    model = build_model(settings, words)
    if what == "decode":
        model.eval()
        return lambda: {"texts": len(greedy(model, codes, LONGEST))}
    dtype = product_type(torch.device("cpu"), settings.training.precision)

    def measured() -> dict[str, float]:
        text_likelihoods(model, collator, samples, "benchmark", dtype=dtype)
        return {"texts": options.texts}

    return measured


def main() -> None:
    """Measure each system's likelihoods and decoding in turns with those of the plain VAE."""
    options_of = parser(__doc__, rounds=3)
    options_of.add_argument("--corpus", type=Path, help="a prepared corpus; default: random words")
    options_of.add_argument("--systems", default="vae,coupled-vae,vmf-vae,vae-nf,cnn-vae", help="names")
    options_of.add_argument("--texts", type=int, default=64, help="in one turn")
    options_of.add_argument("--samples", type=int, default=100)
    options = options_of.parse_args()
    side = None if options.side is None else options.side.split(":")[0]
    for what in ("likelihood", "decode") if side is None else (side,):
        sides = sides_from(options, f"{what}:{PLAIN}", build)
        names = [f"{what}:{name}" for name in (PLAIN, *options.systems.split(","))]
        print(f"{what}, {options.threads} threads, {options.rounds} turns of {options.texts} texts")
        print_table(["side", "texts/s", "peak MiB", "of plain", "by CPU"], _rows(sides, names))


def _rows(sides: Sides, names: list[str]) -> Iterator[list[object]]:
    for name, found in sides.measure(names):
        ratios = found.ratio("texts"), found.ratio("texts", processor=True)
        yield [name.split(":")[1], found.rate("texts"), found.peak, *ratios]


if __name__ == "__main__":
    main()
