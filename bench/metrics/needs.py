"""What a measure may need of a system and its corpus, and which measures a run is measured by.

Whether a need is met is known before anything is trained: from the settings of the run, and from the ``corpus.json``
of its corpus. So a number that a system cannot have is told apart from one that was not measured yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.base.errors import unknown
from bench.base.needs import given_by
from bench.base.registry import NONE, lookup
from bench.base.settings import RunSettings
from bench.base.text_rules import TEXT
from bench.metrics.definitions import Definition
from bench.metrics.measures import Measure, find_measure, measures
from bench.store.evaluators import evaluator_identity

NEEDS = {
    "posterior": "the system has codes of texts",
    "density": "codes are drawn from a posterior with a density",
    "gaussian": "codes are drawn from a diagonal Gaussian",
    "deterministic": "each text has one code, which is not drawn",
    "prior": "codes can be drawn from a prior",
    "one prior": "the prior is the same for all texts, whatever they are given",
    "plain prior": "the prior is N(0, I), or there is none",
    "likelihood": "the likelihood of a text can be estimated",
    "language model": "the system has no codes, and its likelihood is exact",
    "implicit": "codes are drawn from a posterior whose density is not known",
    "euclidean": "codes may be anywhere in R^d",
    "poincare-ball": "codes are in the Poincaré ball",
    "ratio": "the system has networks that are fitted to log-ratios of densities",
    "condition": "the model is given another text of the example, as the post that a response answers",
    "own text": "codes are of the text that is written, so that p(z) P(x|z) / q(z|x) weighs them",
    "reader": "codes are of another text of the example than is written, as of the post that a response answers",
    "regulariser": "the objective has a term kl",
    "twin": "the system has a deterministic twin",
    "released sampler": "the system was trained with the released sampler of the vMF distribution",
    "closed-form KL": "the KL of the posterior to the prior is known in closed form",
    "flow": "flows stand between the code and the decoder",
    "exact corpus": "the true probability of each text is known",
}
KL = "kl"  # the term of an objective that a gradient is measured of
EVALUATOR = "evaluator "  # before the name of an evaluator that the paper declares
OF_PARTS = (  # what parts give by the same word
    "posterior",
    "density",
    "gaussian",
    "flow",
    "implicit",
    "euclidean",
    "poincare-ball",
    "prior",
    "ratio",
    "twin",
)
OF_CORPUS = frozenset({"exact corpus"})  # what only the prepared corpus tells


def offered(run: RunSettings, corpus: Mapping[str, Any]) -> frozenset[str]:
    """The needs that a run meets; ``corpus`` is the content of ``corpus.json``."""
    given = given_by(run.used())
    codes = "posterior" in given
    deterministic = codes and "stochastic" not in given
    held = {
        **{need: need in given for need in OF_PARTS},
        "one prior": "prior" in given and "condition" not in lookup("prior", run.prior.kind).needs,
        "plain prior": codes and run.prior.kind in (NONE, "standard-normal"),
        "condition": bool(run.conditions),
        "own text": codes and (run.reads or corpus.get("encodes", TEXT)) == corpus.get("decodes", TEXT),
        "reader": run.reads is not None,
        "deterministic": deterministic,
        "likelihood": "density" in given or not codes or (deterministic and run.reads is not None),
        "language model": not codes,
        "regulariser": KL in run.objective,
        "released sampler": run.posterior.options.get("sampler") == "released",
        "exact corpus": corpus.get("exact") is not None,
    }
    evaluators = {EVALUATOR + name for name in run.evaluation.evaluators}
    return frozenset(name for name, met in held.items() if met) | evaluators


def applicable(run: RunSettings, corpus: Mapping[str, Any]) -> list[Measure]:
    """The measures of which the run meets all needs; where its paper selects measures, of those alone.

    A measure that is made only where it is named is among them if the evaluation names it.

    Raises :class:`BenchError` for a selected measure that there is not, and for a need of no known name.
    """
    return _chosen(run, offered(run, corpus))


def _chosen(run: RunSettings, met: frozenset[str]) -> list[Measure]:
    chosen, also = run.evaluation.measures, run.evaluation.also
    for name in (*(chosen or ()), *also):
        find_measure(name, where=f"the measures that {run.paper} selects")
    for one in measures().values():
        check_needs(one)
    every = [one.name for one in measures().values() if not one.only_named]
    names = {*(every if chosen is None else chosen), *also}
    return [one for one in measures().values() if one.name in names and set(one.needs) <= met]


def check_needs(one: Measure) -> None:
    """Raise :class:`BenchError` for a need that no system could meet, since it has no meaning."""
    for need in (*one.needs, *(need for given in one.gives for need in given.needs)):
        if need not in NEEDS and not need.startswith(EVALUATOR):
            raise unknown("need", need, NEEDS, where=f"measure {one.name}")


def expected(one: Measure, met: frozenset[str]) -> list[Definition]:
    """The definitions of which a measure gives a number, for a system that meets these needs."""
    return [given for given in one.gives if set(given.needs) <= met]


def refusal(run: RunSettings, metric: str, estimator: str | None) -> str:
    """What a run would have to be for a measure to give such a number of it; empty if nothing of its parts is amiss."""
    met = offered(run, {}) | OF_CORPUS | {"own text"}
    unmet = [
        [need for need in (*one.needs, *given.needs) if need in NEEDS and need not in met]
        for one in measures().values()
        for given in one.gives
        if given.metric == metric and estimator in (None, given.estimator)
    ]
    fewest = min(unmet, key=len, default=[])
    return "; ".join(NEEDS[need] for need in fewest)


def wanted(run: RunSettings, corpus: Mapping[str, Any]) -> dict[str, Any]:
    """The version of each measure of a run, by the measure's name.

    The version of a measure with evaluators also says which: they are measured with, so another one counts as
    another version.
    """
    return {one.name: _version(one, run, corpus) for one in applicable(run, corpus)}


def wanted_here(run: RunSettings, corpus: Mapping[str, Any]) -> dict[str, Any]:
    """Those of them that can be made on this machine, by the libraries that are installed."""
    found = wanted(run, corpus)
    return {name: version for name, version in found.items() if find_measure(name).can_be_made}


def asked(run: RunSettings) -> dict[str, Any]:
    """The same of every measure that may apply to a run, as far as it is known before its corpus is prepared."""
    declared = run.evaluation.evaluators
    return {
        one.name: [one.version, *(declared[name].model_dump(mode="json") for name in one.evaluators)]
        for one in _chosen(run, offered(run, {}) | OF_CORPUS)
    }


def _version(one: Measure, run: RunSettings, corpus: Mapping[str, Any]) -> int | str:
    declared, data = run.evaluation.evaluators, str(corpus.get("data_hash"))
    identities = [f"{name}:{evaluator_identity(declared[name], data)}" for name in one.evaluators]
    return " ".join([str(one.version), *identities]) if identities else one.version
