"""What the dual estimate of a KL is worth: of posteriors whose KL is known, and as the adversary of an encoder.

    python benchmarks/dual_network.py [--out bench/report/measured/dual.json]

The network, its loss, the estimate and the posterior are the project's own, with the sizes and rates that the released
code of Fang et al. 2019 has on the Penn Treebank. ``frozen``: the encoder stays as it is, so that the network has only
to learn, and the KL is in closed form. ``game``: encoder and decoder are trained against the network, and both are
linear, so that the bound, the likelihood and the entropy of the data are known. The report draws the file that this
program writes; a test measures its first points again.
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from bench.base.device import prepare_process
from bench.base.files import write_json
from bench.base.seeds import derive_seed
from bench.estimators.dual import dual
from bench.models.noise import BatchSource
from bench.models.priors import StandardNormal
from bench.models.sampled import AffineNoisePosterior, FactorGaussian
from bench.objectives.dual import DensityRatio, Dual
from bench.objectives.weights import Linear
from bench.store.provenance import provenance

OUT = Path("bench/report/measured/dual.json")
TEXTS, BATCH, INNER = 42_068, 32, 5  # of the Penn Treebank; updates of the network in a step
STEPS = TEXTS // BATCH + 1  # an epoch
LATENT, FEATURES, OBSERVED = 32, 256, 128
RATE, MODEL_RATE, CLIP = 1e-5, 1e-3, 5.0
HELD_OUT, SAMPLES = 200, 128  # texts that are measured, and codes of each
DEVIATIONS = (0.7, 0.1)  # of the posteriors that stay as they are, in each dimension
PASSES = (0.05, 0.25, 0.5, 1.0)  # over the texts
SIGNAL = 2.5  # variance of a factor of the data, over that of the noise
POINTS = (0, 50, 200, 500, 900, STEPS, 2000, 2 * STEPS)  # steps of the game that are measured
UNTIL = 2 * STEPS  # the step at which the weight of the KL is 1


class Network:
    """nu(x, z) of a run, its optimiser, and its updates."""

    def __init__(self, features: int, *names: object) -> None:
        torch.manual_seed(derive_seed("dual-network", *names))
        self.term = DensityRatio(LATENT, features)
        self.optimiser = torch.optim.Adam(self.term.parameters(), RATE)
        self.source = torch.Generator().manual_seed(derive_seed("dual-network", "noise", *names))

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers."""
        return torch.randn(*shape, generator=self.source)

    def update(self, encoded: Tensor, z: Tensor) -> None:
        """As many updates as a step has, with the same codes and each with codes of the prior of its own."""
        for _ in range(INNER):
            known = forward(encoded, z, self.normal(*z.shape))
            self.optimiser.zero_grad()
            self.term(known).mean().backward()
            self.optimiser.step()

    @torch.no_grad()
    def estimate(self, encoded: Tensor, latent: FactorGaussian) -> float:
        """The dual KL, a mean over texts, each with so many codes of its posterior and of the prior."""
        source = torch.Generator().manual_seed(derive_seed("dual-network", "measured"))
        z = latent.sample(BatchSource(source, len(encoded)), SAMPLES)[0]
        drawn = torch.randn(z.shape, generator=source)
        read = encoded.unsqueeze(1).expand(-1, SAMPLES, -1)
        return float(dual(self.term.value(z, read), self.term.value(drawn, read)).mean())


def forward(encoded: Tensor, z: Tensor, drawn: Tensor) -> Any:
    """What the terms read of a forward pass."""
    return SimpleNamespace(encoded=encoded, main=SimpleNamespace(z=z), prior_codes=drawn)


def kl(latent: FactorGaussian) -> Tensor:
    """KL(q(z|x) || p(z)) of each text."""
    terms = latent.kl_terms(StandardNormal(LATENT))
    assert terms is not None
    return terms.sum(-1)


def batches(data: Tensor, *names: object) -> Iterator[Tensor]:
    """Batches of ``data``, in a new order in each epoch."""
    source = torch.Generator().manual_seed(derive_seed("dual-network", "order", *names))
    for _ in itertools.count():
        for rows in torch.randperm(len(data), generator=source).split(BATCH):
            yield data[rows]


def frozen(deviation: float, passes: Sequence[float] = PASSES) -> dict[str, Any]:
    """Posteriors N(m(e), s^2 I), m linear and such that all together are about N(0, I): KL and estimates of it."""
    network = Network(FEATURES, "frozen", deviation)
    weight = network.normal(LATENT, FEATURES) * math.sqrt((1 - deviation**2) / FEATURES)
    factor = deviation * torch.eye(LATENT)
    texts, held_out = network.normal(TEXTS, FEATURES), network.normal(HELD_OUT, FEATURES)
    latent, points, done = FactorGaussian(held_out @ weight.t(), factor), [], 0
    order = batches(texts, "frozen", deviation)
    for pass_ in passes:
        for encoded in itertools.islice(order, round(pass_ * STEPS) - done):
            network.update(encoded, encoded @ weight.t() + network.normal(len(encoded), LATENT) @ factor)
        done = round(pass_ * STEPS)
        points.append({"passes": pass_, "dual": network.estimate(held_out, latent)})
    return {"deviation": deviation, "kl": float(kl(latent).mean()), "points": points}


class Data:
    """x = Lz + noise, with orthogonal columns of L: texts, and what is known of them."""

    def __init__(self) -> None:
        source = torch.Generator().manual_seed(derive_seed("dual-network", "data"))
        square = torch.randn(OBSERVED, OBSERVED, generator=source)
        self.loading = torch.linalg.qr(square).Q[:, :LATENT] * math.sqrt(SIGNAL)
        codes = torch.randn(TEXTS + HELD_OUT, LATENT, generator=source)
        x = codes @ self.loading.t() + torch.randn(TEXTS + HELD_OUT, OBSERVED, generator=source)
        self.texts, self.held_out = x[:TEXTS], x[TEXTS:]

    @property
    def entropy(self) -> float:
        """The least mean -ln p(x) that any model has."""
        return 0.5 * (OBSERVED * math.log(2 * math.pi * math.e) + LATENT * math.log(1 + SIGNAL))

    @property
    def information(self) -> float:
        """The mean KL of the exact posterior."""
        return 0.5 * LATENT * math.log(1 + SIGNAL)

    @property
    def nll(self) -> float:
        """The mean -ln p(x) of the texts that are measured, by the density that they were drawn from."""
        covariance = self.loading @ self.loading.t() + torch.eye(OBSERVED)
        normal = MultivariateNormal(torch.zeros(OBSERVED).double(), covariance.double())
        return -float(normal.log_prob(self.held_out.double()).mean())


class Linears(nn.Module):
    """q(z|x) with an affine map of x and noise, and p(x|z) = N(Wz + b, I), from the released initial values."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(derive_seed("dual-network", "linears"))
        self.posterior, self.decoder = AffineNoisePosterior(OBSERVED, LATENT), nn.Linear(LATENT, OBSERVED)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -0.1, 0.1)

    def reconstruction(self, x: Tensor, z: Tensor) -> Tensor:
        """-ln p(x|z) of each text."""
        squares = (x - self.decoder(z)).square().sum(-1)
        found: Tensor = 0.5 * (squares + OBSERVED * math.log(2 * math.pi))
        return found

    @torch.no_grad()
    def exact(self, x: Tensor, latent: FactorGaussian) -> tuple[float, float]:
        """The mean of -ln p(x|z) over posteriors and texts, and that of -ln p(x)."""
        weight, bias = self.decoder.weight, self.decoder.bias
        spread = 0.5 * (weight @ latent.factor).square().sum()
        covariance = weight @ weight.t() + torch.eye(OBSERVED)
        nll = -MultivariateNormal(bias.double(), covariance.double()).log_prob(x.double())
        return float((self.reconstruction(x, latent.mean) + spread).mean()), float(nll.mean())


def game(regulariser: str, points: Sequence[int] = POINTS) -> list[dict[str, float]]:
    """A training with the ``dual`` estimate, or with the ``kl`` itself, in the place of the KL."""
    data, model, network = Data(), Linears(), Network(OBSERVED, "game")
    judge = network if regulariser == "dual" else None
    sides = [list(side.parameters()) for side in (model.posterior, model.decoder)]
    optimiser = torch.optim.Adam([*sides[0], *sides[1]], MODEL_RATE)
    weight, found = Linear(start=0, length=round(UNTIL / 0.9), floor=0.1), []
    for step, x in enumerate(batches(data.texts, "game")):
        if step in points:
            found.append({"step": step, **measured(model, judge, data.held_out)})
        if step == points[-1]:
            break
        latent = model.posterior(x)
        z = latent.sample(BatchSource(network.source, len(x)), 1)[0].squeeze(1)
        regular = kl(latent)
        if judge is not None:
            judge.update(x, z.detach())
            regular = Dual({"nu_xz": judge.term})(forward(x, z, z))
        optimiser.zero_grad()
        (model.reconstruction(x, z) + weight(step + 1, dict) * regular).mean().backward()
        for side in sides:
            nn.utils.clip_grad_norm_(side, CLIP)
        optimiser.step()
    return found


@torch.no_grad()
def measured(model: Linears, network: Network | None, x: Tensor) -> dict[str, float]:
    """What is printed of a model, and what is true of it, in nats a text."""
    latent = model.posterior(x)
    reconstruction, nll = model.exact(x, latent)
    found = {"reconstruction": reconstruction, "kl": float(kl(latent).mean()), "nll": nll}
    return found if network is None else {**found, "dual": network.estimate(x, latent)}


def main() -> None:
    """Measure everything and write the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=OUT)
    out = parser.parse_args().out
    prepare_process(1)
    data = Data()
    made = provenance(threads=1)
    kept = {key: made[key] for key in ("code_version", "dirty", "python", "torch", "device")}
    about = {"program": "benchmarks/dual_network.py", "provenance": kept}
    known = {"entropy": data.entropy, "information": data.information, "nll": data.nll}
    games = {regulariser: game(regulariser) for regulariser in ("dual", "kl")}
    write_json(out, about | known | {"frozen": [frozen(s) for s in DEVIATIONS], "games": games})


if __name__ == "__main__":
    main()
