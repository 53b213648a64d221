"""Updates that take turns, with a critic and an optimiser of its own: against the algorithm written out; resumed."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from bench.base.errors import BenchError
from bench.base.settings import RunSettings
from bench.corpora.prepared import Prepared
from bench.models.forward import Forward
from bench.models.noise import Noise
from bench.objectives.adversarial import Discrimination
from bench.objectives.dual import DensityRatio
from bench.training.composition import Composition
from bench.training.loop import Interrupted, Trainer
from bench.training.optimiser import Stepper
from bench.training.procedures import Alternating
from bench.training.run import train_run
from bench.training.turns import Turn
from bench.training.update import Step, Update
from tests.conftest import tiny_settings
from tests.ivae import ivae_settings
from tests.plain import WORDS, collator
from tests.training.resuming import assert_same, stop_after

CPU = torch.device("cpu")
TEXTS = collator([[4, 5, 6, 7, 8], [8], [5, 5, 3], [6, 4], [7], [4, 4, 4]])
BATCHES = [[0, 1, 2, 3], [4, 5], [1, 3, 5]]
CRITIC = "terms.discrimination"


def settings(
    further: bool = False, inner: int = 3, options: dict[str, Any] | None = None, **changes: Any
) -> RunSettings:
    """A small adversarial autoencoder, whose critic is trained by RMSprop and clipped by value."""
    critic = {"modules": [CRITIC], "kind": "rmsprop", "learning_rate": 0.02, "clip": 0.1, "clip_by": "value"}
    terms = {
        "discrimination": {"kind": "discrimination", "hidden": 6, "layers": 1},
        "adversarial": {"kind": "adversarial", "weight": 0.5},
    }
    procedure = {"inner": inner, "further": further, "inner_terms": ["discrimination"]}
    return tiny_settings(
        "vae",
        objective={"kl": "none", **terms},
        procedure={"kind": "alternating", "inner_groups": ["critic"], **procedure, **(options or {})},
        groups={"critic": critic},
        **changes,
    )


def another(number: int) -> tuple[Any, Noise]:
    return TEXTS(BATCHES[number % 3]), Noise("another", number)


@pytest.mark.parametrize("further", [False, True])
def test_one_step_equals_the_algorithm(further: bool) -> None:
    run = settings(further)
    made, reference = Composition(run, WORDS), Composition(run, WORDS)
    stepper = Stepper(made.model, run.optimiser, run.groups, made.auxiliary)
    weights = {"adversarial": 0.5}
    step = Step(1, TEXTS(BATCHES[0]), Noise("step"), weights, another)
    terms, norm = made.procedure(Update(made.model, made.objective, stepper), step)

    model, critic = reference.model, reference.objective.terms["discrimination"]
    assert isinstance(critic, Discrimination)
    inner = torch.optim.RMSprop(critic.parameters(), lr=0.02, alpha=0.99, eps=1e-8)
    outer = torch.optim.Adam(model.parameters(), lr=0.01)
    for number in (1, 2, 3):
        batch, noise = another(number)
        loss = critic(Forward(model, batch if further else step.batch, noise)).mean()
        inner.zero_grad()
        loss.backward()
        nn.utils.clip_grad_value_(critic.parameters(), 0.1)
        inner.step()
    forward = Forward(model, step.batch, Noise("step"))
    names = ("reconstruction", "adversarial")
    found = {name: reference.objective.terms[name](forward).mean() for name in names}
    outer.zero_grad()
    (found["reconstruction"] + 0.5 * found["adversarial"]).backward()
    expected = nn.utils.clip_grad_norm_(model.parameters(), run.optimiser.clip)
    outer.step()
    for name, value in {**found, "discrimination": loss}.items():
        torch.testing.assert_close(terms[name], value.detach(), msg=name)
    assert set(terms) == {*names, "discrimination", "total"}
    torch.testing.assert_close(norm, expected)
    for name, value in made.state_dict().items():
        torch.testing.assert_close(value, reference.state_dict()[name], rtol=1e-4, atol=2e-6, msg=name)


GROUPS = {"a": ("encoder",), "b": ("branch.decoder", "branch.output")}


def test_what_is_not_named_is_left_to_the_outer_update() -> None:
    procedure = Alternating(4, GROUPS, inner_terms=("kl",), inner_groups=("a",))
    assert procedure.turns == (
        Turn(terms=("kl",), moves=("encoder",)),
        Turn(without=("kl",), stays=("encoder",)),
    )
    named = Alternating(
        4, GROUPS, inner_terms=("kl",), inner_groups=("a", "b"), outer_terms=("mmd",), outer_groups=("b",)
    )
    assert named.turns == (
        Turn(terms=("kl",), moves=(*GROUPS["a"], *GROUPS["b"])),
        Turn(terms=("mmd",), moves=GROUPS["b"]),
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inner_terms": ["discriminator"]}, "unknown term 'discriminator'"),
        ({"outer_terms": ["kl"]}, "unknown term 'kl'"),
        ({"inner_groups": ["critics"]}, "unknown group 'critics'"),
    ],
)
def test_names_that_do_not_exist_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        settings(options=options)


@pytest.fixture(scope="module")
def whole(corpus: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    """A run that was never stopped."""
    trainer = Trainer(settings(), corpus, tmp_path_factory.mktemp("whole"), CPU)
    trainer.train()
    return trainer


@pytest.mark.parametrize("stop", [1, 17, 20, 39])
def test_stopping_changes_nothing(stop: int, whole: Trainer, corpus: Prepared, tmp_path: Path) -> None:
    first = Trainer(settings(), corpus, tmp_path, CPU)
    stop_after(first, stop)
    with pytest.raises(Interrupted):
        first.train()
    second = Trainer(settings(), corpus, tmp_path, CPU)
    assert second.progress.step == stop
    second.train()
    assert_same(whole, second)


def test_critic_and_model_both_learn_and_are_logged(whole: Trainer) -> None:
    fresh = Composition(settings(), len(whole.model.embedding.weight)).state_dict()
    moved = {
        name for name, value in whole.composition.state_dict().items() if not torch.equal(value, fresh[name])
    }
    assert {name.split(".")[0] for name in moved} == {"embedding", "encoder", "branch", "terms"}
    assert {key.split("/")[0] for key in whole.stepper.state()} == {"(rest)", "critic"}
    for row in whole.progress.history:
        assert {"reconstruction", "adversarial", "discrimination", "total", "gradient_norm"} <= row.keys()


def test_a_critic_begins_with_the_values_of_its_seed_and_moves_no_others() -> None:
    one, same, other = (Composition(settings(seed=seed), WORDS).state_dict() for seed in (0, 0, 1))
    plain = Composition(tiny_settings("vae"), WORDS).state_dict()
    critic = [name for name in one if name.startswith(f"{CRITIC}.")]
    assert len(critic) == 4
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not any(torch.equal(one[name], other[name]) for name in critic)
    assert all(torch.equal(one[name], value) for name, value in plain.items())


def test_the_run_folder_has_the_critic(corpora: Path, tmp_path: Path) -> None:
    run = settings(training={"steps": 4, "validate_every": 2})
    done = train_run(run, corpora, tmp_path / "runs", tmp_path / "state", device="cpu", threads=1)
    counts = done["parameters"]
    assert counts[CRITIC] == 4 * 6 + 6 + 6 + 1
    assert counts["total"] == sum(number for name, number in counts.items() if name != "total")
    weights = load_file(tmp_path / "runs" / run.name / "model.safetensors")
    assert sum(value.numel() for value in weights.values()) == counts["total"]


def test_a_critic_that_diverges_is_named(corpora: Path, tmp_path: Path) -> None:
    class Broken(Discrimination):
        def __call__(self, forward: Forward) -> torch.Tensor:
            return super().__call__(forward) * math.nan

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.objectives.adversarial.Discrimination", Broken)
        done = train_run(settings(), corpora, tmp_path / "runs", tmp_path / "state", device="cpu", threads=1)
    assert done["state"] == "diverged"
    assert done["reason"].startswith("discrimination became NaN at step 1;")


def test_terms_may_differ_from_step_to_step(
    corpus: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Alternating.__call__

    def now_and_then(self: Alternating, update: Update, step: Step) -> Any:
        return original(self, update, step) if step.number % 2 else update(step, self.turns[1])

    monkeypatch.setattr(Alternating, "__call__", now_and_then)
    trainer = Trainer(settings(training={"log_every": 1, "steps": 4}), corpus, tmp_path, CPU)
    trainer.train()
    assert ["discrimination" in row for row in trainer.progress.history] == [True, False, True, False]


STILL: dict[str, Any] = {"modules": ["embedding", "encoder", "branch.posterior"], "frozen": True}


def test_a_frozen_group_stays_to_the_last_bit(corpus: Prepared, tmp_path: Path) -> None:
    """Also the running statistics of its batches."""
    posterior = {"kind": "planar-flow"}
    trainer = Trainer(
        tiny_settings("vae-nf", posterior=posterior, groups={"still": STILL}), corpus, tmp_path, CPU
    )
    before = copy.deepcopy(trainer.model.state_dict())
    trainer.train()
    for name, value in trainer.model.state_dict().items():
        still = name.startswith(("embedding.", "encoder.", "branch.posterior."))
        assert torch.equal(value, before[name]) == still, name


def test_one_step_of_ivae_is_its_algorithm() -> None:
    """Five updates of both networks at the same codes, then encoder and decoder, each clipped by itself."""
    run = ivae_settings(
        groups={"inference": {"clip": 0.05}, "generation": {"clip": 0.1}, "ratios": {"learning_rate": 0.02}}
    )
    made, reference = Composition(run, WORDS), Composition(run, WORDS)
    step = Step(1, TEXTS(BATCHES[0]), Noise("step"), {"kl": 0.3}, another)
    stepper = Stepper(made.model, run.optimiser, run.groups, made.auxiliary)
    terms, _ = made.procedure(Update(made.model, made.objective, stepper), step)

    model, (nu_xz, nu_z) = reference.model, (reference.objective.terms[name] for name in ("nu_xz", "nu_z"))
    assert isinstance(nu_xz, DensityRatio)
    assert isinstance(nu_z, DensityRatio)
    forward = Forward(model, step.batch, Noise("step"))
    z, h = forward.main.z, forward.encoded
    inner = torch.optim.Adam([*nu_xz.parameters(), *nu_z.parameters()], lr=0.02)
    for number in range(1, 6):
        prior = Noise("step").anew("prior", number).generator("prior")
        drawn = model.prior.sample(4, prior)  # seen by both networks
        loss = torch.zeros(())
        for network in (nu_xz, nu_z):
            values = network.value(drawn, h.detach()).exp() - network.value(z.detach(), h.detach())
            loss = loss + values.mean()
        inner.zero_grad()
        loss.backward()
        inner.step()
    encoder = [*model.encoder.parameters(), *model.branch.posterior.parameters()]  # type: ignore[union-attr]
    decoder = [p for p in model.parameters() if all(p is not other for other in encoder)]
    outer = torch.optim.Adam(model.parameters(), lr=0.01)
    outer.zero_grad()
    (forward.main.cross_entropy(4) + 0.3 * nu_xz.value(z, h.detach()).mean()).backward()
    assert nn.utils.clip_grad_norm_(encoder, 0.05) > 0.05
    assert nn.utils.clip_grad_norm_(decoder, 0.1) > 0.1
    outer.step()
    assert set(terms) == {"reconstruction", "kl", "nu_xz", "nu_z", "total"}
    for name, value in made.state_dict().items():
        torch.testing.assert_close(value, reference.state_dict()[name], rtol=1e-4, atol=2e-6, msg=name)


def test_a_further_batch_has_other_codes() -> None:
    with pytest.raises(BenchError, match="a further batch has other codes"):
        Alternating(4, GROUPS, inner_terms=("kl",), inner_groups=("a",), further=True, same_codes=True)
