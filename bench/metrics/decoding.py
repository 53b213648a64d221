"""Greedy decoding of latent codes into texts."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from bench.corpora.vocabulary import EOS, GO, UNK
from bench.models.model import TextModel

ROWS = 512  # codes decoded at once


@torch.no_grad()
def greedy(
    model: TextModel,
    codes: Tensor | None,
    longest: int,
    *,
    unknown: bool = False,
    given: Tensor | None = None,
) -> list[list[int]]:
    """The likeliest next word at each step, from codes (rows, d), until eos or ``longest`` words.

    ``given`` (rows, S) is what a condition adds to the decoding signal of each row; a model without codes has it alone.
    The unknown word is written only if ``unknown``; never in the released code of Wu et al. 2020. A text is
    cut at its first eos but keeps at least one token, so that an immediate eos stands as a word.
    """
    model.eval()
    rows = len(codes) if codes is not None else 0 if given is None else len(given)
    texts: list[list[int]] = []
    for start in range(0, rows, ROWS):
        some = slice(start, start + ROWS)
        chosen = (None if values is None else values[some] for values in (codes, given))
        texts += _greedy_rows(model, model.branch.given_signal(*chosen), longest, unknown)
    return texts


def _greedy_rows(model: TextModel, signal: Tensor, longest: int, unknown: bool) -> Iterator[list[int]]:
    branch, device = model.branch, signal.device
    state = branch.decoder.start(signal, len(signal))
    words = torch.full((len(signal),), GO, device=device)
    written = torch.full((len(signal), longest), EOS, device=device)
    active = torch.arange(len(signal), device=device)  # rows that have not ended
    for step in range(longest):
        features, state = branch.decoder.step(model.embedding(words), signal, state)
        logits = branch.output(features)
        if not unknown:
            logits[:, UNK] = -torch.inf
        words = _likeliest(logits)
        written[active, step] = words
        going = words != EOS
        if not going.all():
            active, words, signal, state = active[going], words[going], signal[going], state[going]
            if len(active) == 0:
                break
    for row in written.tolist():
        yield row[: max(1, row.index(EOS))] if EOS in row else row


def _likeliest(logits: Tensor) -> Tensor:
    """The first of the largest in each row (rows, V)."""
    if logits.device.type != "cpu":
        return logits.argmax(-1)
    return torch.from_numpy(logits.numpy().argmax(-1))  # some seven times as fast as the library's
