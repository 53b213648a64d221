"""The learning rate, clipping, sides, the embedding's updates: against the library as the released code uses it."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from bench.base.errors import BenchError
from bench.base.settings import GroupSettings, Optimiser
from bench.models.forward import Forward
from bench.models.model import TextModel
from bench.models.noise import Noise
from bench.objectives.objective import Objective
from bench.training.aggressive import GENERATION, INFERENCE
from bench.training.composition import build_model, build_objective
from bench.training.optimiser import REST, Stepper, owners
from bench.training.turns import ALL, Turn
from tests.conftest import tiny_settings
from tests.plain import WORDS, collator

BATCH = collator([[4, 5, 6, 7, 8], [8], [5, 5, 3], [6, 4]])(range(4))
OWNERS = [("gru-lm", 1), ("dae", 2), ("vae", 2), ("coupled-vae", 3)]
NO_CLIP = 1e6


def built(system: str) -> tuple[TextModel, Objective]:
    settings = tiny_settings(system)
    return build_model(settings, WORDS), build_objective(settings)


def embedding(updates: str | int) -> dict[str, GroupSettings]:
    """The embedding as a group that is updated so often."""
    return {"embedding": GroupSettings.model_validate({"modules": ["embedding"], "updates": updates})}


def differentiate(model: TextModel, objective: Objective, step: int = 1) -> None:
    model.zero_grad()
    weights = objective.weights_at(1, dict) | {"kl": 1.0}
    objective(Forward(model, BATCH, Noise("step", step)), weights)["total"].backward()


def others(model: TextModel) -> list[nn.Parameter]:
    return [p for p in model.parameters() if p is not model.embedding.weight]


@pytest.mark.parametrize(
    ("step", "halvings"),
    # The released code halves after each iteration that 2000 divides, from 32 000 on.
    [
        (1, 0),
        (30_001, 0),
        (32_000, 0),
        (32_001, 1),
        (34_000, 1),
        (34_001, 2),
        (42_000, 5),
        (50_000, 9),
        (60_000, 14),
        (60_001, 15),
    ],
)
def test_learning_rate(step: int, halvings: int) -> None:
    assert Optimiser().rate(step) == 1e-3 / 2**halvings


def test_the_rate_of_the_step_is_the_one_used() -> None:
    model, objective = built("vae")
    stepper = Stepper(model, Optimiser(clip=NO_CLIP, decay_after=10, decay_every=5))
    differentiate(model, objective)
    before = model.branch.output.bias.detach().clone()
    stepper.set_rate(21)  # after steps 15 and 20
    stepper.step()
    # Adam's first step moves each weight by the rate, but for epsilon beside the gradient.
    change = float((model.branch.output.bias.detach() - before).abs().max())
    assert change == pytest.approx(1e-3 / 4, rel=1e-3)


@pytest.mark.parametrize(("system", "count"), OWNERS)
@pytest.mark.parametrize("updates", [1, "owners", 3])
def test_largest_change_after_one_step_and_adams_counter(system: str, count: int, updates: str | int) -> None:
    model, objective = built(system)
    assert owners(model) == count
    stepper = Stepper(model, Optimiser(clip=NO_CLIP), embedding(updates))
    repeats = count if updates == "owners" else updates
    differentiate(model, objective)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    stepper.step()
    changes = {n: float((v.detach() - before[n]).abs().max()) / 1e-3 for n, v in model.named_parameters()}
    # Within a hundredth: epsilon is small beside the largest gradients, float32 rounds the weights.
    assert changes.pop("embedding.weight") == pytest.approx(repeats, rel=0.01)
    unused = {"twin.posterior.log_std.weight", "twin.posterior.log_std.bias"}
    expected = {name: 0.0 if name in unused else 1.0 for name in changes}
    assert changes == pytest.approx(expected, rel=0.01)
    counters = {name: int(value) for name, value in stepper.state().items() if name.endswith("step")}
    assert counters.pop("embedding/embedding.weight/step") == repeats
    assert set(counters.values()) == {1}


@pytest.mark.parametrize(("system", "count"), OWNERS)
def test_clipping_scales_the_embedding_once_for_each_owner(system: str, count: int) -> None:
    model, objective = built(system)
    differentiate(model, objective)
    stepper = Stepper(model, Optimiser(clip=0.5), embedding("owners"))
    before = [p.grad.clone() for p in others(model) if p.grad is not None]
    shared = model.embedding.weight
    assert shared.grad is not None
    gradient = shared.grad.clone()
    rest = torch.stack([g.square().sum() for g in before]).sum()
    expected = torch.sqrt(count * gradient.square().sum() + rest)
    norm = stepper.step()
    torch.testing.assert_close(norm, expected)
    assert norm > 0.5
    scale = 0.5 / (norm + 1e-6)
    after = [p.grad for p in others(model) if p.grad is not None]
    torch.testing.assert_close(after, [g * scale for g in before])
    torch.testing.assert_close(shared.grad, gradient * scale**count)


def test_a_gradient_below_the_limit_is_left_alone() -> None:
    model, objective = built("vae")
    differentiate(model, objective)
    before = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    norm = Stepper(model, Optimiser(clip=NO_CLIP)).step()
    torch.testing.assert_close(norm, nn.utils.get_total_norm(before))
    after = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(torch.equal(a, b) for a, b in zip(after, before, strict=True))


@pytest.mark.parametrize(("system", "count"), OWNERS)
@pytest.mark.parametrize("clip", [0.5, NO_CLIP])
def test_several_steps_equal_a_list_that_names_the_embedding_repeatedly(
    system: str, count: int, clip: float
) -> None:
    model, objective = built(system)
    twin = copy.deepcopy(model)
    stepper = Stepper(model, Optimiser(clip=clip), embedding("owners"))
    listed = [twin.embedding.weight] * count + others(twin)
    if count > 1:
        with pytest.warns(UserWarning, match="duplicate parameters"):
            adam = torch.optim.Adam(listed, lr=1e-3, foreach=False)
    else:
        adam = torch.optim.Adam(listed, lr=1e-3, foreach=False)
    for step in range(1, 5):
        for which in (model, twin):
            differentiate(which, objective, step)
        stepper.set_rate(step)
        stepper.step()
        nn.utils.clip_grad_norm_(listed, clip, foreach=False)
        adam.step()
    changed = dict(twin.named_parameters())
    for name, value in model.named_parameters():
        # 1/500 of the rate: the fused kernel rounds otherwise, and small gradients are divided by their size.
        torch.testing.assert_close(value, changed[name], rtol=0, atol=2e-6, msg=name)


@pytest.mark.parametrize("clip", [0.5, NO_CLIP])
@pytest.mark.parametrize("updates", [1, "owners"])
def test_plain_gradient_descent_equals_the_library(updates: str | int, clip: float) -> None:
    model, objective = built("coupled-vae")
    twin = copy.deepcopy(model)
    stepper = Stepper(model, Optimiser(kind="sgd", learning_rate=0.3, clip=clip), embedding(updates))
    repeats = 3 if updates == "owners" else 1
    for step in (1, 2, 3):
        for which in (model, twin):
            differentiate(which, objective, step)
        stepper.set_rate(step)
        stepper.step()
        listed = [twin.embedding.weight] * repeats + others(twin)
        nn.utils.clip_grad_norm_(listed, clip, foreach=False)
        rest = torch.optim.SGD(others(twin), lr=0.3, foreach=False)
        shared = torch.optim.SGD([twin.embedding.weight], lr=0.3, foreach=False)
        rest.step()
        for _ in range(repeats):
            shared.step()
    for a, b in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)
    assert stepper.state() == {}


ENCODER = ("encoder.", "branch.posterior.")


@pytest.mark.parametrize("kind", ["adam", "sgd"])
@pytest.mark.parametrize("side", [INFERENCE, GENERATION])
def test_a_step_of_one_side_is_that_of_both_where_it_moves(kind: str, side: Turn) -> None:
    model, objective = built("coupled-vae")
    both = copy.deepcopy(model)
    settings = Optimiser.model_validate({"kind": kind, "clip": 0.5})
    norms = []
    for which, chosen in ((model, side), (both, ALL)):
        stepper = Stepper(which, settings, embedding(2))
        differentiate(which, objective)
        norms.append(stepper.step(chosen))
    assert torch.equal(norms[0], norms[1])  # the gradients of all parameters
    moved, before = dict(both.named_parameters()), dict(built("coupled-vae")[0].named_parameters())
    for name, value in model.named_parameters():
        moves = name.startswith(ENCODER) == (side == INFERENCE)
        assert torch.equal(value, (moved if moves else before)[name]), name


@pytest.mark.parametrize("kind", ["adam", "sgd"])
def test_sides_take_turns_and_each_counts_its_own_steps(kind: str) -> None:
    model, objective = built("vae")
    apart = copy.deepcopy(model)
    stepper = Stepper(model, Optimiser.model_validate({"kind": kind, "clip": NO_CLIP}))
    encoder = [p for name, p in apart.named_parameters() if name.startswith(ENCODER)]
    rest = [p for name, p in apart.named_parameters() if not name.startswith(ENCODER)]
    library = torch.optim.Adam if kind == "adam" else torch.optim.SGD
    optimisers = {INFERENCE: library(encoder, lr=1e-3), GENERATION: library(rest, lr=1e-3)}
    turns = [INFERENCE, INFERENCE, GENERATION, INFERENCE, GENERATION]
    for step, side in enumerate(turns, 1):
        for which in (model, apart):
            differentiate(which, objective, step)
        stepper.step(side)
        optimisers[side].step()
    for a, b in zip(model.parameters(), apart.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=2e-6)


@pytest.mark.parametrize("kind", ["adam", "rmsprop"])
@pytest.mark.parametrize("updates", [1, "owners"])
def test_the_state_taken_back_goes_on_bit_for_bit(updates: str | int, kind: str) -> None:
    settings = Optimiser.model_validate({"kind": kind})
    model, objective = built("coupled-vae")
    stepper = Stepper(model, settings, embedding(updates))
    for step in (1, 2, 3):
        differentiate(model, objective, step)
        stepper.set_rate(step)
        stepper.step()
    again = copy.deepcopy(model)
    fresh = Stepper(again, settings, embedding(updates))
    fresh.load({name: value.clone() for name, value in stepper.state().items()})
    for which, one in ((model, stepper), (again, fresh)):
        differentiate(which, objective, 4)
        one.set_rate(4)
        one.step()
    for a, b in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
    found, wanted = fresh.state(), stepper.state()
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_forgotten_gradients_are_none() -> None:
    model, objective = built("vae")
    differentiate(model, objective)
    Stepper(model, Optimiser()).zero()
    gradients: list[Tensor | None] = [p.grad for p in model.parameters()]
    assert gradients == [None] * len(gradients)


def test_a_state_by_number_is_that_of_the_embedding_and_then_of_the_rest() -> None:
    """As checkpoints held it before there were groups."""
    model, objective = built("coupled-vae")
    stepper = Stepper(model, Optimiser(), embedding("owners"))
    differentiate(model, objective)
    stepper.step()
    wanted = stepper.state()
    numbers = {name: f"1.{i}" for i, name in enumerate(n for n in stepper.parameters if n[:9] != "embedding")}
    old = {}
    for place, value in wanted.items():
        _, name, key = place.split("/")
        old[f"{numbers.get(name, '0.0')}.{key}"] = value.clone()
    assert {key.split(".")[0] for key in old} == {"0", "1"}
    fresh = Stepper(copy.deepcopy(model), Optimiser(), embedding("owners"))
    fresh.load(old)
    found = fresh.state()
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize("epsilon", [1e-8, 0.1])
def test_rmsprop_equals_the_library(epsilon: float) -> None:
    model, objective = built("vae")
    twin = copy.deepcopy(model)
    settings = Optimiser(kind="rmsprop", learning_rate=0.01, smoothing=0.9, epsilon=epsilon, clip=NO_CLIP)
    stepper = Stepper(model, settings)
    library = torch.optim.RMSprop(twin.parameters(), lr=0.01, alpha=0.9, eps=epsilon, foreach=False)
    for step in (1, 2, 3):
        for which in (model, twin):
            differentiate(which, objective, step)
        stepper.set_rate(step)
        stepper.step()
        library.step()
    for a, b in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_gradients_are_clipped_by_value() -> None:
    model, objective = built("vae")
    differentiate(model, objective)
    before = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    limit = float(torch.cat([g.flatten() for g in before.values()]).abs().median())
    norm = Stepper(model, Optimiser(clip=limit, clip_by="value")).step()
    torch.testing.assert_close(norm, nn.utils.get_total_norm(list(before.values())))
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        assert torch.equal(parameter.grad, before[name].clamp(-limit, limit)), name


def groups(**declared: dict[str, object]) -> dict[str, GroupSettings]:
    return {name: GroupSettings.model_validate(group) for name, group in declared.items()}


def test_a_group_has_its_own_optimiser_and_is_clipped_by_itself() -> None:
    model, objective = built("vae")
    twin = copy.deepcopy(model)
    own = {"modules": ["encoder", "branch.posterior"], "kind": "sgd", "learning_rate": 0.2, "clip": 0.3}
    stepper = Stepper(model, Optimiser(clip=0.5, decay_after=0, decay_every=1), groups(encoder=own))
    encoder = [p for name, p in twin.named_parameters() if name.startswith(ENCODER)]
    rest = [p for name, p in twin.named_parameters() if not name.startswith(ENCODER)]
    libraries = [torch.optim.SGD(encoder, lr=0.1), torch.optim.Adam(rest, lr=0.0005)]
    for which in (model, twin):
        differentiate(which, objective)
    whole = nn.utils.get_total_norm([p.grad for p in twin.parameters() if p.grad is not None])
    nn.utils.clip_grad_norm_(encoder, 0.3)
    nn.utils.clip_grad_norm_(rest, 0.5)
    stepper.set_rate(2)  # both rates have been halved once
    torch.testing.assert_close(stepper.step(), whole)
    for library in libraries:
        library.step()
    for a, b in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=2e-6)
    assert {name.split("/")[0] for name in stepper.state()} == {REST}


def test_what_is_frozen_has_no_gradient_and_stays() -> None:
    model, objective = built("coupled-vae")
    frozen = groups(still={"modules": ["embedding", "encoder", "branch.posterior"], "frozen": True})
    stepper = Stepper(model, Optimiser(), frozen)
    before = copy.deepcopy(dict(model.named_parameters()))
    for step in (1, 2):
        differentiate(model, objective, step)
        stepper.step()
    for name, value in model.named_parameters():
        still = name.startswith(("embedding.", *ENCODER))
        assert value.requires_grad != still
        if not name.startswith("twin.posterior.log_std"):
            assert torch.equal(value, before[name]) == still, name


@pytest.mark.parametrize("whole", [False, True])
def test_the_whole_gradient_counts_in_the_norm_if_a_turn_says_so(whole: bool) -> None:
    model, objective = built("vae")
    differentiate(model, objective)
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    counted = [g for name, g in gradients.items() if whole or name.startswith("encoder.")]
    norm = Stepper(model, Optimiser()).step(Turn(moves=("encoder",), whole=whole))
    torch.testing.assert_close(norm, nn.utils.get_total_norm(counted))


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"a": {"modules": ["encoder"]}, "b": {"modules": ["encoder"]}}, "is in the groups a and b"),
        ({"a": {"modules": ["enc"]}}, "no parameter is of a module 'enc'"),
        ({"a": {"modules": ["embedding", "encoder", "branch"], "frozen": True}}, "nothing would be trained"),
    ],
)
def test_groups_that_do_not_fit_the_model_are_refused(
    declared: dict[str, dict[str, object]], message: str
) -> None:
    with pytest.raises(BenchError, match=message):
        Stepper(built("vae")[0], Optimiser(), groups(**declared))


def test_a_turn_moves_modules_by_their_names() -> None:
    turn = Turn(terms=("kl",), moves=("branch", "encoder"), stays=("branch.posterior",))
    assert [turn.takes(name) for name in ("kl", "mmd")] == [True, False]
    moved = ["branch.output.weight", "branch.posterior.mean.weight", "branches.x", "encoder"]
    assert [turn.changes(name) for name in moved] == [True, False, False, True]
    assert Turn(without=("kl",)).takes("mmd")
