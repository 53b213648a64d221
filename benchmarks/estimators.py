"""What the estimators of this project are worth: their error on models whose true values are known.

    python benchmarks/estimators.py [--out bench/report/measured/estimators.json]

Each estimator is the project's own function. The models are linear and Gaussian, so that likelihood, KL and mutual
information have closed forms; the information about an attribute is an integral in one dimension. The report draws
the file that this program writes; a test measures its first points again.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import torch
from scipy import integrate, stats
from torch import Tensor, nn

from bench.base.device import prepare_process
from bench.base.files import write_json
from bench.base.seeds import derive_seed
from bench.corpora.batches import Batch, Collator
from bench.corpora.prepared import Texts
from bench.estimators import likelihood
from bench.estimators.information import mutual_information
from bench.estimators.likelihood import text_likelihoods
from bench.metrics.attributes import probe_information
from bench.models.distributions import DiagonalGaussian
from bench.models.forward import Forward
from bench.models.model import MAIN
from bench.models.noise import BatchSource
from bench.models.priors import StandardNormal
from bench.store.provenance import provenance

OUT = Path("bench/report/measured/estimators.json")
LATENT = 32  # as in the papers
TEXTS = 500  # of which each is one repetition of an estimate
SAMPLES = (1, 3, 10, 30, 100, 300, 1000)
WIDER = (1.1, 1.3, 1.5)  # by how much q is wider than the posterior: gaps of 0.3, 2.6 and 7 nats
NATS = (3, 10, 20)
BLOCKS = (16, 32, 64, 128, 256, 513, 1024)
CODES = 10  # per text
PROBED = (50, 100, 200, 400, 800, 1600, 3200)
SEPARATION = 1.5  # half the distance of two classes of codes, in standard deviations
HELD_OUT = 20_000


class LinearGaussian(nn.Module):
    """z ~ N(0, I), x given z ~ N(wz, s^2 I) in place of the words; q is the exact posterior, wider by a factor."""

    weight, noise = 1.0, 0.7

    def __init__(self, texts: int, wider: float) -> None:
        super().__init__()
        self.encoder, self.prior, self.condition = nn.Identity(), StandardNormal(LATENT), None
        generator = torch.Generator().manual_seed(derive_seed("estimators", "x"))
        self.x = torch.randn(texts, LATENT, generator=generator) * self.deviation
        self.variance = 1 / (1 + (self.weight / self.noise) ** 2)
        self.log_std = math.log(math.sqrt(self.variance) * wider)
        self.branches = {MAIN: SimpleNamespace(latent=self.latent)}

    @property
    def deviation(self) -> float:
        """The standard deviation of x in each dimension."""
        return math.sqrt(self.weight**2 + self.noise**2)

    def encode(self, batch: Batch, noise: None, condition: None) -> Tensor:
        """x of the texts of a batch."""
        return self.x[batch.index]

    def encode_condition(self, batch: Batch, noise: None) -> None:
        """There is none."""

    def field_read(self, batch: Batch) -> str:
        """The only field."""
        return batch.encodes

    def latent(self, encoded: Tensor) -> DiagonalGaussian:
        """q(z|x)."""
        mean = self.variance * self.weight / self.noise**2 * encoded
        return DiagonalGaussian(mean, torch.full_like(mean, self.log_std))

    @staticmethod
    def losses(forward: Forward, codes: Tensor, dtype: torch.dtype) -> Tensor:
        """-ln p(x|z) in place of that of the words."""
        model: Any = forward.model
        normal = torch.distributions.Normal(model.weight * codes, model.noise)
        negative: Tensor = -normal.log_prob(model.x[forward.batch.index].unsqueeze(1)).sum(-1)
        return negative

    def exact(self) -> np.ndarray:
        """-ln p(x) of each text."""
        found: np.ndarray = -stats.norm.logpdf(self.x.double().numpy(), scale=self.deviation).sum(1)
        return found

    def reconstruction(self) -> np.ndarray:
        """The mean of -ln p(x|z) over q, of each text."""
        x = self.x.double()
        mean = self.latent(self.x).mean.double()
        spread = self.weight**2 * math.exp(2 * self.log_std)
        squares = ((x - self.weight * mean) ** 2 + spread) / self.noise**2
        found: np.ndarray = (0.5 * (squares + math.log(2 * math.pi * self.noise**2))).sum(1).numpy()
        return found

    def gap(self) -> float:
        """KL(q || posterior), in nats."""
        ratio = math.exp(2 * self.log_std) / self.variance
        return LATENT * 0.5 * (ratio - 1 - math.log(ratio))


def point(n: int, errors: Sequence[float] | np.ndarray) -> dict[str, Any]:
    """Mean error with its standard error, and the deviation of one estimate."""
    found = np.asarray(errors, dtype=np.float64)
    spread = float(found.std(ddof=1))
    return {
        "n": n,
        "bias": float(found.mean()),
        "error": spread / math.sqrt(len(found)),
        "sd": spread,
        "repetitions": len(found),
    }


def likelihoods(samples: Sequence[int] = SAMPLES) -> Iterator[dict[str, Any]]:
    """What is estimated from codes of q(z|x), for one text, against the closed forms."""
    texts = Texts(torch.full((TEXTS,), 4, dtype=torch.int32), torch.arange(TEXTS + 1))
    for wider in WIDER:
        model = LinearGaussian(TEXTS, wider)
        stand_in: Any = model
        points: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for n in samples:
            with mock.patch.object(likelihood, "conditional_losses", LinearGaussian.losses):
                columns = text_likelihoods(stand_in, Collator(texts), n, "estimators", n)
            errors = {
                ("nll", "importance-sampling"): columns["nll"] - model.exact(),
                ("elbo", "one-bound"): columns["elbo"] + model.exact(),
                ("reconstruction", "mean"): columns["reconstruction"] - model.reconstruction(),
                ("kl", "monte-carlo"): columns["kl_monte_carlo"] - columns["kl_analytic"],
            }
            for key, values in errors.items():
                points.setdefault(key, []).append(point(n, values))
        label = f"gap {model.gap():.1f} nats"
        for (metric, estimator), found in points.items():
            named = {"metric": metric, "estimator": estimator, "label": label, "over": "samples per text"}
            yield {**named, "points": found}


def information(blocks: Sequence[int] = BLOCKS) -> Iterator[dict[str, Any]]:
    """The three estimators of mutual information on n texts, against -d ln s."""
    for nats in NATS:
        std = math.exp(-nats / LATENT)
        errors: dict[str, list[dict[str, Any]]] = {}
        for n in blocks:
            repetitions = 50 if n < 200 else 10
            drawn = [_information(nats, std, n, number) for number in range(repetitions)]
            for name in drawn[0]:
                errors.setdefault(name, []).append(point(n, [found[name] for found in drawn]))
        for name, points in errors.items():
            yield {
                **{
                    "metric": "mi",
                    "estimator": name,
                    "label": f"{nats} nats",
                    "over": "texts in the mixture",
                },
                "points": points,
            }


def _information(nats: float, std: float, texts: int, number: int) -> dict[str, float]:
    generator = torch.Generator().manual_seed(derive_seed("estimators", "information", nats, texts, number))
    mean = torch.randn(texts, LATENT, generator=generator) * math.sqrt(1 - std**2)
    q = DiagonalGaussian(mean, torch.full_like(mean, math.log(std)))
    codes = q.sample(BatchSource(generator, texts), CODES)[0]
    prior = StandardNormal(LATENT)
    terms = q.kl_terms(prior)
    assert terms is not None
    found = mutual_information(q, codes, terms.sum(-1), torch.ones(texts), prior, texts)
    return {
        "leave-one-out": float(found.leave_one_out.mean()) - nats,
        "self-included": float(found.self_included.mean()) - nats,
        "aggregate": float(found.aggregate.mean()) - nats,
    }


def attribute(sizes: Sequence[int] = PROBED) -> Iterator[dict[str, Any]]:
    """The probe of an attribute that moves one class of codes from the other, against the integral."""
    exact = _separated(SEPARATION)
    points = []
    for n in sizes:
        errors = []
        for number in range(20):
            generator = torch.Generator().manual_seed(derive_seed("estimators", "probe", n, number))
            labels = torch.arange(n + HELD_OUT) % 2
            codes = torch.randn(n + HELD_OUT, LATENT, generator=generator)
            codes[:, 0] += SEPARATION * (2 * labels - 1)
            errors.append(probe_information(codes[:n], labels[:n], codes[n:], labels[n:], 2) - exact)
        points.append(point(n, errors))
    yield {
        **{"metric": "attribute_information", "estimator": "softmax-probe"},
        **{"label": f"{exact:.2f} of {math.log(2):.2f} nats", "over": "texts that fit the probe"},
        "points": points,
    }


def _separated(mean: float) -> float:
    """Information of z about c, z ~ N(+-mean, 1), in nats: ln 2 - E ln(1 + e^(-2 mean z)), z ~ N(mean, 1)."""

    def integrand(z: float) -> float:
        return float(stats.norm.pdf(z, loc=mean) * np.logaddexp(0, -2 * mean * z))

    return math.log(2) - float(integrate.quad(integrand, mean - 12, mean + 12)[0])


PARTS: tuple[Callable[[], Iterator[dict[str, Any]]], ...] = (likelihoods, information, attribute)


def main() -> None:
    """Measure everything and write the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=OUT)
    out = parser.parse_args().out
    prepare_process(1)
    curves = [curve for part in PARTS for curve in part()]
    made = provenance(threads=1)
    kept = {key: made[key] for key in ("code_version", "dirty", "python", "torch", "device")}
    write_json(out, {"program": "benchmarks/estimators.py", "provenance": kept, "curves": curves})


if __name__ == "__main__":
    main()
