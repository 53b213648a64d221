"""The main job's own runs, cut short: every system of the demo learns something, and none knows more than there is."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from bench.base.files import read_json
from bench.catalog.catalog import load_catalog
from bench.corpora.prepare import prepare
from bench.corpora.prepared import Prepared
from bench.metrics.evaluate import evaluate_run
from bench.metrics.needs import offered
from bench.planning.plan import make_plan, request_of, with_starts
from bench.planning.resolve import text_rules
from bench.report.site import build_report
from bench.training.run import train_run

CATALOG = load_catalog()
# A fraction of the demo's own steps, and fewer samples: enough for what is asked here.
SHORT = {
    "training": {"steps": 80, "validate_every": 80, "gradient_texts": 8},
    "evaluation": {"samples": 20, "prior_samples": 64, "gradient_texts": 16, "reconstructions": 2},
}


PLAN = make_plan(CATALOG, request_of({"seeds": "0", "settings": SHORT}, CATALOG, "a test"))
RUNS = PLAN.runs


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of the demo: what the jobs do that test_plan.py sees planned, without a process for each."""
    results = tmp_path_factory.mktemp("demo")
    corpora, runs = results / "corpora", results / "runs"
    for paper, corpus in PLAN.corpora:
        prepare(CATALOG.corpus(corpus), {}, text_rules(CATALOG, paper, corpus), corpora / paper / corpus)
    for settings in sorted(with_starts(CATALOG, PLAN).runs.values(), key=lambda run: run.start is not None):
        train_run(settings, corpora, runs, results / "state", device="cpu", threads=1)
    for settings in RUNS.values():
        evaluate_run(settings, corpora, runs, device="cpu", threads=1)
    build_report(results, results / "report", CATALOG, PLAN)
    return results


def unigram_entropy(corpus: Prepared) -> float:
    """Nats per test text of a model that draws each word, and the end, by its share of the training words."""
    train, test = corpus.splits["train"], corpus.splits["test"]
    words = len(corpus.vocabulary)
    counts = (
        np.bincount(train.tokens.numpy(), minlength=words) + 1.0
    )  # a word that is new to it has a chance too
    total = counts.sum() + len(train)
    spent = -np.log(counts[test.tokens.numpy()] / total).sum()
    return float(spent / len(test) - math.log(len(train) / total))


@pytest.mark.parametrize("name", RUNS)
def test_a_system_is_between_the_words_alone_and_the_truth(name: str, demo: Path) -> None:
    content = read_json(demo / "runs" / name / "measurements.json")
    assert content["state"] == "finished"
    main = {m["metric"]: m for m in content["measurements"] if m["main"]}
    corpus = Prepared.load(demo / "corpora" / RUNS[name].paper / RUNS[name].corpus)
    if "nll" not in main:  # a deterministic autoencoder: its likelihood is bounded, where it has a prior
        assert RUNS[name].posterior.kind == "point"
        reconstruction = main["reconstruction"]["value"]
        bound = [
            m
            for m in content["measurements"]
            if m["estimator"] == "external-proposal" and m["metric"] == "nll"
        ]
        assert reconstruction < unigram_entropy(corpus)
        assert len(bound) == ("prior" in offered(RUNS[name], {}))
        truth = corpus.attributes("test")
        assert truth is not None
        for one in bound:
            assert one["high"] > -truth["log_probability"].mean()
            assert reconstruction < one["value"] < unigram_entropy(corpus)
        return
    # Half of the codes from the prior give the better estimate: the other is too high where a posterior left the prior.
    # None is better than the true probabilities, up to its interval over texts.
    found = content["measurements"]
    defensive = {m["metric"]: m for m in found if m["estimator"] == "defensive"}
    assert (main | defensive)["nll"]["value"] < unigram_entropy(corpus)
    assert main["excess_nll"]["high"] > 0
    assert (main | defensive)["excess_nll"]["high"] > 0


def test_the_report_of_the_demo_shows_every_run(demo: Path) -> None:
    pages = {page.stem for page in (demo / "report" / "systems").glob("*.html")}
    for run in RUNS.values():
        assert "-".join(run.name.split("/")[:-1]) in pages
