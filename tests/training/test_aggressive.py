"""Aggressive training of the inference network: against the released algorithm, written out with the library."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import norm
from torch import Tensor, nn

from bench.base.settings import Optimiser, RunSettings
from bench.corpora.batches import Batch
from bench.corpora.prepared import Prepared
from bench.estimators.likelihood import amortised
from bench.models.forward import Forward
from bench.models.model import TextModel
from bench.models.noise import Noise, TextSource
from bench.objectives.objective import Objective, Terms, Weights
from bench.training.aggressive import Aggressive
from bench.training.composition import build_model, build_objective
from bench.training.loop import Interrupted, Trainer
from bench.training.optimiser import Stepper
from bench.training.procedures import Standard
from bench.training.update import Step, Update
from tests.conftest import tiny_settings
from tests.plain import WORDS, collator
from tests.training.resuming import assert_same, stop_after

CPU = torch.device("cpu")
TEXTS = collator([[4, 5, 6, 7, 8], [8], [5, 5, 3], [6, 4], [7], [4, 4, 4]])
BATCHES = [[0, 1, 2, 3], [4, 5], [1, 3, 5]]
CLIP, RATE = 2.0, 0.5
WEIGHTS = {"kl": 0.3, "matching": 0.1}
SGD = Optimiser(kind="sgd", learning_rate=RATE, clip=CLIP, decay_after=1000)


def another(number: int) -> tuple[Batch, Noise]:
    return TEXTS(BATCHES[number % 3]), Noise("another", number)


def step(number: int = 1) -> Step:
    """A step on the first batch."""
    return Step(number, TEXTS(BATCHES[0]), Noise("step", number), WEIGHTS, another)


def built(system: str) -> tuple[TextModel, Objective]:
    settings = tiny_settings(system)
    return build_model(settings, WORDS), build_objective(settings)


def is_inference(name: str) -> bool:
    """Whether a parameter is of the encoder or of the posterior network that is sampled."""
    return name.startswith(("encoder.", "branch.posterior."))


def released(model: TextModel, objective: Objective, inner: int, block: int) -> Terms:
    """One step of the released algorithm, aggressive, with two optimisers."""
    sides: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for name, parameter in model.named_parameters():
        sides[is_inference(name)].append(parameter)
    encoder, decoder = (torch.optim.SGD(sides[which], lr=RATE) for which in (True, False))
    counter, previous, loss, words = 1, 1e4, 0.0, 0
    batch = TEXTS(BATCHES[0])
    while counter < inner + 1:
        model.zero_grad()
        total = objective(Forward(model, batch, Noise("another", counter)), WEIGHTS)["total"]
        words += int(batch.real.sum())
        loss += total.item() * batch.words.shape[1]
        total.backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        encoder.step()
        batch = TEXTS(BATCHES[(counter + 1) % 3])
        if counter % block == 0:
            if previous - loss / words < 0:
                break
            previous, loss, words = loss / words, 0.0, 0
        counter += 1
    model.zero_grad()
    terms = objective(Forward(model, TEXTS(BATCHES[0]), Noise("step", 1)), WEIGHTS)
    terms["total"].backward()
    nn.utils.clip_grad_norm_(model.parameters(), CLIP)
    decoder.step()
    return terms


def update(model: TextModel, objective: Objective) -> Update:
    return Update(model, objective, Stepper(model, SGD))


@pytest.mark.parametrize("system", ["vae", "coupled-vae"])
@pytest.mark.parametrize(("inner", "block"), [(1, 15), (7, 2), (5, 1)])
def test_one_step_equals_the_released_algorithm(system: str, inner: int, block: int) -> None:
    model, objective = built(system)
    reference = copy.deepcopy(model)
    terms, _ = Aggressive(4, inner=inner, block=block)(update(model, objective), step())
    expected = released(reference, objective, inner, block)
    for name, value in terms.items():
        torch.testing.assert_close(value, expected[name], msg=name)
    for (name, a), b in zip(model.named_parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6, msg=name)


@pytest.mark.parametrize("system", ["vae", "coupled-vae"])
def test_one_side_moves_at_a_time(system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, objective = built(system)
    original = Stepper.step
    moved: list[set[str]] = []

    def watched(self: Stepper, *args: object) -> Tensor:
        before = {name: value.detach().clone() for name, value in model.named_parameters()}
        found = original(self, *args)  # type: ignore[arg-type]
        moved.append({name for name, v in model.named_parameters() if not torch.equal(v, before[name])})
        return found

    monkeypatch.setattr(Stepper, "step", watched)
    Aggressive(4, inner=3)(update(model, objective), step())
    names = {name for name, _ in model.named_parameters()}
    inference = {name for name in names if is_inference(name)}
    idle = {name for name in names if name.startswith("twin.posterior.log_std")}  # a twin's code is no sample
    assert moved == [inference] * 3 + [names - inference - idle]


def scripted(model: TextModel, per_token: list[float]) -> Objective:
    """An objective whose loss per target token is given for each call, and whose gradient is zero."""
    values: Iterator[float] = iter(per_token)

    class Scripted(Objective):
        def __call__(self, forward: Forward, weights: Weights) -> Terms:
            batch = forward.batch
            nothing = torch.stack([p.sum() for p in model.parameters()]).sum() * 0
            mean = next(values) * float(batch.real.sum()) / len(batch.lengths)
            return {"reconstruction": nothing.detach() + mean, "total": nothing + mean}

    return Scripted({})


@pytest.mark.parametrize(
    ("losses", "updates"),
    [
        ([3, 3, 2, 2, 1, 1, 1, 1], 7),  # never above the block before: as many as there may be
        ([3, 3, 3, 3.1, 0, 0, 0, 0], 4),
        ([3, 3, 2, 2, 2, 2.1, 0, 0], 6),
        ([3, 5, 4, 3, 0, 9, 0, 0], 6),  # blocks count, not single losses
        ([2e4, 2e4, 0, 0, 0, 0, 0, 0], 2),  # the first is compared with 10000
        ([9e3, 9e3, 9e3, 9e3, 9e3, 9e3, 9e3, 0], 7),
    ],
)
def test_the_inner_updates_end_once_a_block_is_worse(losses: list[float], updates: int) -> None:
    model, _ = built("vae")
    calls = scripted(model, [*losses[:updates], 5.0])  # and the decoder's; the next one would find none
    terms, _ = Aggressive(4, inner=7, block=2)(update(model, calls), step())
    assert float(terms["reconstruction"]) == pytest.approx(5 * float(TEXTS(BATCHES[0]).real.sum()) / 4)
    with pytest.raises(StopIteration):
        calls(Forward(model, TEXTS([0])), {})


@pytest.mark.parametrize(
    ("found", "aggressive"),
    [
        ([1.0], [True]),
        ([1.0, 1.0, 2.0, 1.9], [True, True, True, False]),
        ([-1e-6], [False]),
        ([0.0, 0.5, 0.4, 3.0], [True, True, False, False]),
    ],
)
def test_a_fall_of_the_information_ends_it_for_good(found: list[float], aggressive: list[bool]) -> None:
    procedure, asked = Aggressive(4, mixture=17), []
    values = iter(found)

    def information(block: int) -> float:
        asked.append(block)
        return next(values)

    states = []
    for _ in found:
        procedure.validated(information)
        states.append(procedure.state["aggressive"])
    assert states == aggressive
    measured = aggressive.index(False) + 1 if False in aggressive else len(found)
    assert asked == [17] * measured  # not measured any more once it has ended


def test_once_it_has_ended_a_step_is_the_standard_one() -> None:
    model, objective = built("coupled-vae")
    other = copy.deepcopy(model)
    procedure = Aggressive(4)
    procedure.validated(lambda _: -1.0)
    terms = []
    for which, one in ((model, procedure), (other, Standard(4))):
        terms.append(one(update(which, objective), step()))
    assert torch.equal(terms[0][0]["total"], terms[1][0]["total"])
    assert torch.equal(terms[0][1], terms[1][1])
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)


def settings(**training: int) -> RunSettings:
    """A run that is aggressive at first and then is not."""
    procedure = {"kind": "aggressive", "inner": 3, "block": 1, "mixture": 8}
    few = {"steps": 16, "validate_every": 4, "log_every": 3, "gradient_texts": 0, **training}
    return tiny_settings("vae", procedure=procedure, training=few)


def run(corpus: Prepared, folder: Path, stop: int | None = None) -> Trainer:
    """That run, to its end or stopped by a signal; its information falls at the third validation."""
    trainer = Trainer(settings(), corpus, folder, CPU)
    measured = {4: 0.1, 8: 0.3, 12: 0.2}
    trainer._information = lambda block: measured[trainer.progress.step]  # type: ignore[method-assign]
    if stop is not None:
        stop_after(trainer, stop)
    trainer.train()
    return trainer


@pytest.fixture(scope="module")
def whole(corpus: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    """The run that was never stopped."""
    return run(corpus, tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("stop", [3, 9, 12, 14])
def test_stopping_changes_nothing(stop: int, whole: Trainer, corpus: Prepared, tmp_path: Path) -> None:
    assert whole.procedure.state == {"aggressive": False, "information": 0.2}
    with pytest.raises(Interrupted):
        run(corpus, tmp_path, stop)
    again = run(corpus, tmp_path)
    assert_same(whole, again)


def test_further_batches_are_of_the_epoch_and_their_noise_is_their_own(
    corpus: Prepared, tmp_path: Path
) -> None:
    trainer = Trainer(settings(batch=50), corpus, tmp_path, CPU)  # 600 texts: twelve batches in an epoch
    for number in (1, 12, 13):
        first = (number - 1) // 12 * 12 + 1
        epoch = {tuple(trainer.batch(s).index.tolist()) for s in range(first, first + 12)}
        drawn = [trainer._another(number, i) for i in range(1, 61)]
        chosen = [tuple(batch.index.tolist()) for batch, _ in drawn]
        assert set(chosen) <= epoch
        assert len(set(chosen)) > 9  # sixty draws miss each of the twelve with a chance of (11/12)^60 = 0.005
        noises = {float(noise.source("latent", 1).normal(1)) for _, noise in drawn}
        assert len(noises) == 60
    again = [tuple(trainer._another(13, i)[0].index.tolist()) for i in range(1, 61)]
    assert again == chosen


@pytest.mark.parametrize("block", [2, 8, 32, 1000])
def test_the_information_is_that_of_mixtures_of_texts_of_like_length(
    block: int, corpus: Prepared, tmp_path: Path
) -> None:
    trainer = Trainer(settings(), corpus, tmp_path, CPU)
    posterior = trainer.model.branch.posterior
    assert posterior is not None
    with torch.no_grad():
        for parameter in posterior.parameters():
            parameter.mul_(20)  # so that the posteriors differ
    texts = trainer.texts["valid"]
    order = sorted(range(len(texts.lengths)), key=lambda i: texts.lengths[i])
    with torch.no_grad():
        latent = amortised(trainer.model)(texts(order))
        source = TextSource(torch.tensor(order), "information", trainer.settings.corpus, 0)
        codes = latent.sample(source, 1)[0].squeeze(1).double().numpy()
    mean, log_std = (latent.parameters[name].double().numpy() for name in ("mean", "log_std"))
    logs = norm.logpdf(codes[:, None], mean[None], torch.tensor(log_std).exp().numpy()[None]).sum(-1)
    found = 0.0
    for start in range(0, len(order), block):
        stop = min(start + block, len(order))
        for i in range(start, stop):
            mixture = logsumexp(logs[i, start:stop]) - torch.tensor(float(stop - start)).double().log().item()
            found += (logs[i, i] - mixture) / len(order)
    assert found > 0.1
    assert trainer._information(block) == pytest.approx(found, rel=1e-4)
