"""The standard deviations of the posteriors of a run, against its latents."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench.corpora.prepared import Prepared
from bench.metrics.context import SPLIT, Context
from bench.metrics.measures import find_measure
from bench.metrics.record import Record
from bench.models.distributions import DiagonalGaussian
from tests.conftest import tiny_settings


def test_sigma_is_that_of_the_posteriors(runs: Path, corpus: Prepared) -> None:
    settings = tiny_settings("vae")
    context = Context(settings, corpus, runs / settings.name, torch.device("cpu"))
    texts = len(context.texts.lengths)
    log_std = torch.full((texts, 4), -100.0)
    log_std[:, 0] = 0.0  # one dimension of four as wide as the prior
    context.latent = DiagonalGaussian(torch.zeros_like(log_std), log_std)
    record = Record(find_measure("deviations"), SPLIT, context.texts.lengths, 0)
    find_measure("deviations").function(context, record)
    values = {one["metric"]: one["value"] for one in record.measurements}
    assert values == pytest.approx({"sigma": 0.25, "sigma_above_one": 0.25})
    assert record.columns["sigma"].shape == (texts,)
