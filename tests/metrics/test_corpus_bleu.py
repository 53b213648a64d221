"""BLEU-1 to BLEU-4 of a corpus: by hand, beside sacrebleu, and of a run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sacrebleu.metrics.bleu import BLEU

from bench.corpora.prepared import Prepared
from bench.metrics import context as module
from bench.metrics.context import SPLIT, Context
from bench.metrics.corpus_bleu import METRICS, corpus_bleu, text_counts
from bench.metrics.decoding import greedy
from bench.metrics.measures import find_measure
from bench.metrics.needs import applicable
from bench.metrics.ngrams import corpus_counts
from bench.metrics.record import Record
from bench.models.model import TextModel
from tests.conftest import tiny_settings


def test_scores_by_hand() -> None:
    counts = np.array(text_counts("abcde", "abcx"))
    assert counts.tolist() == [3, 2, 1, 0, 5, 4, 3, 2, 5, 4]
    assert corpus_bleu(counts, 1) == pytest.approx(100 * 3 / 5)
    assert corpus_bleu(counts, 2) == pytest.approx(100 * math.sqrt(3 / 5 * 2 / 4))
    assert corpus_bleu(counts, 3) == pytest.approx(100 * (3 / 5) ** 0.34 * (2 / 4) ** 0.33 * (1 / 3) ** 0.33)
    assert corpus_bleu(counts, 4) == 0  # no four words in a row


def test_a_short_text_has_one_n_gram_of_each_order_that_is_wrong() -> None:
    long, short = text_counts("abcdef", "abcdef"), text_counts("a", "a")
    assert short == [1, 0, 0, 0, 1, 1, 1, 1, 1, 1]
    assert corpus_bleu(np.array(short) + long, 2) == pytest.approx(100 * math.sqrt(5 / 6))
    assert text_counts("", "ab") == [0, 0, 0, 0, 1, 1, 1, 1, 0, 2]


def test_bleu_of_texts_long_enough_is_that_of_sacrebleu() -> None:
    random = np.random.default_rng(0)
    texts = [
        [random.integers(0, 4, size=size).tolist() for size in sizes] for sizes in ((9, 6), (4, 8), (7, 7))
    ]
    counts = np.sum([text_counts(output, reference) for output, reference in texts], axis=0)
    for n in (1, 2, 4):
        known = corpus_counts([[output] for output, _ in texts], [reference for _, reference in texts], n)
        score = BLEU.compute_bleu(**known, smooth_method="none", max_ngram_order=n).score
        assert corpus_bleu(counts, n) == pytest.approx(score, rel=1e-9)


@pytest.mark.parametrize("system", ["vae", "dae"])
def test_it_is_made_where_it_is_named_from_the_mean_and_from_a_sample(
    system: str, runs: Path, corpus: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[torch.Tensor] = []

    def watched(model: TextModel, codes: torch.Tensor, longest: int, **options: Any) -> list[list[int]]:
        decoded.append(codes)
        return greedy(model, codes, longest, **options)

    monkeypatch.setattr(module, "greedy", watched)
    plain = tiny_settings(system)
    settings = tiny_settings(system, evaluation=plain.evaluation.model_dump() | {"also": ["corpus-bleu"]})
    assert settings.identity == plain.identity
    names = [[one.name for one in applicable(run, {})] for run in (plain, settings)]
    assert set(names[1]) - set(names[0]) == {"corpus-bleu"}
    context = Context(settings, corpus, runs / plain.name, torch.device("cpu"))
    record = Record(find_measure("corpus-bleu"), SPLIT, context.texts.lengths, 0)
    find_measure("corpus-bleu").function(context, record)
    values = {(one["metric"], one["estimator"]): one for one in record.measurements}
    assert set(values) == {(metric, f"corpus-{code}") for metric in METRICS for code in ("mean", "sample")}
    assert all(one["low"] <= one["value"] <= one["high"] for one in values.values())
    assert values["bleu1", "corpus-mean"]["value"] > 0
    centers = [context.latent.center()] if system == "vae" else []  # a code that is one point is decoded once
    assert len(decoded) == 1 + len(centers)
    assert all(map(torch.equal, decoded[1:], centers))
