"""Semi-amortised inference: the ascent and its gradient against finite differences and the plain models."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.base.errors import BenchError
from bench.base.settings import Optimiser
from bench.corpora.batches import Batch
from bench.corpora.prepared import Prepared
from bench.estimators.likelihood import amortised, text_likelihoods
from bench.models.distributions import DiagonalGaussian
from bench.models.forward import Forward
from bench.models.model import TextModel
from bench.models.noise import Noise, NoiseSource, TextSource
from bench.models.second_order import twice_differentiable
from bench.objectives.objective import Objective
from bench.training.composition import build_model, build_objective
from bench.training.loop import Interrupted, Trainer
from bench.training.optimiser import Stepper
from bench.training.procedures import Standard
from bench.training.semi_amortised import BOUND, SemiAmortised
from bench.training.update import Step, Update
from tests.conftest import tiny_settings
from tests.plain import WORDS, Plain, collator
from tests.training.resuming import assert_same, stop_after

CPU = torch.device("cpu")
TEXTS = [[4, 5, 6, 7, 8], [8], [5, 5, 3], [6, 4]]
BATCH = collator(TEXTS)(range(4))
WEIGHT, LOOSE = 0.7, 1e6


def built(system: str = "vae", dropout: float = 0.2) -> tuple[TextModel, Objective]:
    """A model whose codes matter: its signals are larger than at first."""
    changes = {choice: {"dropout": dropout} for choice in ("encoder", "decoder")}
    settings = tiny_settings(system, 0, **changes)
    model = build_model(settings, WORDS)
    with torch.no_grad():
        for branch in (model.branch, model.twin):
            if branch is not None and branch.signal is not None:
                branch.signal.outer.weight.mul_(8)
                branch.decoder.projection.weight.mul_(3)
                branch.output.weight.mul_(4)
    return model, build_objective(settings)


def bound(
    model: TextModel,
    latent: DiagonalGaussian,
    batch: Batch,
    source: NoiseSource,
    noise: Noise | None = None,
    weight: float = WEIGHT,
) -> Tensor:
    """Reconstruction + weight * KL at one code of each text, averaged over the batch."""
    forward = Forward(model, batch, noise, source=source, latent=latent)
    return BOUND(forward, {"kl": weight})["total"]


def gradients(procedure: Standard, model: TextModel, objective: Objective) -> dict[str, Tensor]:
    """The gradient that the procedure finds for one step, unclipped."""
    model = copy.deepcopy(model)  # it is stepped
    stepper = Stepper(model, Optimiser(clip=LOOSE))
    given = Step(1, BATCH, Noise("step"), {"kl": WEIGHT}, lambda number: (BATCH, Noise("another", number)))
    procedure(Update(model, objective, stepper), given)
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def as_doubles(model: TextModel) -> TextModel:
    model.double()
    return model


@pytest.mark.parametrize("clip", [LOOSE, 0.3])
@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_the_gradient_through_the_ascent_equals_finite_differences(momentum: float, clip: float) -> None:
    """With dropout: along random directions of the start and of all that the decoder is made of."""
    procedure = SemiAmortised(4, ascents=3, momentum=momentum, clip=clip)
    model = as_doubles(built()[0])
    generator = torch.Generator().manual_seed(0)
    mean, log_std = (torch.randn(4, 4, generator=generator).double().requires_grad_() for _ in range(2))
    inputs = [mean, log_std, *(p for name, p in model.named_parameters() if decodes(name))]
    norms: list[float] = []

    def final(*_: Tensor) -> Tensor:
        noise = Noise("fixed")
        source = noise.source("latent", 4)

        def loss(latent: DiagonalGaussian) -> Tensor:
            return bound(model, latent, BATCH, source, noise)

        with twice_differentiable(CPU):
            latent = procedure.refine(DiagonalGaussian(mean, log_std), loss, through=True)
            norms.append(float((latent.mean - mean).detach().norm()))
            return loss(latent)

    assert torch.autograd.gradcheck(final, inputs, eps=1e-6, atol=1e-7, rtol=1e-6, fast_mode=True)
    # Three steps of at most 0.3, the momentum adding the steps before: a way that is longer was not clipped.
    longest = 0.3 * sum(momentum**i for k in (1, 2, 3) for i in range(k))
    assert (norms[0] > longest) == (clip == LOOSE)


def decodes(name: str) -> bool:
    """Whether a parameter is used in the loss of given posteriors."""
    return name.startswith(("embedding", "branch.")) and not name.startswith("branch.posterior")


def plain_gradients(
    model: TextModel, ascents: int, momentum: float, clip: float, rate: float
) -> dict[str, Tensor]:
    """The same from the plain models: no batches, no dropout, doubles, the library's cell."""
    plain = Plain(model)
    noise = Noise("step").source("latent", len(TEXTS))

    def bound(mean: Tensor, log_variance: Tensor) -> Tensor:
        drawn = noise.normal(1, 4).double().squeeze(1)
        z = mean + (log_variance / 2).exp() * drawn
        kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum()
        losses = [
            plain.losses("branch", t, plain.signal("branch", c)).sum() for t, c in zip(TEXTS, z, strict=True)
        ]
        return (torch.stack(losses).sum() + WEIGHT * kl) / len(TEXTS)

    encoded = torch.stack([plain.encode(text) for text in TEXTS])
    x = [
        plain.affine("branch.posterior.mean", encoded),
        2 * plain.affine("branch.posterior.log_std", encoded),
    ]
    v: list[Tensor | None] = [None, None]
    for _ in range(ascents):
        found = torch.autograd.grad(bound(*x), x, create_graph=True)
        for i, g in enumerate(found):
            size = g.square().sum().sqrt()
            g = g if size < clip else g * clip / size
            previous = v[i]
            v[i] = -g if previous is None else momentum * previous - g
            x[i] = x[i] + rate * v[i]  # type: ignore[operator]
    bound(*x).backward()
    return {name: p.grad for name, p in plain.p.items() if p.grad is not None}


@pytest.mark.parametrize(("ascents", "momentum", "clip"), [(1, 0.0, LOOSE), (4, 0.5, LOOSE), (4, 0.5, 0.5)])
def test_the_whole_gradient_equals_that_of_the_plain_model(
    ascents: int, momentum: float, clip: float
) -> None:
    model, objective = built(dropout=0)
    expected = plain_gradients(model, ascents, momentum, clip, rate=0.8)
    procedure = SemiAmortised(4, ascents=ascents, rate=0.8, momentum=momentum, clip=clip)
    found = gradients(procedure, model, objective)
    assert found.keys() == expected.keys()
    direct = gradients(Standard(4), model, objective)
    for name, value in found.items():
        size = expected[name].norm()
        assert (value.double() - expected[name]).norm() < 1e-4 * size, name  # in float32, through the ascent
        assert (value.double() - direct[name].double()).norm() > 1e-2 * size, name


def test_without_steps_the_gradient_is_the_standard_one() -> None:
    model, objective = built()
    found = gradients(SemiAmortised(32, ascents=0), model, objective)
    expected = gradients(Standard(4), model, objective)
    assert found.keys() == expected.keys()
    for name, value in found.items():
        assert torch.equal(value, expected[name]), name


def test_a_twin_reads_the_refined_code() -> None:
    model, objective = built("coupled-vae")
    found = gradients(SemiAmortised(4, ascents=2), model, objective)
    assert {name for name, _ in model.named_parameters()} - found.keys() == {
        "twin.posterior.log_std.weight",
        "twin.posterior.log_std.bias",
    }
    assert all(value.isfinite().all() for value in found.values())


def refined(procedure: SemiAmortised, model: TextModel, batch: Batch) -> DiagonalGaussian:
    with torch.no_grad():
        latent = procedure.inference(model)(batch)
    assert isinstance(latent, DiagonalGaussian)
    return latent


def test_one_text_is_refined_alike_in_training_and_when_it_is_measured() -> None:
    """A batch of one text, no dropout: the clipping of the batch is that of the text."""
    model, _ = built(dropout=0)
    procedure = SemiAmortised(4, ascents=5, rate=3.0, clip=1.0)
    for text in (0, 1, 2, 3):
        batch = collator(TEXTS)([text])
        source = TextSource(batch.index, "semi-amortised")

        def loss(latent: DiagonalGaussian, batch: Batch = batch, source: TextSource = source) -> Tensor:
            return bound(model, latent, batch, source, weight=1.0)

        start = amortised(model)(batch)
        assert isinstance(start, DiagonalGaussian)
        with twice_differentiable(CPU):
            through = procedure.refine(start, loss, through=True)
        found = refined(procedure, model, batch)
        torch.testing.assert_close(found.mean, through.mean, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found.log_std, through.log_std, rtol=1e-4, atol=1e-5)
        assert (found.mean - start.mean).norm() > 0.1


@pytest.mark.parametrize("clip", [LOOSE, 0.2])
def test_a_step_of_the_mean_of_a_batch_is_divided_by_its_texts(clip: float) -> None:
    """From one step without noise, as the released code takes it: x - g / norm for a gradient above the clip."""
    model, _ = built(dropout=0)
    start = amortised(model)(BATCH)
    assert isinstance(start, DiagonalGaussian)
    leaves = [start.mean.detach().requires_grad_(), (2 * start.log_std).detach().requires_grad_()]
    noise = Noise("one")
    mean = bound(model, DiagonalGaussian(leaves[0], leaves[1] / 2), BATCH, noise.source("latent", 4))
    found = torch.autograd.grad(mean, leaves)
    source = Noise("one").source("latent", 4)

    def loss(latent: DiagonalGaussian) -> Tensor:
        return bound(model, latent, BATCH, source)

    with twice_differentiable(CPU):
        latent = SemiAmortised(4, ascents=1, clip=clip).refine(start, loss, through=True)
    for before, after, gradient in (
        (start.mean, latent.mean, found[0]),
        (2 * start.log_std, 2 * latent.log_std, found[1]),
    ):
        assert gradient.norm() > 0.2
        expected = before - gradient * min(1.0, clip / float(gradient.norm()))
        torch.testing.assert_close(after, expected, rtol=1e-4, atol=1e-5)


def test_refinement_lowers_the_loss_of_each_text() -> None:
    model, _ = built(dropout=0)
    procedure = SemiAmortised(1, ascents=60, rate=0.05)
    found, start = refined(procedure, model, BATCH), amortised(model)(BATCH)
    losses = []
    for latent in (start, found):
        columns = text_likelihoods(model, collator(TEXTS), 500, "noise", infer=chosen(latent))
        losses.append(torch.from_numpy(-columns["elbo"]))
    assert (losses[1] < losses[0] - 0.1).all()


def chosen(latent: Any) -> Callable[[Batch], Any]:
    """Posteriors that are known, for the texts of a batch."""
    return lambda batch: latent.map(lambda values: values[batch.index])


@pytest.mark.parametrize("order", [[3, 1, 2, 0], [1, 3], [0, 2], [1], [2]])
def test_a_text_is_refined_alike_in_every_batch(order: Sequence[int]) -> None:
    model, _ = built()
    procedure = SemiAmortised(3, ascents=8, rate=0.5, clip=1.5)
    whole = refined(procedure, model, BATCH)
    found = refined(procedure, model, collator(TEXTS)(order))
    for name, value in found.parameters.items():
        torch.testing.assert_close(value, whole.parameters[name][list(order)], rtol=1e-4, atol=1e-5)


def test_measuring_changes_no_weight_and_repeats_itself() -> None:
    model, _ = built()
    before = copy.deepcopy(model.state_dict())
    procedure = SemiAmortised(2, ascents=4)
    first, second = refined(procedure, model, BATCH), refined(procedure, model, BATCH)
    for name, value in first.parameters.items():
        assert torch.equal(value, second.parameters[name])
        assert not value.requires_grad
        assert not torch.allclose(value, amortised(model)(BATCH).parameters[name], atol=1e-2)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_importance_sampling_with_the_refined_proposal_finds_the_same_likelihood() -> None:
    model, _ = built(dropout=0)
    split = collator(TEXTS)
    procedure = SemiAmortised(4, ascents=20, rate=0.5)
    nll = [
        torch.from_numpy(text_likelihoods(model, split, 4000, name, infer=infer)["nll"])
        for name, infer in (("one", amortised(model)), ("two", procedure.inference(model)))
    ]
    bounds = [
        text_likelihoods(model, split, 4000, "three", infer=infer)["elbo"].mean()
        for infer in (amortised(model), procedure.inference(model))
    ]
    assert bounds[1] > bounds[0] + 0.3  # the proposals differ
    torch.testing.assert_close(nll[0], nll[1], rtol=0, atol=0.1)


def test_other_posteriors_are_refused() -> None:
    model, objective = built("dae")
    with pytest.raises(BenchError, match="diagonal Gaussian"):
        gradients(SemiAmortised(32), model, objective)
    with pytest.raises(BenchError, match="diagonal Gaussian"):
        SemiAmortised(32).inference(model)(BATCH)


def run(corpus: Prepared, folder: Path, stop: int | None = None) -> Trainer:
    settings = tiny_settings(
        "vae",
        procedure={"kind": "semi-amortised", "ascents": 2},
        training={"steps": 8, "validate_every": 4, "log_every": 2, "gradient_texts": 0},
    )
    trainer = Trainer(settings, corpus, folder, CPU)
    if stop is not None:
        stop_after(trainer, stop)
    trainer.train()
    return trainer


def test_a_run_validates_with_refined_posteriors_and_goes_on_where_it_stopped(
    corpus: Prepared, tmp_path: Path
) -> None:
    whole = run(corpus, tmp_path / "whole")
    with pytest.raises(Interrupted):
        run(corpus, tmp_path / "parts", stop=5)
    assert_same(whole, run(corpus, tmp_path / "parts"))
    names = ("validation", whole.settings.corpus, 0)
    infer = SemiAmortised(whole.settings.training.batch, ascents=2).inference(whole.model)
    found = text_likelihoods(whole.model, whole.texts["valid"], 2, *names, infer=infer)
    assert whole.progress.validations[-1]["nll"] == pytest.approx(found["nll"].mean(), rel=1e-6)
