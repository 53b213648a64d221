"""The critic of codes and the term that deceives it: against the losses written out, and who learns from which."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from bench.base.errors import BenchError
from bench.models.forward import Forward
from bench.models.noise import Noise
from bench.objectives.adversarial import Adversarial, Discrimination
from bench.training.composition import build_model
from tests.conftest import tiny_settings
from tests.plain import WORDS, collator

BATCH = collator([[4, 5, 6, 7, 8], [8], [5, 5, 3], [6, 4]])(range(4))
CODES = 4  # their size in a tiny run


@pytest.fixture
def forward() -> Forward:
    return Forward(build_model(tiny_settings("vae"), WORDS), BATCH, Noise("critic"))


def critic(hidden: int = 6, layers: int = 2) -> Discrimination:
    torch.manual_seed(1)
    return Discrimination(CODES, hidden=hidden, layers=layers)


def test_the_losses_are_the_cross_entropies_of_the_released_code(forward: Forward) -> None:
    network = critic()
    z = forward.main.z
    prior = forward.model.prior.sample(4, Noise("critic").generator("prior"))
    ones, zeros = torch.ones(4, 1), torch.zeros(4, 1)
    wanted = cross_entropy(network.network(prior), ones, reduction="none") + cross_entropy(
        network.network(z), zeros, reduction="none"
    )
    torch.testing.assert_close(network(forward), wanted.squeeze(1))
    deceived = cross_entropy(network.network(z), ones, reduction="none").squeeze(1)
    torch.testing.assert_close(Adversarial({"discrimination": network})(forward), deceived)


def gradients(module: nn.Module) -> list[Tensor]:
    return [p.grad for p in module.parameters() if p.grad is not None]


def test_the_critic_learns_from_its_own_loss_and_the_encoder_from_the_other(forward: Forward) -> None:
    network = critic()
    network(forward).mean().backward(retain_graph=True)
    assert len(gradients(network)) == len(list(network.parameters()))
    assert gradients(forward.model) == []
    network.zero_grad()
    Adversarial({"d": network}, critic="d")(forward).mean().backward()
    assert gradients(network) == []
    assert len(gradients(forward.model.encoder)) == len(list(forward.model.encoder.parameters()))


@pytest.mark.parametrize("layers", [1, 3])
def test_the_network_has_its_layers(layers: int) -> None:
    sizes = [tuple(m.weight.shape) for m in critic(layers=layers).network if isinstance(m, nn.Linear)]
    assert sizes == [(6, CODES), *[(6, 6)] * (layers - 1), (1, 6)]


def test_a_critic_that_can_tell_and_one_that_cannot(forward: Forward) -> None:
    network = critic()
    nn.init.zeros_(network.network[-1].weight)  # type: ignore[arg-type]
    nn.init.zeros_(network.network[-1].bias)  # type: ignore[arg-type]
    even = torch.full((4,), 0.5).log()
    torch.testing.assert_close(network(forward), -2 * even)
    torch.testing.assert_close(Adversarial({"discrimination": network})(forward), -even)


class Other:
    """A term that is no critic."""

    def __call__(self, forward: Forward) -> Tensor:
        return torch.zeros(())


def test_another_term_is_no_critic(forward: Forward) -> None:
    with pytest.raises(BenchError, match="'kl' is no critic"):
        Adversarial({"kl": Other()}, critic="kl")(forward)


def test_the_settings_name_a_term_that_there_is() -> None:
    deceiver = {"kind": "adversarial", "critic": "discriminator"}
    objective: dict[str, Any] = {"adversarial": deceiver, "discrimination": "discrimination"}
    with pytest.raises(BenchError, match="unknown term 'discriminator'"):
        tiny_settings("vae", objective=objective)


def test_without_a_critic_there_is_nobody_to_deceive() -> None:
    with pytest.raises(BenchError, match="term 'adversarial' needs the property 'critic'"):
        tiny_settings("vae", objective={"adversarial": "adversarial"})
