"""Measures of the stochastic WAE: each against what is known of codes and texts that the test makes up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.corpora.prepared import Prepared
from bench.metrics import decoding
from bench.metrics.context import SPLIT, Context
from bench.metrics.measures import find_measure
from bench.metrics.record import Record
from bench.models.distributions import DiagonalGaussian
from tests.conftest import tiny_settings

NGRAM = {"ngram": {"kind": "kneser-ney", "order": 2}}


@pytest.fixture
def context(runs: Path, corpus: Prepared) -> Context:
    settings = tiny_settings("vae", evaluation={"evaluators": NGRAM})
    return Context(settings, corpus, runs / settings.name, torch.device("cpu"))


def made(context: Context, name: str) -> Record:
    record = Record(find_measure(name), SPLIT, context.texts.lengths, 0)
    find_measure(name).function(context, record)
    return record


def values(record: Record) -> dict[tuple[str, str, str | None], float]:
    return {(one["metric"], one["estimator"], one["part"]): one["value"] for one in record.measurements}


def written(monkeypatch: pytest.MonkeyPatch, texts: Any) -> list[Tensor]:
    """Codes that are decoded, of which ``texts`` makes the texts."""
    seen: list[Tensor] = []

    def greedy(model: object, codes: Tensor, *_: object, **__: object) -> Any:
        seen.append(codes)
        return texts(codes)

    monkeypatch.setattr(decoding, "greedy", greedy)
    return seen


def test_the_share_of_the_commonest_text(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    written(monkeypatch, lambda codes: [[4] if row % 10 < 7 else [5, row] for row in range(len(codes))])
    record = made(context, "one-sentence")
    assert values(record)["same_text", "posterior-samples", None] == pytest.approx(0.7)
    assert values(record)["other_texts", "posterior-samples", None] == pytest.approx(0.3)


def test_codes_midway_between_two_texts(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = len(context.texts.lengths)
    centers = torch.arange(texts).float()[:, None].expand(-1, 4)
    context.latent = DiagonalGaussian(centers, torch.zeros(texts, 4))
    seen = written(monkeypatch, lambda codes: [[4]] * len(codes))
    found = values(made(context, "midway"))
    chosen = torch.tensor(context.chosen(200)).float()
    torch.testing.assert_close(seen[0][:, 0], (chosen + chosen.roll(1)) / 2)
    assert found["midway_ppl", "ngram", None] > 1


def test_codes_lie_in_their_cells(context: Context) -> None:
    texts = len(context.texts.lengths)
    mean = torch.tensor([[0.1, -3.9]]).repeat(texts, 2)
    mean[0] = 100.0
    context.latent = DiagonalGaussian(mean, torch.full((texts, 4), -20.0))
    record = made(context, "plane")
    plane, counts = record.histograms["plane"], np.array(record.histograms["plane"]["counts"])
    assert np.argwhere(counts).tolist() == [[20, 0]]  # x in [0, 0.2), y in [-4, -3.8)
    assert counts.sum() == 20 * (texts - 1)
    assert plane["outside"] == pytest.approx(1 / texts)
    assert np.allclose(plane["deviations"], np.exp(-20))


def test_an_untrained_network_does_not_depend_on_the_weights_of_the_run(context: Context) -> None:
    before = values(made(context, "untrained"))
    for parameter in context.model.parameters():
        parameter.fill_(torch.nan)
    assert values(made(context, "untrained")) == before
    assert 0 <= before["bleu", "untrained", None] < 5


def test_ever_more_samples(context: Context, corpus: Prepared) -> None:
    """The corpus as its own sample has no divergence; its first texts have."""
    context.prior_texts = [text.tolist() for text in corpus.splits["train"]]
    found = values(made(context, "unigram-budget"))
    total = len(context.prior_texts)
    assert found["unigram_kl", "first-samples", str(total)] == pytest.approx(0, abs=1e-12)
    parts = [
        int(part or 0) for metric, kind, part in found if (metric, kind) == ("unigram_kl", "first-samples")
    ]
    assert parts == [*(count for count in (384, 1000, 2500, 5000, 10_000) if count < total), total]
    kl = [found["unigram_kl", "first-samples", str(part)] for part in parts]
    assert kl == sorted(kl, reverse=True)
    assert found["unigram_kl", "first-test-texts", str(len(context.texts.lengths))] > 0
