"""What each measured number is: unit, validity and bias of its estimator, in words for the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Validity = Literal["exact", "consistent", "upper bound", "lower bound", "not a bound"]
NATS = "nats per text"


@dataclass(frozen=True)
class Metric:
    """What holds of a metric whatever its estimator: its symbol, and between which numbers it must lie."""

    symbol: str
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True)
class Definition:
    """One estimator of one metric. ``main`` marks the estimator that stands for the metric by default.

    ``cost`` is that of one measurement, in words. ``version`` rises when its numbers change: then it alone is
    measured again.
    """

    unit: str
    validity: Validity
    definition: str
    bias: str | None = None
    better: Literal["lower", "higher"] | None = None
    main: bool = False
    cost: str = ""
    version: int = 1


METRICS = {
    "nll": Metric("NLL", 0),
    "kl": Metric("KL", 0),
    "ppl": Metric("PPL", 1),
    "elbo": Metric("ELBO"),
    "reconstruction": Metric("reconstruction", 0),
    "mi": Metric("MI", 0),
    "active_units": Metric("active units", 0),
    "bleu": Metric("BLEU", 0, 100),
    "bleu1": Metric("BLEU-1", 0, 100),
    "bleu2": Metric("BLEU-2", 0, 100),
    "dist1": Metric("Dist-1", 0, 1),
    "dist2": Metric("Dist-2", 0, 1),
    "grad_norm_rec": Metric("∂rec/∂e", 0),
    "grad_norm_rec_coupled": Metric("∂rec\u2032/∂e", 0),
    "grad_norm_rec_total": Metric("∂(rec + rec\u2032)/∂e", 0),
    "grad_norm_reg": Metric("∂reg/∂e", 0),
    "signal_sensitivity": Metric("∂h/∂e", 0),
    "excess_nll": Metric("NLL \u2212 entropy"),
    "attribute_information": Metric("attribute information"),
}


_SQUARED = "Mean of squared norms, dropout on, as the released code averages."
_NORM = "Mean of the norms, dropout off, one sampled code."
_BACKWARD, _GREEDY = "one backward pass for each text", "greedy decoding of each text for each code"
_GRADIENTS = {
    "grad_norm_rec": (
        "Gradient of the token-summed reconstruction with respect to the encoded text e.",
        _BACKWARD,
    ),
    "grad_norm_rec_coupled": ("The same of the twin's reconstruction.", _BACKWARD),
    "grad_norm_rec_total": ("The same of the sum of both reconstructions.", _BACKWARD),
    "grad_norm_reg": ("Gradient of the unweighted regulariser with respect to e.", _BACKWARD),
    "signal_sensitivity": (
        "Frobenius norm of dh/de over the norm of h, the sampled noise held fixed.",
        "one backward pass for each dimension of the decoding signal",
    ),
}
_RELEASED: tuple[tuple[str, str, str, str, Literal["lower"] | None], ...] = (
    ("nll", "importance-sampling", NATS, "Importance-sampled NLL", "lower"),
    ("ppl", "importance-sampling", "none", "Perplexity of the importance-sampled NLL", "lower"),
    ("kl", "monte-carlo", NATS, "Mean of ln q(z|x) - ln p(z)", None),
)
_MODES = {
    "squared-training-mode": _SQUARED,
    "norm-training-mode": "Mean of the norms, dropout on.",
    "norm-evaluation-mode": _NORM,
    "squared-evaluation-mode": "Mean of squared norms, dropout off.",
}

DEFINITIONS: dict[tuple[str, str], Definition] = {
    ("nll", "exact"): Definition(
        NATS,
        "exact",
        "-ln P(x), end symbol counted, by the chain rule.",
        better="lower",
        main=True,
        cost="one pass of the decoder over each text",
    ),
    ("nll", "importance-sampling"): Definition(
        NATS,
        "consistent",
        "-ln of the mean importance weight p(z)P(x|z)/q(z|x) over codes from q(z|x); end symbol counted.",
        "Too high in expectation for any number of codes, the more so the further q is from the posterior.",
        better="lower",
        main=True,
        cost="one pass of the decoder over each text for each sample",
    ),
    ("ppl", "exact"): Definition(
        "none",
        "exact",
        "exp(sum of NLL / sum of targets), end symbol counted.",
        better="lower",
        main=True,
        cost="none beyond the NLL",
    ),
    ("ppl", "importance-sampling"): Definition(
        "none",
        "consistent",
        "exp(sum of NLL / sum of targets), end symbol counted, from the importance-sampled NLL.",
        "Too high in expectation, with the NLL.",
        better="lower",
        main=True,
        cost="none beyond the NLL",
    ),
    **{
        (metric, f"{estimator}-released-sampler"): Definition(
            unit,
            "not a bound",
            f"{what} with codes of the released vMF sampler.",
            "Above a concentration of 10 the codes are not those whose density is divided by.",
            better,
            cost="as much as the NLL",
        )
        for metric, estimator, unit, what, better in _RELEASED
    },
    ("elbo", "one-bound"): Definition(
        NATS,
        "lower bound",
        "Mean of ln P(x|z) over codes minus the KL.",
        "Below ln P(x) by KL(q || p(z|x)).",
        "higher",
        cost="none beyond the NLL: from the same samples",
    ),
    ("reconstruction", "mean"): Definition(
        NATS,
        "consistent",
        "Mean of -ln P(x|z) over codes of q(z|x), end symbol counted; exact for a deterministic code.",
        main=True,
        cost="none beyond the NLL: from the same samples",
    ),
    ("kl", "analytic"): Definition(
        NATS, "exact", "KL(q(z|x) || p(z)) in closed form.", main=True, cost="one pass of the encoder"
    ),
    ("kl", "monte-carlo"): Definition(
        NATS,
        "consistent",
        "Mean of ln q(z|x) - ln p(z) over codes of q(z|x).",
        cost="none beyond the NLL: from the same samples",
    ),
    ("mi", "leave-one-out"): Definition(
        NATS,
        "upper bound",
        "Mean of ln q(z|x) minus ln of the mean density under the other texts of a block, in file order.",
        "Too high, without limit: it can exceed the KL, which no mutual information can. Too low where texts of a"
        " block are more alike than any of the split.",
        cost="a density for each code of a text and each text of its block",
    ),
    ("mi", "self-included"): Definition(
        NATS,
        "lower bound",
        "The same with the own text kept in the mixture of the block.",
        "Too low: it cannot exceed ln(texts in the block), and texts of a block may be alike.",
        cost="none beyond leaving one out",
    ),
    ("mi", "like-length"): Definition(
        NATS,
        "lower bound",
        "Self-included, in mixtures of 32 texts of like length, as the code of Lagging-VAE estimates it.",
        "Too low: it cannot exceed ln 32 = 3.47, and texts of like length may be alike.",
        cost="a density for each code of a text and each text of its batch",
    ),
    ("mi", "aggregate"): Definition(
        NATS,
        "lower bound",
        "KL minus KL(q(z) || p(z)), with q(z) the mixture over all texts of the split, own text included.",
        "Too low: it cannot exceed ln(texts in the split); nearer than the estimate on blocks.",
        main=True,
        cost="a density for each code of a text and each text of the split",
    ),
    ("active_units", "variance-of-means"): Definition(
        "count",
        "exact",
        "Dimensions whose posterior mean has a variance over texts above 0.01.",
        main=True,
        cost="one pass of the encoder",
    ),
    ("bleu1", "precision-times-brevity"): Definition(
        "percent",
        "exact",
        "Unigram precision x brevity penalty of greedy reconstructions from sampled codes; no unknown words.",
        better="higher",
        main=True,
        cost=_GREEDY,
    ),
    ("bleu2", "precision-times-brevity"): Definition(
        "percent",
        "exact",
        "Bigram precision x brevity penalty (not cumulative BLEU-2) of the same reconstructions.",
        better="higher",
        main=True,
        cost=_GREEDY,
    ),
    ("bleu2", "cumulative"): Definition(
        "percent",
        "exact",
        "Cumulative BLEU-2, the geometric mean of both precisions x brevity penalty, of the same reconstructions.",
        better="higher",
        cost=_GREEDY,
    ),
    **{
        (metric, f"{estimator}-unmasked"): Definition(
            "percent",
            "exact",
            f"{what}, of reconstructions in which the unknown word may be written.",
            better="higher",
            cost=_GREEDY,
        )
        for metric, estimator, what in (
            ("bleu1", "precision-times-brevity", "Unigram precision x brevity penalty"),
            ("bleu2", "precision-times-brevity", "Bigram precision x brevity penalty"),
            ("bleu2", "cumulative", "Cumulative BLEU-2"),
        )
    },
    ("bleu", "sacrebleu"): Definition(
        "percent",
        "exact",
        "Cumulative corpus BLEU of the same reconstructions by sacrebleu, without its tokeniser.",
        better="higher",
        main=True,
        cost=_GREEDY,
    ),
    ("dist1", "prior-samples"): Definition(
        "ratio",
        "exact",
        "Distinct unigrams over all, pooled over greedy samples from the prior.",
        "Falls as the number of samples grows.",
        "higher",
        main=True,
        cost="greedy decoding of each sample from the prior",
    ),
    ("dist2", "prior-samples"): Definition(
        "ratio",
        "exact",
        "Distinct bigrams over all, within samples, pooled over greedy samples from the prior.",
        "Falls as the number of samples grows.",
        "higher",
        main=True,
        cost="greedy decoding of each sample from the prior",
    ),
    ("excess_nll", "over-true-probability"): Definition(
        NATS,
        "upper bound",
        "Mean of NLL + ln p(x) with the true probability: the divergence from the language.",
        "Too high where the NLL is importance-sampled; exact for a language model.",
        "lower",
        main=True,
        cost="none beyond the NLL: the true probability is exact",
    ),
    ("attribute_information", "softmax-probe"): Definition(
        NATS,
        "lower bound",
        "Entropy of the attribute minus the cross-entropy of a softmax regression on one code.",
        "Too low where the code carries the attribute non-linearly.",
        "higher",
        main=True,
        cost="one logistic regression on one code of each text",
    ),
    **{
        (metric, mode): Definition(
            "none", "exact", f"{text} {how}", main=mode == "squared-training-mode", cost=cost
        )
        for metric, (text, cost) in _GRADIENTS.items()
        for mode, how in _MODES.items()
    },
}


def name_of(metric: str, estimator: str) -> str:
    """The name under which a record knows a measure."""
    return f"{metric} {estimator}"


def wanted() -> dict[str, int]:
    """The measures of a run by name, with their versions; one that does not apply to a system yields nothing."""
    return {name_of(*key): definition.version for key, definition in DEFINITIONS.items()}


ALL = frozenset(wanted())


def _of(*metrics: str) -> frozenset[str]:
    """The names of all measures of some metrics, but for those with the released sampler: they stand by themselves."""
    keys = ((metric, estimator) for metric, estimator in DEFINITIONS if metric in metrics)
    return frozenset(name_of(*key) for key in keys if not key[1].endswith("-released-sampler"))


LIKELIHOOD = _of("nll", "ppl", "elbo", "kl", "reconstruction", "excess_nll")
RECONSTRUCTION = _of("bleu", "bleu1", "bleu2")
GRADIENTS = _of(*(metric for metric, _ in DEFINITIONS if metric.startswith(("grad_norm", "signal"))))
INFORMATION = _of("mi", "active_units")
