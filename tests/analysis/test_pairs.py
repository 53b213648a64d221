"""Differences between systems: paired over texts and seeds, of every kind of measurement."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from bench.analysis.pairs import MeasuredTerm, of_differences, paired
from bench.catalog.catalog import Catalog
from bench.metrics.ngrams import COUNTS, precision_times_brevity
from tests.analysis.synthetic import measured, pairing, run

TEXTS = 400
RANDOM = np.random.default_rng(0)
HARD = RANDOM.normal(100, 40, TEXTS)  # texts differ far more than systems do


def nll(shift: float, spread: float = 0.3) -> dict[str, Any]:
    return {"nll": HARD + shift + RANDOM.normal(0, spread, TEXTS)}


def test_pairing_sees_what_the_spread_of_texts_hides(catalog: Catalog) -> None:
    sides = nll(0.0), nll(-0.5)
    found = pairing(catalog, run("vae", per_text=sides[0]), run("coupled-vae", per_text=sides[1]))
    contrast = found.contrast([MeasuredTerm("vae", "nll"), MeasuredTerm("coupled-vae", "nll")])
    change = np.subtract(sides[1]["nll"], sides[0]["nll"])
    expected = stats.bootstrap((change,), np.mean, method="percentile", rng=1).confidence_interval
    assert contrast.difference is not None
    assert contrast.difference.mean == pytest.approx(change.mean())
    assert (contrast.difference.low, contrast.difference.high) == pytest.approx(tuple(expected), abs=0.005)
    assert contrast.estimator == "importance-sampling-100"
    assert [file.parts[1] for file in contrast.files] == ["vae", "coupled-vae"]


def test_seeds_that_disagree_widen_the_interval(catalog: Catalog) -> None:
    shifts = (-3.0, 3.0, -2.0, 2.2)
    runs = [run("vae", seed, per_text=nll(0.0)) for seed in range(4)]
    runs += [run("coupled-vae", seed, per_text=nll(shift)) for seed, shift in enumerate(shifts)]
    found = (
        pairing(catalog, *runs)
        .contrast([MeasuredTerm("vae", "nll"), MeasuredTerm("coupled-vae", "nll")])
        .difference
    )
    assert found is not None
    assert found.by_seed == pytest.approx(shifts, abs=0.1)
    assert not found.excludes_zero


def test_only_shared_seeds_are_paired_and_without_any_there_is_one_difference(catalog: Catalog) -> None:
    terms = [MeasuredTerm("vae", "nll"), MeasuredTerm("coupled-vae", "nll")]
    constant = {value: {"nll": np.full(5, float(value))} for value in (1, 2, 3)}
    shared = [run("vae", 0, per_text=constant[1]), run("vae", 1, per_text=constant[1])]
    shared += [run("coupled-vae", 0, per_text=constant[2]), run("coupled-vae", 2, per_text=constant[3])]
    found = pairing(catalog, *shared).contrast(terms).difference
    assert found is not None
    assert found.by_seed == (1.0,)
    apart = [run("vae", 0, per_text=constant[1]), run("vae", 1, per_text=constant[3])]
    found = pairing(catalog, *apart, run("coupled-vae", 2, per_text=constant[3])).contrast(terms).difference
    assert found is not None
    assert found.by_seed == (1.0,)


def test_the_difference_of_two_differences(catalog: Catalog) -> None:
    """As released the gain is 2 nats, de-duplicated 1.5: 0.5 are owed to something else."""
    systems = {"vae-as-released": 0.3, "coupled-vae-as-released": -1.7, "vae": 0.0, "coupled-vae": -1.5}
    runs = [run(name, seed, per_text=nll(shift)) for name, shift in systems.items() for seed in range(3)]
    found = pairing(catalog, *runs).contrast([MeasuredTerm(name, "nll") for name in systems], of_differences)
    assert found.difference is not None
    assert found.difference.mean == pytest.approx(-0.5, abs=0.05)
    assert found.difference.excludes_zero


def test_perplexity_and_bleu_are_resampled_as_ratios(catalog: Catalog) -> None:
    runs = []
    for system, shift in (("vae", 0.0), ("coupled-vae", -2.0)):
        counts = RANDOM.integers(1, 9, (TEXTS, 6)).cumsum(axis=1)[:, ::-1] + [0, 9, 0, 9, 9, 0]
        columns = {f"bleu_{name}": counts[:, i] for i, name in enumerate(COUNTS)} | nll(shift)
        perplexity = float(np.exp(np.sum(columns["nll"]) / (10 * TEXTS)))
        precision = float(precision_times_brevity(counts.sum(axis=0), 2))
        more = [
            measured("ppl", "importance-sampling-100", perplexity, column="nll", unit="none"),
            measured("bleu2", "precision-times-brevity", precision, unit="percent"),
        ]
        runs.append(run(system, per_text=columns, more=more))
    found = pairing(catalog, *runs)
    ppl = found.contrast([MeasuredTerm("vae", "ppl"), MeasuredTerm("coupled-vae", "ppl")]).difference
    nats = found.contrast([MeasuredTerm("vae", "nll"), MeasuredTerm("coupled-vae", "nll")]).difference
    bleu = found.contrast([MeasuredTerm("vae", "bleu2"), MeasuredTerm("coupled-vae", "bleu2")]).difference
    assert ppl is not None
    assert nats is not None
    assert bleu is not None
    slope = 0.1 * np.exp((HARD.mean() - 1) / 10)  # of exp(NLL / 10) between the two
    assert ppl.mean == pytest.approx(slope * nats.mean, rel=0.02)
    losses = [r.tables["sentences.parquet"]["nll"].to_numpy() for r in runs]
    counted = [r.tables["sentences.parquet"][[f"bleu_{c}" for c in COUNTS]].to_numpy(float) for r in runs]
    draws = np.random.default_rng(5).integers(0, TEXTS, (3000, TEXTS))
    for difference, change in (
        (ppl, np.subtract(*(np.exp(side[draws].mean(axis=1) / 10) for side in losses[::-1]))),
        (bleu, np.subtract(*(precision_times_brevity(side[draws].sum(axis=1), 2) for side in counted[::-1]))),
    ):
        low, high = np.quantile(change, [0.025, 0.975])
        assert (difference.low, difference.high) == pytest.approx((low, high), abs=0.08 * (high - low))
        assert difference.texts == TEXTS


def test_a_squared_norm_on_some_of_the_texts(catalog: Catalog) -> None:
    values = {"vae": np.full(TEXTS, np.nan), "dae": np.full(TEXTS, np.nan)}
    for column in values.values():
        column[:64] = RANDOM.gamma(4, 1, 64)
    runs = [
        run(
            system,
            per_text={"kl": HARD, "grad": column},
            more=[
                measured(
                    "grad_norm_rec", "squared-training-mode", float(np.nanmean(column**2)), column="grad"
                )
            ],
        )
        for system, column in values.items()
    ]
    found = pairing(catalog, *runs).contrast(
        [MeasuredTerm("vae", "grad_norm_rec"), MeasuredTerm("dae", "grad_norm_rec")]
    )
    change = (values["dae"] ** 2 - values["vae"] ** 2)[:64]
    expected = stats.bootstrap((change,), np.mean, method="percentile", rng=1).confidence_interval
    assert found.difference is not None
    assert found.difference.mean == pytest.approx(change.mean())
    assert found.difference.texts == 64
    assert (found.difference.low, found.difference.high) == pytest.approx(tuple(expected), abs=0.4)


def test_a_value_without_texts_rests_on_seeds(catalog: Catalog) -> None:
    runs = [run("vae", seed, values={"dist1": 0.04 + 0.001 * seed}) for seed in range(3)]
    runs += [run("coupled-vae-rq-10", seed, values={"dist1": 0.05 + 0.001 * seed**2}) for seed in range(3)]
    found = pairing(catalog, *runs).contrast(
        [MeasuredTerm("vae", "dist1"), MeasuredTerm("coupled-vae-rq-10", "dist1")]
    )
    change = [0.01 + 0.001 * (seed**2 - seed) for seed in range(3)]
    expected = stats.ttest_1samp(change, 0.0).confidence_interval(0.95)
    assert found.difference is not None
    assert (found.difference.low, found.difference.high) == pytest.approx((expected.low, expected.high))


def test_why_a_difference_is_not_known(catalog: Catalog) -> None:
    terms = [MeasuredTerm("vae", "nll"), MeasuredTerm("coupled-vae", "nll")]
    alone = run("vae", per_text=nll(0.0))
    diverged = run("coupled-vae", per_text=nll(0.0))
    diverged.state, diverged.reason = "diverged", "NaN at step 7"
    other = run("coupled-vae", per_text=nll(0.0), data="e" * 64)
    short = run("coupled-vae", per_text={"nll": HARD[:50]})
    for runs, metric, reason in (
        ([alone, short], "nll", "they were measured on different numbers of texts"),
        ([alone], "nll", "Coupled-VAE: not run"),
        ([alone, diverged], "nll", "Coupled-VAE: seed 0 diverged: NaN at step 7"),
        ([alone, other], "nll", "they were measured on different data"),
        ([alone, run("coupled-vae")], "nll", "Coupled-VAE: nll was not measured"),
        ([alone, other], "mi", "VAE: mi by leave-one-out was not measured"),
    ):
        found = pairing(catalog, *runs).contrast([MeasuredTerm(term.system, metric) for term in terms])
        assert (found.difference, found.reason) == (None, reason)


def test_twins_are_paired_with_their_baselines(catalog: Catalog) -> None:
    both = {"nll": HARD, "kl": np.full(TEXTS, 8.0)}
    runs = [run(s, per_text=both) for s in ("vae", "coupled-vae", "coupled-vae-rq-5", "beta-1.2-vae", "dae")]
    found = [(p.baseline, p.other, p.metric) for p in paired(pairing(catalog, *runs))]
    assert found == [("vae", twin, m) for twin in ("coupled-vae", "coupled-vae-rq-5") for m in ("nll", "kl")]
