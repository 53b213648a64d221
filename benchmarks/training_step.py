"""How fast a training step is, beside a plain implementation of the same model, in one run.

    python benchmarks/training_step.py [--corpus results/corpora/coupled-vae/ptb] [--threads 2] [--rounds 3]

Machines differ and are shared: the ratio counts, not the seconds. Both sides take turns on the same batches
(32 sentences of like length), each in a process of its own so that its peak memory is its own. The plain side
is the library's GRU in float32 with packed sequences, logits at real tokens only, and the fused optimiser.
Without --corpus, random words of the size of the Penn Treebank stand in.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.corpora.batches import Batch, Collator, epoch_order
from bench.corpora.prepared import Prepared, Texts
from bench.corpora.rules import TextRules
from bench.corpora.vocabulary import SPECIALS, Vocabulary
from bench.declarations import load_catalog
from bench.plan import resolve
from bench.training.device import prepare_process
from bench.training.loop import Trainer

WARM, STEPS = 5, 40


class PlainVAE(nn.Module):
    """The VAE of the protocol `coupled-vae` on the library's layers."""

    def __init__(self, words: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, 200)
        self.encoder = nn.GRU(200, 128, bidirectional=True)
        self.heads = nn.Linear(256, 64)
        self.signal = nn.Sequential(nn.Linear(32, 200), nn.ReLU(), nn.Linear(200, 200))
        self.decoder = nn.GRU(400, 256)
        self.output = nn.Sequential(nn.Linear(256, 200), nn.Tanh(), nn.Linear(200, words))

    def forward(self, batch: Batch, weight: float) -> Tensor:
        """The loss of a batch."""
        words = F.dropout(self.embedding(batch.words), 0.2)
        packed = nn.utils.rnn.pack_padded_sequence(words, batch.lengths, enforce_sorted=False)
        mean, log_std = self.heads(torch.cat(list(self.encoder(packed)[1]), -1)).chunk(2, -1)
        h = self.signal(mean + log_std.exp() * torch.randn_like(mean))
        _, state = self.decoder(torch.cat([h, h], -1)[None])
        inputs = torch.cat([self.embedding(batch.inputs), h.expand(len(batch.inputs), -1, -1)], -1)
        states = F.dropout(self.decoder(F.dropout(inputs, 0.2), state)[0], 0.2)
        logits = self.output(states[batch.real])
        reconstruction = F.cross_entropy(logits, batch.targets[batch.real], reduction="sum")
        kl = 0.5 * (mean.square() + (2 * log_std).exp() - 1) - log_std
        return (reconstruction + weight * kl.sum()) / len(batch.lengths)


def stand_in(texts: int = 42_068, words: int = 10_002) -> Prepared:
    """Random words in sentences whose lengths are spread about as the Penn Treebank's."""
    random = torch.Generator().manual_seed(0)
    lengths = (torch.randn(texts, generator=random) * 10 + 21).round().clamp(1, 80).long()
    tokens = torch.randint(4, words, (int(lengths.sum()),), generator=random, dtype=torch.int32)
    split = Texts(tokens, F.pad(lengths.cumsum(0), (1, 0)))
    vocabulary = Vocabulary([*SPECIALS, *(f"w{i}" for i in range(words - 4))])
    few = Texts(tokens[: int(split.offsets[100])], split.offsets[:101])
    splits = {"train": split, "valid": few, "test": few}
    return Prepared(Path(), "random", "random words", False, TextRules(), vocabulary, splits, "random", None)


def measure(side: str, corpus: Prepared, system: str) -> dict[str, float]:
    """Steps and target tokens per second, and peak memory in MiB."""
    collator = Collator(corpus.splits["train"])
    order = epoch_order(collator.lengths, 32, corpus.name, 0, 0)
    if side == "plain":
        model = PlainVAE(len(corpus.vocabulary))
        optimiser = torch.optim.Adam(model.parameters(), fused=True)

        def step(number: int) -> None:
            optimiser.zero_grad(set_to_none=True)
            model(collator(order[number - 1]), 0.1).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 30.0)
            optimiser.step()
    else:
        settings = resolve(load_catalog(), "paper", "coupled-vae", "ptb", system, 0)
        trainer = Trainer(settings, corpus, Path(tempfile.mkdtemp()), torch.device("cpu"))
        step = trainer.one_step
    for number in range(1, WARM + 1):
        step(number)
    began = time.perf_counter()
    for number in range(WARM + 1, WARM + STEPS + 1):
        step(number)
    seconds = time.perf_counter() - began
    tokens = sum(int(collator.lengths[rows].sum()) + len(rows) for rows in order[WARM : WARM + STEPS])
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"steps/s": STEPS / seconds, "tokens/s": tokens / seconds, "peak MiB": memory}


def main() -> None:
    """Measure each side in turn and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, help="a prepared corpus")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", nargs=2, metavar=("SIDE", "SYSTEM"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        side, system = options.one
        prepare_process(options.threads)  # both sides keep freed memory: the ratio is of the steps alone
        corpus = Prepared.load(options.corpus) if options.corpus else stand_in()
        print(json.dumps(measure(side, corpus, system)))
        return
    sides = [("plain", "vae"), ("ours", "vae"), ("ours", "coupled-vae"), ("ours", "gru-lm"), ("ours", "dae")]
    found: dict[tuple[str, str], list[dict[str, float]]] = {side: [] for side in sides}
    for _ in range(options.rounds):
        for side in sides:
            command = [sys.executable, *sys.argv, "--one", *side]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found[side].append(json.loads(done.stdout.splitlines()[-1]))
    plain = statistics.median(row["steps/s"] for row in found["plain", "vae"])
    print(f"{options.threads} threads, median of {options.rounds} rounds")
    print(f"{'code':6} {'system':12} {'steps/s':>8} {'tokens/s':>9} {'peak MiB':>9} {'of plain VAE':>13}")
    for (side, system), rows in found.items():
        speed, tokens, memory = (statistics.median(row[key] for row in rows) for key in rows[0])
        print(f"{side:6} {system:12} {speed:8.2f} {tokens:9.0f} {memory:9.0f} {speed / plain:12.2f}x")


if __name__ == "__main__":
    main()
