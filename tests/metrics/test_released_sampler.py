"""Likelihoods of systems that were trained with the released vMF sampler."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from bench.corpora.prepared import Prepared
from bench.metrics.context import Context
from bench.metrics.needs import applicable
from bench.metrics.record import Record
from bench.training.composition import build_model
from tests.conftest import tiny_settings

SAMPLES = 200  # enough to tell the two samplers apart
ESTIMATORS = {
    ("nll", "importance-sampling-released-sampler"),
    ("ppl", "importance-sampling-released-sampler"),
    ("kl", "monte-carlo-released-sampler"),
}


def evaluated(corpus: Prepared, folder: Path, system: str, concentration: float) -> list[Record]:
    """The likelihoods of weights whose posteriors all have about this concentration, the same for any sampler."""
    settings = tiny_settings(system, latent=32, evaluation={"samples": SAMPLES})
    torch.manual_seed(0)
    model = build_model(settings, len(corpus.vocabulary))
    weights = model.state_dict()
    weights["branch.posterior.concentration.bias"].fill_(concentration - 1)
    save_file(weights, folder / "model.safetensors")
    context = Context(settings, corpus, folder, torch.device("cpu"))
    records = []
    for measure in applicable(settings, context.summary):
        if measure.name in ("likelihood", "released-sampler"):
            records.append(Record(measure, "test", context.texts.lengths, 0))
            measure.function(context, records[-1])
    return records


def values(records: list[Record]) -> dict[tuple[str, str], float]:
    return {(m["metric"], m["estimator"]): m["value"] for record in records for m in record.measurements}


@pytest.mark.parametrize("concentration", [5, 30])
def test_the_sampler_of_training_changes_nothing_that_claims_to_be_a_likelihood(
    concentration: float, corpus: Prepared, tmp_path: Path
) -> None:
    exact = values(evaluated(corpus, tmp_path, "vmf-vae", concentration))
    released = evaluated(corpus, tmp_path, "vmf-vae-released-sampler", concentration)
    found = values(released)
    assert set(found) - set(exact) == ESTIMATORS
    assert {key: found[key] for key in exact} == exact
    sheet = {name: values for record in released for name, values in record.columns.items()}
    nll, as_released = found["nll", f"importance-sampling-{SAMPLES}"], sheet["nll_released_sampler"]
    assert found["nll", "importance-sampling-released-sampler"] == pytest.approx(np.mean(as_released))
    errors = {}  # of both estimates of the KL, in standard errors: negative if too small
    for column in ("kl_monte_carlo", "kl_monte_carlo_released_sampler"):
        off = sheet[column] - sheet["kl_analytic"]
        errors[column] = off.mean() / (off.std(ddof=1) / len(off) ** 0.5)
    assert abs(errors["kl_monte_carlo"]) < 4
    if concentration < 10:  # up to there the samplers are one
        assert found["nll", "importance-sampling-released-sampler"] == nll
        assert found["kl", "monte-carlo-released-sampler"] == found["kl", "monte-carlo"]
    else:  # codes far from the mode, divided by a density that is small there: better than any model can be
        assert found["nll", "importance-sampling-released-sampler"] < nll - 1
        assert found["kl", "monte-carlo-released-sampler"] < found["kl", "monte-carlo"] - 0.3
        assert errors["kl_monte_carlo_released_sampler"] < -10
