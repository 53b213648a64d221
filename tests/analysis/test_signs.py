"""Sign tests, Holm's correction, and scores over corpora and seeds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bench.analysis.aggregate import aggregates, interquartile_mean, profile, stratified_interval
from bench.analysis.pairs import Pairing, Setting
from bench.analysis.signs import sign_tests
from bench.analysis.statistics import holm
from bench.catalog.catalog import Catalog
from tests.analysis.synthetic import pairing, run

BASELINES = ("vae", "beta-0.8-vae", "beta-1.2-vae", "wae", "cnn-vae", "vae-nf")


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def worlds(catalog: Catalog, corpus: str, shift: float, seeds: int = 1) -> Pairing:
    runs = []
    for place, system in enumerate(BASELINES):
        for seed in range(seeds):
            values = np.linspace(90, 110, 20) + place
            runs.append(run(system, seed, corpus=corpus, per_text={"nll": values}, values={"ppl": 100.0}))
            twin = {"nll": values + shift, "kl": values - 80}
            runs.append(run(f"coupled-{system}", seed, corpus=corpus, per_text=twin, values={"ppl": 90.0}))
    return pairing(catalog, *runs)


def test_every_pair_counts_once_over_systems_and_corpora(catalog: Catalog) -> None:
    found: dict[Setting, Pairing] = {
        ("own", "paper", "coupled-vae", "ptb"): worlds(catalog, "ptb", -1.0, seeds=2),
        ("own", "paper", "coupled-vae", "yahoo"): worlds(catalog, "yahoo", -2.0),
    }
    tests = {test.metric: test for test in sign_tests(found, ("nll", "ppl", "kl"))}
    assert set(tests) == {"nll", "ppl"}  # the KL of the baselines was not measured
    nll = tests["nll"]
    assert (nll.higher, nll.lower, nll.equal) == (0, 12, 0)
    assert nll.p == pytest.approx(stats.binomtest(0, 12).pvalue) == pytest.approx(2 * 0.5**12)
    assert nll.corrected == pytest.approx(2 * nll.p)  # one of two tests
    assert nll.decided
    assert (nll.corpora, nll.seeds, nll.texts) == (("ptb", "yahoo"), (1, 2), (20, 20))
    assert tests["ppl"].texts is None


def test_a_variant_of_a_pair_is_no_further_witness(catalog: Catalog) -> None:
    """Only the twin printed beside a baseline counts: not those of ablations, of audits or of our own."""
    known = catalog.systems.known("coupled-vae")
    twins = ["coupled-vae", *(system for system in known if system.startswith("coupled-vae-rq-"))]
    own = ["lagging-vae-own", "coupled-lagging-vae-own"]
    runs = [run("vae", per_text={"nll": np.linspace(90, 110, 20)})]
    runs += [run(twin, per_text={"nll": np.linspace(91, 111, 20)}) for twin in (*twins, *own)]
    assert len(twins) > 2
    (test,) = sign_tests({runs[0].group[:4]: pairing(catalog, *runs)}, ("nll",))
    assert (test.higher, test.lower, test.equal) == (1, 0, 0)


def test_pairs_without_a_difference_decide_nothing(catalog: Catalog) -> None:
    (test,) = sign_tests({("own", "paper", "coupled-vae", "ptb"): worlds(catalog, "ptb", 0.0)}, ("nll",))
    assert (test.higher, test.lower, test.equal, test.p, test.decided) == (0, 0, 6, 1.0, False)


def test_relative_perplexity_over_corpora(catalog: Catalog) -> None:
    found: dict[Setting, Pairing] = {
        ("own", "paper", "coupled-vae", corpus): pairing(
            catalog,
            run("gru-lm", corpus=corpus, values={"ppl": base}),
            *(
                run("vae", seed, corpus=corpus, values={"ppl": base * (0.8 + 0.1 * seed)})
                for seed in range(3)
            ),
            *([run("wae", corpus=corpus, values={"ppl": base})] if corpus == "ptb" else []),
        )
        for corpus, base in (("ptb", 100.0), ("yahoo", 50.0))
    }
    alone = pairing(catalog, run("vae", corpus="yelp13", values={"ppl": 60.0}))  # without the reference
    found[alone.setting] = alone
    (one,) = aggregates(found, "gru-lm")
    assert one.corpora == ("ptb", "yahoo")
    assert one.left_out == ("wae",)
    assert [system.system for system in one.systems] == ["vae", "gru-lm"]
    vae, reference = one.systems
    assert vae.scores == {c: pytest.approx((0.8, 0.9, 1.0)) for c in ("ptb", "yahoo")}
    assert (vae.runs, reference.runs) == (6, 2)
    assert vae.mean == pytest.approx(0.9)
    assert vae.low is not None
    assert vae.high is not None
    half = stats.t.ppf(0.975, 4) * 0.1 / 6**0.5  # six runs on two corpora, each 0.1 around its mean
    assert (vae.low, vae.high) == pytest.approx((0.9 - half, 0.9 + half))
    assert one.corpora_left_out == ("yelp13",)
    assert reference.mean == pytest.approx(1.0)
    assert reference.low is None
    assert one.profiles["vae"][-1] == 1.0


def test_one_run_each_is_nothing_to_aggregate(catalog: Catalog) -> None:
    only = pairing(catalog, run("gru-lm", values={"ppl": 9.0}), run("vae", values={"ppl": 8.0}))
    assert aggregates({only.setting: only}, "gru-lm") == []
    assert aggregates({only.setting: only}, "wae") == []


def test_the_interquartile_mean_and_the_profile() -> None:
    assert interquartile_mean([1, 2, 3, 100]) == pytest.approx(2.5)
    shares = profile({"a": [1.0, 2.0], "b": [3.0]}, [0.5, 1.0, 2.0, 3.0])
    assert shares == pytest.approx((0.0, 0.25, 0.5, 1.0))  # both corpora weigh the same


def test_the_stratified_bootstrap_keeps_corpora_apart() -> None:
    """Resampled together, two corpora that lie far apart would mix; by themselves they never do."""
    low, high = stratified_interval([[0.0, 0.1, 0.2, 0.3], [10.0, 10.1, 10.2, 10.3]])
    assert low is not None
    assert high is not None
    assert 4.9 < low < high < 5.4
    assert stratified_interval([[1.0], [2.0]]) == (None, None)
    assert stratified_interval([[1.0, 2.0], [2.0]]) == (None, None)  # of the second the spread is not known


@pytest.mark.parametrize(("runs", "corpora"), [(2, 1), (2, 3), (3, 1)])
def test_an_interval_of_few_runs_covers_the_truth(runs: int, corpora: int) -> None:
    random = np.random.default_rng(runs)
    found = [stratified_interval(random.normal(size=(corpora, runs)).tolist()) for _ in range(300)]
    covered = [low < 0 < high for low, high in found if low is not None and high is not None]
    assert len(covered) == 300
    assert np.mean(covered) > 0.91  # three standard deviations of a share of 0.95 of 300 below it
