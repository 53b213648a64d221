"""The protocol as printed is one setting away from that of the released code, as the page of the paper says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bench.catalog.catalog import Catalog
from bench.planning.plan import Request, make_plan
from bench.planning.resolve import find_run

PAGE = (Path(__file__).parents[2] / "docs" / "papers" / "stochastic-wae.md").read_text(encoding="utf-8")
PRINTED: dict[str, Any] = json.loads(re.findall(r"bench settings demo.* --settings '(.*)'", PAGE)[0])
ANNEALED: dict[str, Any] = json.loads(re.findall(r"as printed is `(.*)`", PAGE)[0])


@pytest.mark.parametrize("system", ["dae", "vae", "wae-d-10", "wae-s-0.01"])
def test_as_printed(system: str, catalog: Catalog) -> None:
    run = find_run(catalog, f"paper/stochastic-wae/snli/{system}/seed0", PRINTED)
    assert (run.encoder.kind, run.encoder.options["hidden"]) == ("lstm", 100)
    assert not run.encoder.options["bidirectional"]
    assert (run.decoder.kind, run.decoder.options["hidden"]) == ("lstm", 100)
    assert run.encoder.options["dropout"] == run.decoder.options["dropout"] == 0
    assert run.objective["reconstruction"].options["mean"] == "texts"
    released = find_run(catalog, f"paper/stochastic-wae/snli/{system}/seed0")
    assert (run.groups["words"].frozen, released.groups["words"].frozen) == (False, True)
    assert released.encoder.kind == released.decoder.kind == "layer-norm-lstm"
    assert (run.text, run.embedding, run.latent) == (released.text, released.embedding, released.latent)


def test_the_annealing_as_printed(catalog: Catalog) -> None:
    run = find_run(catalog, "paper/stochastic-wae/snli/vae/seed0", ANNEALED)
    assert run.objective["kl"].weight.kind == "peak-stopped"


def test_the_plain_encoder_decoder_is_planned_where_its_number_was_printed(catalog: Catalog) -> None:
    """And has no bottleneck: its code has as many numbers as two directions of the encoder give."""
    runs = make_plan(catalog, Request(tier="paper", papers=("stochastic-wae",))).runs.values()
    official = [run for run in runs if run.corpus == "dailydialog-pairs-official"]
    assert [run.system for run in official] == ["seq2seq"]
    (run,) = official
    assert run.latent == 2 * run.encoder.options["hidden"]
    assert run.training.steps == 200 * 594
    assert "overlap" in run.evaluation.also


CLIP = 5 / 128  # of a sum over the batch, as an element of the gradient of the mean


@pytest.mark.parametrize(
    ("system", "mean", "clip", "dropped"),
    [
        ("dae", "tokens", 5, None),
        ("wae-d-3", "tokens", 5, None),
        ("wae-d-10", "tokens", 5, None),
        ("wae-s-0", "tokens", CLIP, None),
        ("wae-s-0.01", "tokens", CLIP, None),
        ("wae-s-0.1", "tokens", CLIP, None),
        ("vae", "tokens-of-texts", CLIP, (0.05, 4220, 0.5)),
        ("vae-constant-1", "tokens-of-texts", CLIP, (0.05, 4220, 0.5)),
    ],
)
def test_sentences_as_released(
    system: str, mean: str, clip: float, dropped: tuple[float, int, float] | None, catalog: Catalog
) -> None:
    """Sizes, reductions and steps of the released programs for sentences, as their configuration files have them."""
    run = find_run(catalog, f"paper/stochastic-wae/snli/{system}/seed0")
    assert (run.embedding, run.latent) == (300, 100)
    assert run.encoder.options == {"hidden": 100, "bidirectional": True, "dropout": 0.2}
    assert run.decoder.options == {"hidden": 200, "dropout": 0.2}  # twice, without a first state
    assert (run.initial.embedding, run.groups["words"].frozen) == (0.05, True)
    assert run.initial.vectors is not None
    assert run.initial.vectors.kind == "word2vec"
    assert run.initial.vectors.options | {"seed": 0} == {"epochs": 50, "window": 5, "negative": 5, "seed": 0}
    assert (run.text.max_length, run.text.max_words, run.text.min_count) == (20, 29996, 1)
    assert run.objective["reconstruction"].options["mean"] == mean
    assert (run.optimiser.learning_rate, run.optimiser.clip_by) == (0.001, "value")
    assert run.optimiser.clip == pytest.approx(clip)
    assert run.optimiser.decay_factor == 1
    assert (run.training.batch, run.training.steps) == (128, 20 * 4220)
    found = run.training.word_dropout
    assert (None if found is None else (found.rise, found.every, found.most)) == dropped


@pytest.mark.parametrize(
    ("system", "penalty", "deviations"),
    [
        ("dae", 0, None),
        ("wae-d-3", 3, None),
        ("wae-d-10", 10, None),
        ("wae-s-0", 10, 0),
        ("wae-s-0.1", 10, 0.1),
    ],
)
def test_penalties_as_released(
    system: str, penalty: float, deviations: float | None, catalog: Catalog
) -> None:
    run = find_run(catalog, f"paper/stochastic-wae/snli/{system}/seed0")
    mmd = run.objective["mmd"]
    assert (mmd.weight.options["value"], mmd.options["per_dimension"]) == (penalty, 4)  # a constant of 400
    assert "kl" not in run.objective
    kl = run.objective.get("deviation_kl")
    assert (kl and kl.weight.options["value"]) == deviations


@pytest.mark.parametrize(("system", "stop"), [("vae", 3000), ("ved", 2300)])
def test_annealing_stops_where_the_released_code_stops(system: str, stop: int, catalog: Catalog) -> None:
    corpus = "snli" if system == "vae" else "dailydialog-pairs"
    weight = find_run(catalog, f"paper/stochastic-wae/{corpus}/{system}/seed0").objective["kl"].weight
    assert (weight.kind, weight.options["length"], weight.options["stop"]) == ("tanh", 9000, stop)


@pytest.mark.parametrize("system", ["ded", "ved", "wed-d", "wed-s"])
def test_dialogue_as_released(system: str, catalog: Catalog) -> None:
    run = find_run(catalog, f"paper/stochastic-wae/dailydialog-pairs/{system}/seed0")
    assert (run.embedding, run.latent, run.text.max_words, run.text.separate) == (
        300,
        300,
        19996,
        ("context",),
    )
    assert (run.encoder.options["hidden"], run.decoder.options["hidden"]) == (500, 1000)
    assert (run.optimiser.decay_factor, run.optimiser.decay_after, run.optimiser.decay_every) == (
        0.98,
        0,
        594,
    )
    assert (run.training.batch, run.training.steps, run.training.ends) == (128, 200 * 594, "short")


def test_every_run_of_its_tables_and_figures_is_planned(catalog: Catalog) -> None:
    """But those of Figure 1, which the paper only sketches: they have a target of their own."""
    paper = catalog.papers["stochastic-wae"]
    runs = make_plan(catalog, Request(tier="paper", papers=("stochastic-wae",))).runs.values()
    planned = {run.system for run in runs}
    asked = {row.system for table in paper.tables for row in table.rows}
    asked |= {system for figure in paper.figures[1:] for system in figure.systems}
    asked |= {system for texts in paper.texts for system in texts.systems}
    assert {name for name in asked if not catalog.missing("stochastic-wae", name)} <= planned
