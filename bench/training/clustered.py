"""Training whose flows know centres among the codes of texts, found before the first step (Wang & Wang 2019)."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from scipy.cluster.vq import kmeans2
from torch import Tensor

from bench.base.errors import BenchError
from bench.base.registry import part
from bench.base.seeds import derive_seed
from bench.corpora.batches import Collator
from bench.estimators.likelihood import amortised, posteriors
from bench.models.flows import PlanarFlowSignal
from bench.models.model import TextModel
from bench.models.noise import TextSource
from bench.training.procedures import Standard

NAME = "centres"  # of the random numbers


@part("procedure", "clustered", needs={"flow": "the centres are kept with the flows"})
class Clustered(Standard):
    """One gradient step on all parameters together, once centres of the codes are known.

    They are the means of the clusters that k-means finds among the codes of all training texts (``codes``: the
    ``means`` of the posteriors or one of their ``samples`` each), started by k-means++. The codes are those of the
    model as it then is, thus of another one that has lent its modules (``starts_from``). The paper does not say which
    codes it has clustered, nor from which start.
    """

    def __init__(self, batch: int, *, codes: Literal["means", "samples"] = "means") -> None:
        super().__init__(batch)
        self.codes = codes

    def prepare(self, model: TextModel, texts: Collator) -> None:
        """Give the flows their centres. Raises :class:`BenchError` where there are fewer texts than centres."""
        flow = model.branch.signal
        if not isinstance(flow, PlanarFlowSignal) or not len(flow.centres):
            raise BenchError(
                "no flow has centres that could be found",
                where="procedure clustered",
                remedy="give the signal planar-flow a number of centres",
            )
        with torch.no_grad():
            flow.centres.copy_(torch.from_numpy(centres(self._codes(model, texts), len(flow.centres))))

    def _codes(self, model: TextModel, texts: Collator) -> np.ndarray:
        """A code of each training text (texts, d)."""
        model.eval()
        order = np.arange(len(texts.lengths))
        latent = posteriors(amortised(model), texts, order)
        found: Tensor = latent.center()
        if self.codes == "samples":
            index = torch.arange(len(order), device=found.device)
            found = latent.sample(TextSource(index, NAME), 1)[0].squeeze(1)
        return found.double().cpu().numpy()


def centres(codes: np.ndarray, count: int) -> np.ndarray:
    """The means (count, d) of the clusters of codes (n, d). Raises :class:`BenchError` for fewer codes than that."""
    if len(np.unique(codes, axis=0)) < count:
        raise BenchError(f"fewer than {count} different codes have no {count} centres", where=NAME)
    random = np.random.Generator(np.random.PCG64(derive_seed(NAME)))
    found: np.ndarray = kmeans2(codes, count, iter=100, minit="++", rng=random)[0]
    return found
