"""-ELBO and perplexities as papers print them; and likelihoods by a proposal that is not the posterior's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.metrics.combine import Mean, Perplexity
from bench.metrics.definitions import NATS, Definition, Metric
from bench.metrics.likelihood import NO_MORE, true_log_probability
from bench.metrics.measures import measure

if TYPE_CHECKING:
    from bench.metrics.context import Context
    from bench.metrics.record import Record

_NO_LESS = "Too high by KL(q || p(z|x))."


@measure(
    "bounds",
    needs=("density",),
    metrics=[Metric("neg_elbo", "\u2212ELBO", place=41)],
    gives=(
        Definition(
            "neg_elbo",
            "one-bound",
            NATS,
            "upper bound",
            "Mean of -ln P(x|z) over codes plus the KL; end symbol counted.",
            _NO_LESS,
            "lower",
            main=True,
            cost=NO_MORE,
            over=Mean("neg_elbo"),
            compared="\u2212ELBO",
        ),
        Definition(
            "neg_elbo",
            "importance-weighted",
            NATS,
            "consistent",
            "The importance-sampled NLL, which some papers print under this name.",
            "It is of -ln P(x), for which it is too high in expectation, and lies below -ELBO.",
            "lower",
            cost=NO_MORE,
            over=Mean("neg_elbo_weighted"),
        ),
        Definition(
            "ppl",
            "one-bound",
            "none",
            "upper bound",
            "exp(sum of -ELBO / sum of targets), end symbol counted.",
            "Too high by a factor, exp(KL(q || p(z|x)) per target).",
            "lower",
            cost=NO_MORE,
            over=Perplexity("neg_elbo"),
        ),
    ),
    only_named=True,
)
def bounds(context: Context, record: Record) -> None:
    """The bound that is printed in place of a likelihood."""
    record.columns["neg_elbo"] = -context.likelihoods["elbo"]
    record.columns["neg_elbo_weighted"] = context.likelihoods["nll"]
    for given in (("neg_elbo", "one-bound"), ("neg_elbo", "importance-weighted"), ("ppl", "one-bound")):
        record.add(*given, samples=context.wanted.samples)


@measure(
    "fewer-samples",
    needs=("density", "prior"),
    gives=[
        Definition(
            "nll",
            f"importance-sampling-{share}",
            NATS,
            "consistent",
            f"The importance-sampled NLL with a {share} of the samples, one at least; the mean over groups of so many.",
            "Too high in expectation, the more so the fewer samples: with one it is -ELBO.",
            "lower",
            cost=NO_MORE,
            over=Mean(f"nll_{share}_of_fewer"),
            compared=f"NLL, a {share} of the samples",
        )
        for share in ("tenth", "hundredth")
    ],
    only_named=True,
)
def fewer_samples(context: Context, record: Record) -> None:
    """What the number of samples is worth: two systems may change places with it."""
    from bench.estimators.likelihood import FEWER

    record.columns |= context.likelihoods_of_fewer
    for share, of in FEWER.items():
        record.add("nll", f"importance-sampling-{share}", samples=max(1, context.wanted.samples // of))


@measure(
    "reconstruction-ppl",
    needs=("posterior",),
    metrics=[Metric("reconstruction_ppl", "PPL of the reconstruction", place=51)],
    gives=[
        Definition(
            "reconstruction_ppl",
            "without-kl",
            "none",
            "not a bound",
            "exp(sum of -ln P(x|z) over codes of q(z|x) / sum of targets), end symbol counted: the KL is left out.",
            "It falls as the KL rises, whatever the likelihood does.",
            "lower",
            main=True,
            cost=NO_MORE,
            over=Perplexity("loss_without_kl"),
        )
    ],
    only_named=True,
)
def reconstruction_ppl(context: Context, record: Record) -> None:
    """What some papers print as perplexity."""
    record.columns["loss_without_kl"] = context.likelihoods["reconstruction"]
    record.add("reconstruction_ppl", "without-kl", samples=context.wanted.samples)


@measure(
    "proposal",
    version=2,
    changed="the proposal is a mixture with the prior and with wider Gaussians",
    needs=("implicit", "prior", "own text"),
    metrics=[Metric("effective_samples", "effective samples", least=1, place=42)],
    gives=(
        Definition(
            "nll",
            "moment-matched",
            NATS,
            "consistent",
            "-ln of the mean importance weight over codes of a mixture, a quarter of them each: of the prior, of a"
            " Gaussian with the mean, and 1.5 times the covariance, of 1,024 codes of the posterior, and of two whose"
            " variances are 0.01 and 0.1 larger; end symbol counted.",
            "Too high in expectation for any number of codes, the more so the further the mixture is from p(z|x).",
            "lower",
            main=True,
            cost="one pass of the decoder over each text for each sample, and 1,024 codes of each text",
            over=Mean("nll"),
            compared="NLL",
        ),
        Definition(
            "ppl",
            "moment-matched",
            "none",
            "consistent",
            "exp(sum of NLL / sum of targets), end symbol counted, from the NLL by the matched mixture.",
            "Too high in expectation, with the NLL.",
            "lower",
            main=True,
            cost=NO_MORE,
            over=Perplexity("nll"),
        ),
        Definition(
            "effective_samples",
            "moment-matched",
            "count",
            "exact",
            "Mean over texts of (sum w)^2 / sum w^2 of the importance weights w: how many equal ones they are worth.",
            "Says little where no code hit what matters: then a few weights are alike, and all too small.",
            "higher",
            main=True,
            cost=NO_MORE,
            over=Mean("effective_samples"),
        ),
    ),
)
def proposal(context: Context, record: Record) -> None:
    """Likelihoods of a model whose posterior has no known density, by codes near it, around it and of the prior."""
    from bench.estimators.proposals import moment_matched

    infer = moment_matched(context.model, context.infer, *context.noise("moments"))
    found = context.likelihoods_by(infer)
    for metric in ("nll", "effective_samples"):
        record.columns[metric] = found[metric]
    for metric in ("nll", "ppl", "effective_samples"):
        record.add(metric, "moment-matched", samples=context.wanted.samples)


@measure(
    "defensive-proposal",
    needs=("density", "prior", "own text"),
    gives=(
        Definition(
            "nll",
            "defensive",
            NATS,
            "consistent",
            "-ln of the mean importance weight over codes of a mixture, half of them each of q(z|x) and of the prior;"
            " end symbol counted.",
            "Too high in expectation for any number of codes, but by little where z says nothing of x, however far q is"
            " from the prior.",
            "lower",
            cost="one pass of the decoder over each text for each sample",
            over=Mean("nll_defensive"),
            compared="NLL, half of the codes of the prior",
        ),
        Definition(
            "ppl",
            "defensive",
            "none",
            "consistent",
            "exp(sum of NLL / sum of targets), end symbol counted, from that NLL.",
            "Too high in expectation, with the NLL.",
            "lower",
            cost=NO_MORE,
            over=Perplexity("nll_defensive"),
        ),
        Definition(
            "excess_nll",
            "defensive",
            NATS,
            "upper bound",
            "Mean of that NLL + ln p(x) with the true probability.",
            "Too high in expectation, with the NLL.",
            "lower",
            cost=NO_MORE,
            over=Mean("excess_defensive"),
            needs=("exact corpus",),
        ),
    ),
    only_named=True,
)
def defensive_proposal(context: Context, record: Record) -> None:
    """The NLL by codes of which half come from the prior, for posteriors that training did not keep near it."""
    from bench.estimators.proposals import with_prior

    infer = with_prior(context.model, context.infer, *context.noise("defensive"))
    nll = record.columns["nll_defensive"] = context.likelihoods_by(infer)["nll"]
    metrics = ["nll", "ppl"]
    if context.corpus.exact is not None:
        record.columns["excess_defensive"] = nll + true_log_probability(context, record)
        metrics.append("excess_nll")
    for metric in metrics:
        record.add(metric, "defensive", samples=context.wanted.samples)


@measure(
    "semi-implicit",
    needs=(
        "implicit",
        "prior",
        "euclidean",  # a code that is drawn back from the border of a ball has no density
        "own text",
    ),
    gives=(
        Definition(
            "neg_elbo",
            "semi-implicit",
            NATS,
            "upper bound",
            "-ELBO of the posterior with Gaussian noise added, its density taken from the mixture over 1,024 codes and"
            " the one that noise was added to (Yin and Zhou 2018); the deviation is the best of five, on other codes.",
            "Too high by KL(q || p(z|x)) of that posterior, and by what the mixture exceeds its density.",
            "lower",
            main=True,
            cost="one pass of the decoder over each text for each sample, and 1,024 codes of each text",
            over=Mean("neg_elbo"),
            compared="\u2212ELBO",
        ),
        Definition(
            "kl",
            "semi-implicit",
            NATS,
            "upper bound",
            "KL to the prior of the posterior with that noise, by the same densities.",
            "Too high by what the mixture exceeds the density of the posterior with noise.",
            cost=NO_MORE,
            over=Mean("kl_semi_implicit"),
        ),
    ),
)
def semi_implicit(context: Context, record: Record) -> None:
    """A bound for a posterior that can only be drawn from."""
    from bench.corpora.batches import Collator
    from bench.estimators.proposals import CHOOSING_TEXTS, best_deviation, smoothed

    names, texts = context.noise("semi-implicit"), context.corpus.splits[record.split]
    few = Collator(texts.first(CHOOSING_TEXTS), context.device)
    deviation = best_deviation(context.model, context.infer, few, *names, "choice")
    found = context.likelihoods_by(smoothed(context.infer, deviation, *names))
    record.columns |= {"neg_elbo": -found["elbo"], "kl_semi_implicit": found["kl_monte_carlo"]}
    for metric in ("neg_elbo", "kl"):
        record.add(metric, "semi-implicit", samples=context.wanted.samples)


@measure(
    "external-proposal",
    needs=("deterministic", "prior", "euclidean", "own text"),
    gives=(
        Definition(
            "nll",
            "external-proposal",
            NATS,
            "upper bound",
            "-ln of the mean importance weight over codes of a mixture that the model knows nothing of, a sixth of them"
            " each: of the prior and of Gaussians around the code of the text, with the deviations 0.03, 0.1, 0.3, 0.6"
            " and 1 in each dimension; end symbol counted.",
            "Too high by much where a code has many dimensions or is far from the prior: no posterior was trained.",
            "lower",
            cost="one pass of the decoder over each text for each sample",
            over=Mean("nll_external"),
            compared="NLL, external proposal",
        ),
        Definition(
            "ppl",
            "external-proposal",
            "none",
            "upper bound",
            "exp(sum of NLL / sum of targets), end symbol counted, from the NLL by the external proposal.",
            "Too high, with the NLL.",
            "lower",
            cost=NO_MORE,
            over=Perplexity("nll_external"),
        ),
        Definition(
            "effective_samples",
            "external-proposal",
            "count",
            "exact",
            "Mean over texts of (sum w)^2 / sum w^2 of the importance weights w of the external proposal.",
            "Says little where no code hit what matters: then a few weights are alike, and all too small.",
            "higher",
            main=True,
            cost=NO_MORE,
            over=Mean("effective_samples"),
        ),
    ),
)
def external_proposal(context: Context, record: Record) -> None:
    """A bound of the likelihood of a model that has one code for each text, under its prior and its decoder."""
    from bench.estimators.proposals import external

    found = context.likelihoods_by(external(context.model, context.infer, *context.noise("external")))
    record.columns |= {"nll_external": found["nll"], "effective_samples": found["effective_samples"]}
    for metric in ("nll", "ppl", "effective_samples"):
        record.add(metric, "external-proposal", samples=context.wanted.samples)
