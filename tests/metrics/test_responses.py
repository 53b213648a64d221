"""Responses: counts of their words, and whose post a response answers, against direct computations."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from bench.catalog.catalog import load_catalog
from bench.corpora.prepared import Prepared
from bench.corpora.vocabulary import EOS
from bench.estimators.likelihood import conditional_losses, text_likelihoods
from bench.metrics import responses
from bench.metrics.context import SPLIT, Context
from bench.metrics.measures import find_measure
from bench.metrics.record import Record
from bench.metrics.response_words import stream_scores
from bench.models.forward import Forward
from bench.models.noise import TextSource
from bench.planning.resolve import resolve
from bench.store.freshness import WEIGHTS
from bench.training.composition import compose
from tests.conftest import TINY


@pytest.fixture
def make(pairs: Prepared, tmp_path: Path) -> Callable[[str, str, Any], Context]:
    """``make(paper, system, settings)``: an untrained run whose encoded texts move what is decoded."""

    def made(paper: str, system: str, settings: Any) -> Context:
        run = resolve(load_catalog(), "demo", paper, pairs.name, system, 0, settings)
        torch.manual_seed(0)
        state = compose(run, pairs).state_dict()
        random = {name: torch.randn_like(w) if w.dim() == 2 else w for name, w in state.items()}
        save_file(random, tmp_path / WEIGHTS)
        return Context(run, pairs, tmp_path, torch.device("cpu"))

    return made


def measured(context: Context, name: str) -> dict[tuple[str, str], float]:
    record = Record(find_measure(name), SPLIT, context.texts.lengths, 0)
    find_measure(name).function(context, record)
    return {(one["metric"], one["estimator"]): one["value"] for one in record.measurements}


def nll(context: Context, text: int, post: int) -> float:
    """-ln p of one response given one post, by the chain rule."""
    with torch.no_grad():
        batch = replace(context.texts([text]), others=context.texts([post]).others)
        forward = Forward(context.model, batch, source=TextSource(batch.index, "no code is drawn"))
        logits = context.model.branch.output(forward.main.features)
        each = logits.log_softmax(-1).gather(-1, batch.targets[..., None]).squeeze(-1)
    return -float(each.sum())


def test_posts_are_found_as_a_direct_computation_finds_them(
    make: Callable[[str, str, Any], Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(responses, "TEXTS", 9)  # two groups of four, and one left over
    monkeypatch.setattr(responses, "AMONG", 4)
    context = make("coupled-vae", "gru-encoder-decoder", TINY | {"condition": {"hidden": 8}})
    chosen = context.chosen(9)
    found = []
    for group in (chosen[:4], chosen[4:8]):
        for text in group:
            others = [nll(context, text, post) for post in group if post != text]
            found.append(nll(context, text, text) < min(others))
    assert 0 < np.mean(found) < 1
    value = measured(context, "retrieval")["post_retrieval", "among-ten"]
    assert value == pytest.approx(np.mean(found))


def test_controls_do_not_look_at_the_posts(make: Callable[[str, str, Any], Context]) -> None:
    context = make("coupled-vae", "gru-encoder-decoder", TINY | {"condition": {"hidden": 8}})
    found, posts = measured(context, "response-controls"), len(context.texts.lengths)
    texts = [" ".join(text) for text in context.corpus.raw("train")]
    words = Counter(texts).most_common(1)[0][0].split()
    pairs = set(pairwise(words))
    assert found["response_dist1", "constant-response"] == len(set(words)) / (posts * len(words))
    assert found["response_dist2", "constant-response"] == len(pairs) / (posts * (len(words) - 1))
    for n in (1, 2):
        assert (
            found[f"response_dist{n}", "constant-response"] < found[f"response_dist{n}", "random-human"] < 1
        )


def test_several_responses_to_a_post_stand_together(
    make: Callable[[str, str, Any], Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the mean of p(z|y) for every code, each post has the same response as often as it is answered."""
    context = make("control-vae", "dialogue-constant", {"evaluation": TINY["evaluation"]})
    prior = context.model.prior
    monkeypatch.setattr(prior, "sample", lambda count, generator, given: prior.given(given).mean)
    once, several = context.responses, context.several_responses(3)
    assert several == [text for text in once for _ in range(3)]
    assert len({tuple(text) for text in once}) > 1
    found = measured(context, "response-diversity")
    several = context.several_responses(10)
    words = [word for text in several for word in text]
    assert found["response_distinct1", "all-responses"] == len(set(words))
    assert found["response_distinct2", "all-responses"] == len(set(pairwise(words)))
    # Each has nine of its kind; a text of one word has no pair of words, for which 0.1 counts.
    alike = [1.0 if len(text) > 1 else math.sqrt(0.1) for text in several[:1000]]
    assert found["response_self_bleu2", "first-responses"] == pytest.approx(np.mean(alike))


def test_words_are_counted_over_the_ends_of_responses_and_shares_are_of_words() -> None:
    found = stream_scores([[4, 5], [5, 4, 6]])
    shares = np.array([0.4, 0.4, 0.2])
    assert found["response_dist1"] == pytest.approx(3 / 5)
    assert found["response_dist2"] == pytest.approx(4 / 5)  # 4 5, 5 5, 5 4, 4 6
    assert found["response_entropy"] == pytest.approx(-shares @ np.log(shares))
    assert found["response_length"] == 2.5
    silent = stream_scores([[], []])
    assert silent["response_length"] == 0
    assert all(math.isnan(silent[name]) for name in silent if name != "response_length")


@pytest.mark.parametrize("system", ["ded", "seq2seq"])
def test_with_one_code_of_the_post_the_likelihood_is_exact(
    system: str, make: Callable[[str, str, Any], Context]
) -> None:
    context = make("stochastic-wae", system, {"latent": 6})
    found = measured(context, "given-code")
    direct = [nll(context, text, text) for text in range(len(context.texts.lengths))]
    assert found["nll", "given-code"] == pytest.approx(np.mean(direct), rel=1e-4)
    targets = context.texts.lengths + 1
    assert found["ppl", "given-code"] == pytest.approx(math.exp(np.sum(direct) / targets.sum()), rel=1e-3)
    assert abs(nll(context, 0, 1) - direct[0]) > 0.01  # the post counts
    assert {"likelihood", "deterministic"} <= context.met


def test_an_encoder_decoder_answers_from_codes_of_the_post(make: Callable[[str, str, Any], Context]) -> None:
    context = make("stochastic-wae", "wed-s", {"evaluation": TINY["evaluation"]})
    batch = context.texts(range(6))
    with torch.no_grad():
        posterior = Forward(context.model, batch).main.latent
        exchanged = replace(batch, others=context.texts(range(6, 12)).others)
        assert not torch.allclose(posterior.center(), Forward(context.model, exchanged).main.latent.center())
        codes, _ = posterior.sample(TextSource(batch.index, "a"), 3)
        losses = conditional_losses(Forward(context.model, batch), codes)
    found = {name: c[:6] for name, c in text_likelihoods(context.model, context.texts, 3, "a").items()}
    np.testing.assert_allclose(found["nll"], math.log(3) - torch.logsumexp(-losses, 1), rtol=1e-4)
    # Codes of the post weigh alike before the response is seen: no ratio of densities is in any of these.
    np.testing.assert_allclose(found["nll_hundredth_of_fewer"], losses.mean(1), rtol=1e-4)
    shares = (-losses.double()).softmax(1)
    np.testing.assert_allclose(found["effective_samples"], 1 / shares.square().sum(1), rtol=1e-2)
    assert "own text" not in context.met

    values = measured(context, "response-words")
    texts = [text.tolist() for text in context.corpus.splits[SPLIT]]
    assert values["response_length", "test-texts"] == pytest.approx(np.mean([len(text) for text in texts]))
    means = [[word for word in text if word != EOS] for text in context.mean_texts]
    assert values["response_dist2", "mean-code"] == stream_scores(means)["response_dist2"]
    assert measured(context, "responses")["response_dist1", "one-response"] > 0
