"""How much of a known attribute a latent code carries, on corpora whose attributes are known."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def probe_information(
    train: Tensor, labels: Tensor, test: Tensor, test_labels: Tensor, classes: int
) -> float:
    """A lower bound, in nats, of the information between codes and an attribute (Barber and Agakov 2003).

    I(Z; A) >= H(A) - E[-ln r(A|Z)] for any classifier r: here softmax regression on codes (n, d), fitted on
    ``train`` with a ridge chosen beforehand, and scored on ``test``. H(A) is that of the test labels.
    """
    center, scale = train.mean(0), train.std(0).clamp_min(1e-6)
    inputs, held_out = ((values - center) / scale for values in (train.float(), test.float()))
    weight = torch.zeros(classes, inputs.shape[1], requires_grad=True)
    bias = torch.zeros(classes, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = F.cross_entropy(F.linear(inputs, weight, bias), labels) + weight.square().sum() / len(inputs)
        value.backward()
        return value

    optimiser.step(loss)
    with torch.no_grad():
        cost = float(F.cross_entropy(F.linear(held_out, weight, bias), test_labels))
    return entropy_of(test_labels, classes) - cost


def entropy_of(labels: Tensor, classes: int) -> float:
    """Entropy in nats of the empirical distribution of labels (n,)."""
    shares = torch.bincount(labels, minlength=classes) / len(labels)
    return -math.fsum(share * math.log(share) for share in shares.tolist() if share > 0)
