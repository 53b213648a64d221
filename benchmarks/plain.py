"""The VAE of the protocol `coupled-vae` on the library's layers: the careful baseline of these programs.

In float32, with the library's fused GRU, texts of like length in a batch, logits at real tokens only, and the
fused optimiser. What it leaves out is what the package claims to gain by.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.base.text_rules import TEXT, TextRules
from bench.corpora.batches import Batch
from bench.corpora.prepared import Prepared, Texts
from bench.corpora.vocabulary import EOS, GO, SPECIALS, UNK, Vocabulary

LOGIT_ROWS = 2_048  # target tokens projected onto the vocabulary at once when likelihoods are measured


class PlainVAE(nn.Module):
    """A VAE with the sizes that the paper gives."""

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
        mean, log_std = self._posterior(batch, F.dropout(self.embedding(batch.words), 0.2))
        h = self.signal(mean + log_std.exp() * torch.randn_like(mean))
        inputs = torch.cat([self.embedding(batch.inputs), h.expand(len(batch.inputs), -1, -1)], -1)
        states = F.dropout(self.decoder(F.dropout(inputs, 0.2), self._first(h))[0], 0.2)
        logits = self.output(states[batch.real])
        reconstruction = F.cross_entropy(logits, batch.targets[batch.real], reduction="sum")
        kl = 0.5 * (mean.square() + (2 * log_std).exp() - 1) - log_std
        return (reconstruction + weight * kl.sum()) / len(batch.lengths)

    @torch.no_grad()
    def likelihoods(self, batch: Batch, samples: int) -> Tensor:
        """The importance-sampled NLL (batch,) in nats."""
        mean, log_std = self._posterior(batch, self.embedding(batch.words))
        noise = torch.randn(samples, *mean.shape)
        z = mean + log_std.exp() * noise
        ratio = (0.5 * z.square() - 0.5 * noise.square() - log_std).sum(-1)  # ln q - ln p (samples, batch)
        h = self.signal(z).flatten(0, 1)
        words = self.embedding(batch.inputs).repeat(1, samples, 1)
        inputs = torch.cat([words, h.expand(len(words), -1, -1)], -1)
        states = self.decoder(inputs, self._first(h))[0]
        real, targets = batch.real.repeat(1, samples), batch.targets.repeat(1, samples)
        pieces = zip(states[real].split(LOGIT_ROWS), targets[real].split(LOGIT_ROWS), strict=True)
        losses = torch.zeros(targets.shape)
        losses[real] = torch.cat([F.cross_entropy(self.output(r), t, reduction="none") for r, t in pieces])
        losses = losses.sum(0).view(samples, -1)
        return torch.logsumexp(torch.zeros(()) - losses - ratio, 0).neg() + torch.tensor(samples).log()

    @torch.no_grad()
    def greedy(self, codes: Tensor, longest: int) -> Tensor:
        """Words (steps, rows) decoded from codes (rows, d), until all have ended."""
        h = self.signal(codes)
        written: list[Tensor] = []
        state, words = self._first(h), torch.full((len(codes),), GO)
        ended = torch.zeros(len(codes), dtype=torch.bool)
        while len(written) < longest and not ended.all():
            inputs = torch.cat([self.embedding(words), h], -1)[None]
            out, state = self.decoder(inputs, state)
            logits = self.output(out[0])
            logits[:, UNK] = -torch.inf
            words = logits.argmax(-1)
            ended |= words == EOS
            written.append(words)
        return torch.stack(written)

    def _posterior(self, batch: Batch, embedded: Tensor) -> tuple[Tensor, Tensor]:
        packed = nn.utils.rnn.pack_padded_sequence(embedded, batch.lengths, enforce_sorted=False)
        mean, log_std = self.heads(torch.cat(list(self.encoder(packed)[1]), -1)).chunk(2, -1)
        return mean, log_std

    def _first(self, h: Tensor) -> Tensor:
        """The state after the extra step on [h; h]."""
        state: Tensor = self.decoder(torch.cat([h, h], -1)[None])[1]
        return state


def corpus_from(folder: Path | None) -> Prepared:
    """The prepared corpus in ``folder``; without one, random words of the size of the Penn Treebank."""
    return stand_in() if folder is None else Prepared.load(folder)


def stand_in(
    texts: int = 42_068, words: int = 10_002, length: float = 21.0, spread: float = 10.0
) -> Prepared:
    """Random words in sentences whose lengths are spread about as the Penn Treebank's, or as is said."""
    random = torch.Generator().manual_seed(0)
    lengths = (torch.randn(texts, generator=random) * spread + length).round().clamp(1, 4 * length).long()
    tokens = torch.randint(len(SPECIALS), words, (int(lengths.sum()),), generator=random, dtype=torch.int32)
    split = Texts(tokens, F.pad(lengths.cumsum(0), (1, 0)))
    vocabulary = Vocabulary([*SPECIALS, *(f"w{i}" for i in range(words - len(SPECIALS)))])
    some = min(texts, 500)
    few = Texts(tokens[: int(split.offsets[some])], split.offsets[: some + 1])
    splits = {"train": split, "valid": few, "test": few}
    return Prepared(
        folder=Path(),
        name="random",
        title="random words",
        comparable=False,
        rules=TextRules(),
        vocabularies={TEXT: vocabulary},
        splits=splits,
        data_hash="random",
        exact=None,
        labels={},
        decodes=TEXT,
        encodes=TEXT,
    )
