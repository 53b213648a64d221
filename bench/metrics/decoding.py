"""Greedy decoding of latent codes into texts."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from bench.corpora.vocabulary import EOS, GO, UNK
from bench.models.model import TextModel

ROWS = 512  # codes decoded at once


@torch.no_grad()
def greedy(model: TextModel, codes: Tensor, longest: int, *, unknown: bool = False) -> list[list[int]]:
    """The likeliest next word at each step, from codes (rows, d), until eos or ``longest`` words.

    The unknown word is written only if ``unknown``; never in the released code of Wu et al. 2020. A text is
    cut at its first eos but keeps at least one token, so that an immediate eos stands as a word.
    """
    model.eval()
    return [text for rows in codes.split(ROWS) for text in _greedy_rows(model, rows, longest, unknown)]


def _greedy_rows(model: TextModel, codes: Tensor, longest: int, unknown: bool) -> Iterator[list[int]]:
    branch = model.branch
    signal = branch.decoding_signal(codes)
    state = branch.decoder.start(signal, len(codes))
    words = torch.full((len(codes),), GO, device=codes.device)
    written = torch.full((len(codes), longest), EOS, device=codes.device)
    active = torch.arange(len(codes), device=codes.device)  # rows that have not ended
    for step in range(longest):
        features, state = branch.decoder.step(model.embedding(words), signal, state)
        logits = branch.output(features)
        if not unknown:
            logits[:, UNK] = -torch.inf
        words = logits.argmax(-1)
        written[active, step] = words
        going = words != EOS
        if not going.all():
            active, words, signal, state = active[going], words[going], signal[going], state[going]
            if len(active) == 0:
                break
    for row in written.tolist():
        yield row[: max(1, row.index(EOS))] if EOS in row else row
