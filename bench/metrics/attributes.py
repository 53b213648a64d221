"""How much of a known attribute a latent code carries, on corpora whose attributes are known."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bench.metrics.definitions import NATS, Definition, Metric
from bench.metrics.measures import measure

if TYPE_CHECKING:
    from torch import Tensor

    from bench.metrics.context import Context
    from bench.metrics.record import Record


@measure(
    "attributes",
    needs=("posterior", "exact corpus"),
    metrics=[Metric("attribute_information", "attribute information", place=140)],
    gives=[
        Definition(
            "attribute_information",
            "softmax-probe",
            NATS,
            "lower bound",
            "Entropy of the attribute minus the cross-entropy of a softmax regression on one code.",
            "Too low where the code carries the attribute non-linearly.",
            "higher",
            main=True,
            cost="one logistic regression on one code of each text",
        )
    ],
)
def attribute_information(context: Context, record: Record) -> None:
    """Information on the known attributes of a generated corpus in one code per text."""
    import torch

    from bench.corpora.batches import Collator

    corpus = context.corpus
    fitted = context.posteriors(Collator(corpus.splits["train"], context.device))
    train, test = (
        context.codes(q, 1, "probe", split).squeeze(1)
        for q, split in ((fitted, "train"), (context.latent, record.split))
    )
    tables = [corpus.attributes(split) for split in ("train", record.split)]
    for name in (corpus.exact or {}).get("attributes", {}):
        first, second = (table[name].astype(str) for table in tables if table is not None)
        classes = sorted(set(first) | set(second))
        labels = [torch.tensor([classes.index(value) for value in column]) for column in (first, second)]
        value = probe_information(train.cpu(), labels[0], test.cpu(), labels[1], len(classes))
        record.add("attribute_information", "softmax-probe", value, texts=len(second), samples=1, part=name)


def probe_information(
    train: Tensor, labels: Tensor, test: Tensor, test_labels: Tensor, classes: int
) -> float:
    """A lower bound, in nats, of the information between codes and an attribute (Barber and Agakov 2003).

    I(Z; A) >= H(A) - E[-ln r(A|Z)] for any classifier r: here softmax regression on codes (n, d), fitted on
    ``train`` with a ridge chosen beforehand, and scored on ``test``. H(A) is that of the test labels.
    """
    import torch
    from torch.nn import functional as F

    from bench.training.eager import eager

    center, scale = train.mean(0), train.std(0).clamp_min(1e-6)
    inputs, held_out = ((values - center) / scale for values in (train.float(), test.float()))
    weight = torch.zeros(classes, inputs.shape[1], requires_grad=True)
    bias = torch.zeros(classes, requires_grad=True)
    optimiser = eager(torch.optim.LBFGS)([weight, bias], max_iter=100, line_search_fn="strong_wolfe")

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
    shares = labels.bincount(minlength=classes) / len(labels)
    return -math.fsum(share * math.log(share) for share in shares.tolist() if share > 0)
