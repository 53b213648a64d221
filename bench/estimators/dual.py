"""The dual estimate of a KL by a network nu that was fitted to a log-ratio of densities (Fang et al. 2019, section 3).

D(nu) = E_q nu - E_p exp nu + 1 is at most KL(q || p), with equality at nu = ln q/p: KL - D = E_p[e^nu phi(r e^-nu)] for
r = q/p and phi(t) = t ln t - t + 1 >= 0. So -ELBO with D in place of the KL is too low by that much: it is no bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from bench.corpora.batches import Collator
from bench.estimators.likelihood import Infer
from bench.estimators.proposals import codes_of_prior
from bench.models.forward import Forward
from bench.models.model import TextModel
from bench.models.noise import TextSource

ROWS = 16_384  # codes that a network reads at once

Ratio = Callable[[Tensor, Tensor], Tensor]  # nu (n,) of codes (n, d) and encoded texts (n, features)


def dual(posterior: Tensor, prior: Tensor) -> Tensor:
    """D(nu) (...) in nats from nu (..., samples) at codes of a posterior and at codes of the prior."""
    return posterior.double().mean(-1) - prior.double().exp().mean(-1) + 1


@torch.no_grad()
def dual_values(
    model: TextModel,
    ratios: Mapping[str, Ratio],
    collator: Collator,
    samples: int,
    *names: object,
    infer: Infer,
) -> tuple[dict[str, np.ndarray], Tensor]:
    """D(nu) of each text by each of ``ratios``, arrays (texts,), and the mean (texts, d) of the codes of each text.

    ``samples`` codes of its posterior and as many of the prior; those of the posterior are the codes that its
    likelihood is measured with under the same ``names``.
    """
    model.eval()
    found: dict[str, list[np.ndarray]] = {name: [] for name in ratios}
    means, size = list[Tensor](), max(1, ROWS // samples)
    for start in range(0, len(collator.lengths), size):
        batch = collator(range(start, min(start + size, len(collator.lengths))))
        forward = Forward(model, batch)
        encoded = forward.encoded.unsqueeze(1).expand(-1, samples, -1)
        codes = infer(batch).sample(TextSource(batch.index, *names), samples)[0]
        drawn = codes_of_prior(forward, "dual", *names, samples=samples)
        means.append(codes.mean(1))
        for name, ratio in ratios.items():
            values = dual(ratio(codes, encoded), ratio(drawn, encoded))
            found[name].append(values.cpu().numpy())
    return {name: np.concatenate(values) for name, values in found.items()}, torch.cat(means)
