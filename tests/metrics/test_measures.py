"""The registry of measures, and what is known of a system before it is measured."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench.base.errors import BenchError
from bench.catalog.catalog import load_catalog
from bench.metrics import measures as registry
from bench.metrics.definitions import NATS, Definition, Metric
from bench.metrics.measures import counted_over, definitions, measure, measures, metrics, on_list
from bench.metrics.needs import NEEDS, applicable, asked, check_needs, expected, offered, refusal, wanted
from bench.planning.resolve import resolve
from tests.conftest import tiny_settings

EXACT = {"exact": {"entropy": 1.0}, "data_hash": "d"}
HEAVY = ("torch", "pandas", "sacrebleu", "scipy", "kenlm", "matplotlib")


@pytest.fixture
def marked() -> Iterator[None]:
    """Measures that a test registers are gone after it."""
    before = dict(registry._MARKED)
    yield
    registry._MARKED.clear()
    registry._MARKED.update(before)
    registry._known.cache_clear()


def given(metric: str, estimator: str) -> Definition:
    return Definition(metric, estimator, "words", "exact", "Made up.")


def test_a_marked_function_is_found_with_its_metrics(marked: None) -> None:
    @measure(
        "made-up",
        needs=["prior"],
        metrics=[Metric("made_up", "MU", place=15)],
        gives=[given("made_up", "by-hand")],
    )
    def made_up(context: object, record: object) -> None:
        """Nothing."""

    assert measures()["made-up"].function is made_up
    assert list(metrics())[:3] == ["nll", "made_up", "ppl"]
    assert definitions()["made_up", "by-hand"].unit == "words"


def test_a_measure_whose_numbers_changed_says_in_what() -> None:
    assert [one.name for one in measures().values() if (one.version > 1) != bool(one.changed)] == []


@pytest.mark.parametrize(
    ("name", "gives", "of", "message"),
    [
        ("likelihood", [], [], "two measures have the name 'likelihood'"),
        ("made-up", [], [Metric("nll", "NLL")], "two measures have the metric 'nll'"),
        ("made-up", [given("nll", "exact")], [], "two measures have the estimator 'nll, exact'"),
    ],
)
def test_names_are_unique(
    marked: None, name: str, gives: list[Definition], of: list[Metric], message: str
) -> None:
    measures()
    with pytest.raises(BenchError, match=message):
        measure(name, gives=gives, metrics=of)(lambda context, record: None)


def test_a_clash_names_the_file_of_a_users_own_measure(marked: None, monkeypatch: pytest.MonkeyPatch) -> None:
    measures()
    monkeypatch.setattr(registry, "file_of", {__name__: Path("mine/measures/a.py")}.get)
    with pytest.raises(BenchError, match=r"bench\.metrics\.likelihood\.likelihood and mine/measures/a\.py: "):
        measure("likelihood")(lambda context, record: None)


def test_a_validity_that_is_none_is_told(marked: None) -> None:
    wrong = replace(given("nll", "by-hand"), validity="exakt")  # type: ignore[arg-type]
    measure("made-up", gives=[wrong])(lambda context, record: None)
    with pytest.raises(BenchError, match=r"unknown validity 'exakt'(.|\n)*did you mean 'exact'"):
        definitions()


def test_a_metric_that_nobody_declares_and_a_need_that_nobody_meets_are_errors(marked: None) -> None:
    measure("made-up", needs=["pryor"], gives=[given("made_up", "by-hand")])(lambda context, record: None)
    with pytest.raises(BenchError, match=r"unknown metric 'made_up'"):
        definitions()
    with pytest.raises(BenchError, match=r"unknown need 'pryor'(.|\n)*did you mean 'prior'"):
        check_needs(registry._MARKED["made-up"])


OF_A_VAE = {
    *("posterior", "euclidean", "own text", "density", "gaussian", "prior", "likelihood", "regulariser"),
    *("exact corpus", "one prior", "plain prior"),
}


@pytest.mark.parametrize(
    ("system", "met"),
    [
        ("gru-lm", {"likelihood", "language model", "exact corpus"}),
        ("dae", {"posterior", "deterministic", "euclidean", "own text", "exact corpus", "plain prior"}),
        ("vae", OF_A_VAE),
        ("coupled-vae", OF_A_VAE | {"twin"}),
    ],
)
def test_what_a_system_offers_is_known_from_its_settings(system: str, met: set[str]) -> None:
    run = tiny_settings(system)
    assert offered(run, EXACT) == met
    assert offered(run, {"exact": None}) == met - {"exact corpus"}
    read = {"encodes": "context", "decodes": "response"}
    assert offered(run, EXACT | read) == met - {"own text"}


def test_a_prior_that_is_not_what_a_measure_is_about_is_refused_with_the_reason() -> None:
    """The KL of all codes to the prior is of one prior; the figure of a plane draws N(0, I)."""
    names = {"also": ["aggregate-kl", "plane"]}
    for paper, system, corpus, left in (
        ("coupled-vae", "vae", "generated-tiny", {"aggregate-kl", "plane"}),
        ("coupled-vae", "dae", "generated-tiny", {"plane"}),
        ("coupled-vae", "cvae", "generated-pairs-tiny", set()),
        ("flow-prior", "mog-vae", "generated-tiny", {"aggregate-kl"}),
    ):
        run = resolve(load_catalog(), "demo", paper, corpus, system, 0, settings={"evaluation": names})
        assert {one.name for one in applicable(run, EXACT)} & set(names["also"]) == left, system
        refused = {m: refusal(run, m, None) for m in ("aggregate_kl", "outside_plane")}
        assert bool(refused["aggregate_kl"]) == ("aggregate-kl" not in left), system
        assert bool(refused["outside_plane"]) == ("plane" not in left), system
    assert "N(0, I)" in refused["outside_plane"]


def test_which_measures_apply_and_what_they_give() -> None:
    names = {system: list(wanted(tiny_settings(system), EXACT)) for system in ("gru-lm", "dae")}
    assert names["gru-lm"] == ["likelihood", "excess"]
    assert "information" not in names["dae"]
    assert "excess" not in wanted(tiny_settings("vae"), {"exact": None})
    assert "excess" in asked(tiny_settings("vae"))  # which may turn out once the corpus is prepared
    likelihood = measures()["likelihood"]
    of_lm = expected(likelihood, offered(tiny_settings("gru-lm"), EXACT))
    assert [(one.metric, one.estimator) for one in of_lm] == [("nll", "exact"), ("ppl", "exact")]
    chosen = tiny_settings("vae", evaluation={"measures": ["diversity"]})
    assert [one.name for one in applicable(chosen, EXACT)] == ["diversity"]


def test_a_measure_with_an_evaluator_has_its_identity_in_its_version() -> None:
    versions = []
    for order in (2, 3, 3):
        evaluators = {"ngram": {"kind": "kneser-ney", "order": order}}
        versions.append(
            wanted(tiny_settings("vae", evaluation={"evaluators": evaluators}), EXACT)["sample-ppl"]
        )
    assert versions[0] != versions[1] == versions[2]


def test_the_lists_of_the_report() -> None:
    assert on_list("pairs") == ("nll", "kl", "mi")
    assert on_list("sign tests") == ("nll", "ppl", "kl", "mi", "bleu1", "dist2")
    assert on_list("relative") == ("ppl",)
    assert on_list("overview") == (
        *(
            "nll",
            "ppl",
            "excess_nll",
            "reconstruction",
            "kl",
            "mi",
            "active_units",
            "bleu1",
            "bleu2",
            "dist2",
        ),
    )


def test_definitions_are_read_without_heavy_packages() -> None:
    code = f"""
import sys
from bench.catalog.catalog import load_catalog
from bench.metrics.measures import definitions
load_catalog(), definitions()
print([name for name in {HEAVY} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", measures())
def test_every_measure_is_explained(name: str) -> None:
    one = measures()[name]
    check_needs(one)
    assert one.gives or one.shows
    assert (one.function.__doc__ or "").split("\n")[0].endswith(".")
    assert {given.metric for given in one.gives} <= set(metrics())
    assert all(given.cost and given.definition.endswith(".") for given in one.gives)
    assert {given.unit for given in one.gives if given.compared} <= {NATS}  # as the page of differences says


def test_every_need_is_that_of_a_measure() -> None:
    each = [need for one in measures().values() for need in one.needs]
    each += [need for one in measures().values() for given in one.gives for need in given.needs]
    assert set(NEEDS) <= set(each)


@pytest.mark.parametrize(
    ("metric", "estimator", "said"),
    [
        ("dist1", "prior-samples", "texts decoded from codes of the prior"),
        ("sample_ppl", "ngram", "texts decoded from codes of the prior"),
        ("unigram_kl", "first-samples", "texts decoded from codes of the prior"),
        ("unigram_entropy", "training-texts", "texts of the training split"),
        ("rev_ppl", "as-released", "texts of the training split"),
        ("rev_ppl", "first-samples", "texts of the test split"),  # which a model of the samples scores
        ("response_distinct1", "all-responses", "responses"),
        ("nll", "importance-sampling-100", "texts of the test split"),
        ("unheard", "of", "texts of the test split"),
    ],
)
def test_what_a_number_is_counted_over(metric: str, estimator: str, said: str) -> None:
    assert counted_over(metric, estimator, "test") == said
