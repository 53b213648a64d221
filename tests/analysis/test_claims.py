"""Claims: each predicate on runs whose truth is known, and the one rule that judges them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest

from bench.analysis.claims import Judged, findings_on, judge_claims, rows_of
from bench.analysis.findings import MEANINGS, Finding, Word, corrected, decide, share_of, together
from bench.analysis.numbers import MINUS
from bench.analysis.pairs import Pairing, Setting
from bench.analysis.shapes import SHAPES, curve
from bench.analysis.statistics import Difference, difference
from bench.catalog.catalog import Catalog
from bench.catalog.claims import CurveName, Shape
from bench.report.curves import PANELS, TIMES
from bench.store.records import Records, RunRecord
from bench.store.texts import Measurement
from tests.analysis.synthetic import claim, measured, pairing, run, words

RANDOM = np.random.default_rng(0)
TEXTS = 200
HARD = RANDOM.normal(100, 40, TEXTS)


def runs(level: dict[str, float], seeds: Iterable[int] = range(3), metric: str = "kl") -> list[RunRecord]:
    """Systems whose metric lies at a level, with little noise of texts and seeds."""
    return [
        run(system, seed, per_text={metric: HARD + value + RANDOM.normal(0, 0.2, TEXTS)})
        for system, value in level.items()
        for seed in seeds
    ]


@pytest.mark.parametrize(
    ("by_seed", "low", "high", "above", "threshold", "word", "leans"),
    [
        ((0.4, 0.6), 0.1, 0.9, True, 0.0, "holds", True),
        ((0.4, 0.6), 0.1, 0.9, False, 0.0, "does not hold", False),
        ((0.4, 0.6), -0.1, 0.9, True, 0.0, "undecided", True),
        ((0.4, 0.6), 0.1, 0.9, True, 0.3, "undecided", True),
        ((0.1, 0.1), 0.1, 0.1, True, 0.3, "does not hold", False),
        ((-0.1, -0.1), -0.2, -0.05, True, -0.3, "holds", True),
        ((0.5,), 0.4, 0.6, True, 0.0, "undecided", True),
        ((0.5,), 0.4, 0.6, False, 0.0, "undecided", False),
        ((0.5,), None, None, True, 0.0, "undecided", True),
        ((0.4, 0.6), 0.1, 0.9, None, 0.0, "holds", None),
        ((-0.4, -0.6), -0.9, -0.1, None, 0.0, "holds", None),
        ((0.4, 0.6), -0.1, 0.9, None, 0.0, "undecided", None),
    ],
)
def test_the_rule(
    by_seed: tuple[float, ...],
    low: float | None,
    high: float | None,
    above: bool | None,
    threshold: float,
    word: Word,
    leans: bool | None,
) -> None:
    found = decide(Difference(by_seed, low, high, None), above, threshold)
    assert (found.word, found.leans) == (word, leans)
    assert found.reason


@pytest.mark.parametrize(
    ("parts", "word"),
    [
        (["holds", "holds"], "holds"),
        (["holds", "undecided"], "undecided"),
        (["holds", "not run"], "undecided"),
        (["not run", "undecided"], "undecided"),
        (["not run", "does not hold", "holds"], "does not hold"),
        (["not run", "not run"], "not run"),
        ([], "not run"),
    ],
)
def test_a_claim_is_a_conjunction(parts: list[Word], word: Word) -> None:
    assert together(parts) == word


def test_differences(catalog: Catalog) -> None:
    found = pairing(catalog, *runs({"vae": 0.0, "coupled-vae": 0.5, "beta-0.8-vae": 0.0, "dae": -0.5}))
    pairs = [["vae", "coupled-vae"], ["vae", "dae"], ["vae", "coupled-beta-0.8-vae"]]
    asked = claim(differences={"pairs": pairs, "metrics": ["kl"], "direction": "higher"})
    findings = list(findings_on(asked, found))
    assert words(findings) == ["holds", "does not hold", "not run"]
    assert [f.difference.mean for f in findings if f.difference] == pytest.approx([0.5, -0.5], abs=0.05)
    assert findings[0].effect.startswith("+0.5")
    assert findings[0].effect.endswith("nats")
    assert (findings[0].systems, findings[0].estimator) == (("vae", "coupled-vae"), "monte-carlo")
    lower = claim(differences={"pairs": pairs, "metrics": ["kl"], "direction": "lower"})
    assert words(findings_on(lower, found)) == ["does not hold", "holds", "not run"]


def test_one_seed_only_leans(catalog: Catalog) -> None:
    found = pairing(catalog, *runs({"vae": 0.0, "coupled-vae": 5.0}, seeds=[0]))
    for direction, leans in (("higher", True), ("lower", False)):
        asked = claim(differences={"table": "table1", "metrics": ["kl"], "direction": direction})
        (finding,) = findings_on(asked, found, [("vae", "coupled-vae")])
        assert (finding.word, finding.leans) == ("undecided", leans)


def test_a_baseline_with_another_metric(catalog: Catalog) -> None:
    both = [run("dae", s, per_text={"nll": HARD}) for s in range(2)]
    both += [run("vae", s, per_text={"kl": HARD + 1}) for s in range(2)]
    asked = {"pairs": [["dae", "vae"]], "metrics": ["kl"], "against": "nll", "direction": "higher"}
    (finding,) = findings_on(claim(differences=asked), pairing(catalog, *both))
    assert finding.word == "holds"
    assert finding.what == f"VAE {MINUS} DAE: KL {MINUS} NLL"


def test_parts_of_a_split_may_have_unlike_numbers_of_texts(catalog: Catalog) -> None:
    """As test pairs that the training split has, and those that it has nothing of."""

    def bleu(part: str, value: float, texts: int) -> Measurement:
        return measured("bleu", "whole-sample-known", value, part=part, texts=texts, unit="percent")

    declared = catalog.paper("stochastic-wae").claims["overlap-raises-bleu"]
    asked = declared.model_dump()["differences"] | {"pairs": [["vae", "vae"]]}
    runs = [run("vae", s, more=[bleu("pair", 30.0 + s, 40), bleu("no-side", 1.0, 300)]) for s in range(2)]
    (finding,) = findings_on(claim(differences=asked), pairing(catalog, *runs))
    assert finding.word == "holds"
    assert finding.difference is not None
    assert finding.difference.mean == pytest.approx(29.5)
    runs[1].measurements[0] = bleu("pair", 31.0, 39)  # not the same texts any more
    (finding,) = findings_on(claim(differences=asked), pairing(catalog, *runs))
    assert finding.word == "not run"


def test_trend_has_a_finding_for_each_step(catalog: Catalog) -> None:
    chain = ["coupled-vae", "coupled-vae-rq-1", "coupled-vae-rq-5", "coupled-vae-rq-10"]
    found = pairing(catalog, *runs(dict(zip(chain, (0.0, 1.0, 0.5), strict=False))))
    asked = claim(trend={"chains": [chain], "metrics": ["kl"], "direction": "higher"})
    assert words(findings_on(asked, found)) == ["holds", "does not hold", "not run"]


@pytest.mark.parametrize(("levels", "word"), [((0.0, 4.0, 1.0), "holds"), ((0.5, 0.4, 0.0), "does not hold")])
def test_sensitivity_compares_ranges(catalog: Catalog, levels: tuple[float, ...], word: Word) -> None:
    more = [f"coupled-vae-euclidean-{weight}" for weight in ("0.1", "1", "5")]
    less = ["coupled-vae", "coupled-vae-rq-1", "coupled-vae-rq-5"]
    level = dict(zip(more, levels, strict=True)) | dict(zip(less, (0.0, 2.0, 1.0), strict=True))
    found = pairing(catalog, *runs(level, metric="nll"))
    (finding,) = findings_on(claim(sensitivity={"metric": "nll", "more": more, "less": less}), found)
    assert finding.word == word
    assert finding.difference is not None
    assert finding.difference.mean == pytest.approx(max(levels) - min(levels) - 2.0, abs=0.1)


@pytest.mark.parametrize(("other", "word"), [(-1.0, "holds"), (3.0, "holds"), (1.0, "undecided")])
def test_an_interaction_has_two_sides(catalog: Catalog, other: float, word: Word) -> None:
    """One effect is 1 nat; the other is less, more, or the same."""
    noise = np.resize([-1, 1, 0], 4) * 0.01  # so that equal effects are not equal to the last digit
    level = {"coupled-vae-unmatched": 0.0, "coupled-vae": 1.0, "vae": 0.0, "beta-0.8-vae": other}
    some = [
        run(s, seed, per_text={"nll": HARD + value + noise[(i + seed) % 4] * (i == 1)})
        for i, (s, value) in enumerate(level.items())
        for seed in range(3)
    ]
    names = list(level)
    asked = {"metric": "nll", "first": names[:2], "others": [names[2:]]}
    (finding,) = findings_on(claim(interaction=asked), pairing(catalog, *some))
    assert (finding.word, finding.leans) == (word, None)


STEPS = np.linspace(0, 1, 20)
CURVES = {
    "up": 1 + 9 * STEPS,
    "down": 10 - 9 * STEPS,
    "hill": 1 + 9 * np.sin(np.pi * STEPS * 0.9),
    "flat": 5 + 0.05 * np.cos(9 * STEPS),
    "up, then a little down": np.minimum(1 + 12 * STEPS, 13 - 4 * STEPS),
}


@pytest.mark.parametrize(
    ("shape", "holding"),
    [
        ("grows", ["up"]),
        ("rises then falls", ["hill", "up, then a little down"]),
        ("falls", ["down"]),
        ("does not fall", ["up", "hill", "flat", "up, then a little down"]),
        ("falls at the end", ["down", "hill", "up, then a little down"]),
        ("does not fall at the end", ["up", "flat"]),
    ],
)
def test_shapes(catalog: Catalog, shape: str, holding: list[str]) -> None:
    for name, values in CURVES.items():
        some = [
            run("vae", seed, curves={"grad_norm_reg_squared": values * RANDOM.normal(1, 0.003, len(values))})
            for seed in range(3)
        ]
        asked = claim(shapes=[{"system": "vae", "curve": "regulariser-gradient", "shape": shape}])
        findings = list(findings_on(asked, pairing(catalog, *some)))
        assert (together(words(findings)) == "holds") == (name in holding), name
        assert "undecided" not in words(findings), name
        for few in (some[:1], some[:2]):  # the rise to a maximum is never negative: two say little
            assert set(words(findings_on(asked, pairing(catalog, *few)))) == {"undecided"}
        assert all("squared" in finding.what for finding in findings)
        assert all(finding.effect.startswith(TIMES) for finding in findings)


def test_every_shape_and_curve_that_may_be_declared_is_known() -> None:
    assert set(SHAPES) == set(get_args(Shape.model_fields["shape"].annotation))
    assert set(PANELS) == set(get_args(CurveName))


def test_a_curve_while_the_weight_rises() -> None:
    record = run("vae", curves={"grad_norm_reg_squared": [9, 9, 8, 4, 2, 1, 7, 7], "unused": [0] * 8})
    table = record.tables["validation.parquet"]
    table["kl_weight"] = [0, 0.0, 0.1, 0.4, 0.7, 1.0, 1.0, 1.0]
    asked = Shape(system="vae", curve="regulariser-gradient", shape="falls", during="annealing")
    found = curve(record, asked)
    assert found is not None
    assert found.tolist() == [8, 4, 2, 1]  # of 8, 4, 2, 1: medians of three, ends kept
    table["grad_norm_reg_squared"] = [1, 1, np.nan, 2, np.nan, 3, 4, 5]
    assert curve(record, asked) is None  # two points are no curve
    assert curve(run("vae"), asked) is None


def everything(catalog: Catalog, *records: RunRecord) -> dict[Setting, Pairing]:
    found: dict[Setting, list[RunRecord]] = {}
    for record in records:
        found.setdefault(record.group[:4], []).append(record)
    return {setting: Pairing(catalog, Records(r, [], [], []), setting) for setting, r in found.items()}


def several(level: float, **where: Any) -> list[RunRecord]:
    """Baseline and twin of the decision below, three seeds each."""
    return [
        run(s, seed, per_text={"nll": HARD + value}, **where)
        for s, value in (("coupled-vae", 0.0), ("coupled-vae-rec-0", level + 0.01))
        for seed in range(3)
    ]


def test_each_tier_is_judged_on_the_corpora_that_it_has(catalog: Catalog) -> None:
    """λr = 0 is worse, says the paper of PTB and Yelp: neither alone, nor any other corpus, shows that."""

    def verdicts(*records: RunRecord) -> dict[tuple[str, str], tuple[Word, dict[str, Word]]]:
        found = judged_claim(catalog, "twin-must-reconstruct", records)
        return {r.source: (r.word, r.corpora) for r in found.rulings}

    own, published = ("own", "paper"), ("published", "quick")
    assert verdicts(*several(1)) == {own: ("undecided", {"ptb": "holds", "yelp13": "not run"})}
    both = several(1) + several(1, corpus="yelp13")
    assert verdicts(*both)[own][0] == "holds"
    against = several(1) + several(-1, corpus="yelp13")
    assert verdicts(*against)[own][0] == "does not hold"
    quick = several(1, tier="quick", origin="published")
    assert verdicts(*quick) == {published: ("undecided", {"ptb": "holds", "yelp13": "not run"})}
    assert list(verdicts(*both, *quick)) == [own, published]
    assert verdicts(*several(1, tier="demo", corpus="generated-clear")) == {}
    assert verdicts(*several(1, corpus="yahoo")) == {}


def below(level: float, corpora: Iterable[str], tier: str = "quick") -> list[RunRecord]:
    """Reconstruction losses of VAE and DAE, three seeds each; that of the DAE lower by ``level``."""
    return [
        run(s, seed, corpus=corpus, tier=tier, per_text={"reconstruction": HARD - value})
        for corpus in corpora
        for s, value in (("vae", 0.0), ("dae", level + 0.01))
        for seed in range(3)
    ]


def judged_claim(catalog: Catalog, key: str, records: Iterable[RunRecord]) -> Judged:
    judged = judge_claims(catalog, "coupled-vae", everything(catalog, *records))
    (found,) = (j for j in judged if j.key == key)
    return found


@pytest.mark.parametrize(
    ("records", "word"),
    [
        (below(1, ["ptb"]), "undecided"),  # yelp13 and yahoo are not run
        (below(1, ["ptb", "yelp13", "yahoo"]), "holds"),
        (below(-1, ["ptb"]), "does not hold"),
        (below(1, ["ptb", "yelp13", "yahoo"]) + below(-1, ["yahoo-lite"]), "holds"),
        (below(-1, ["yahoo-lite"]), "not run"),
        (below(1, ["yahoo-lite"]), "not run"),
    ],
)
def test_a_claim_about_the_papers_corpora_is_judged_on_all_of_them(
    catalog: Catalog, records: list[RunRecord], word: Word
) -> None:
    (ruling,) = judged_claim(catalog, "dae-reconstructs-better", records).rulings
    assert ruling.word == word
    assert ruling.beside == {run.parts[2] for run in records} & {"yahoo-lite"}
    assert {"ptb", "yelp13", "yahoo"} <= set(ruling.corpora)
    measured = sum(n for word, n in ruling.counts.items() if word != "not run")
    assert measured == len({run.parts[2] for run in records} - {"yahoo-lite"} or {"yahoo-lite"})


def test_a_verdict_names_a_budget_that_is_not_the_papers(catalog: Catalog) -> None:
    found = judged_claim(catalog, "dae-reconstructs-better", below(-1, ["ptb"]) + below(-1, ["ptb"], "paper"))
    assert {r.source[1]: r.budget for r in found.rulings} == {
        "quick": "at the budget of the tier quick, not the paper's",
        "paper": "",
    }


def test_the_ledger_of_the_paper(catalog: Catalog) -> None:
    judged = judge_claims(catalog, "coupled-vae", everything(catalog, *several(1)))
    assert [j.key for j in judged] == list(catalog.paper("coupled-vae").claims)
    assert all(j.systems and j.word in MEANINGS for j in judged)
    coupling = next(j for j in judged if j.key == "coupling-improves-ppl")
    assert (coupling.word, len(coupling.systems)) == (
        "not run",
        2 * len(catalog.pairs("coupled-vae", catalog.paper("coupled-vae").tables[0])),
    )
    rows = list(rows_of(judged))
    assert {row["claim"] for row in rows} == {j.key for j in judged}
    (finding,) = (r for r in rows if r.get("finding") == "holds" and r["claim"] == "twin-must-reconstruct")
    assert (finding["tier"], finding["corpus"], finding["seeds"]) == ("paper", "ptb", 3)
    assert finding["by_seed"] == pytest.approx((1.01,) * 3)
    assert len(finding["files"]) == 6  # type: ignore[arg-type]


def finding(mean: float, half: float, above: bool = True, seeds: int = 3, **fields: Any) -> Finding:
    found = Difference((mean,) * seeds, mean - half, mean + half, None)
    decision = decide(found, above)
    fields = {"systems": (f"{mean} {half}",)} | fields
    return Finding("ptb", "made up", **vars(decision), difference=found, **fields)


def test_the_probability_is_below_five_percent_where_the_interval_does_not_reach_zero() -> None:
    for half, below in ((0.999, True), (1.001, False)):
        for mean in (1.0, -1.0):
            p = finding(mean, half).p
            assert p is not None
            assert (p < 0.05) == below
            assert p == pytest.approx(0.05, rel=0.01)
    assert finding(1.0, 0.5, seeds=1).p is None


def test_one_of_many_differences_on_the_other_side_refutes_nothing() -> None:
    against = finding(-1.0, 0.9)
    assert together(corrected([against])) == "does not hold"
    assert together(corrected([against, *[finding(0.5, 0.9)] * 32])) == "undecided"
    assert together(corrected([finding(-1.0, 0.01), *[finding(0.5, 0.9)] * 32])) == "does not hold"
    assert together(corrected([finding(1.0, 0.9)] * 33)) == "holds"  # each has to, which needs no correction


def test_a_true_claim_of_many_differences_is_refuted_in_at_most_five_percent_of_cases() -> None:
    """No effect, three seeds, 33 differences: uncorrected, one contradicts in more than half of the cases."""
    random = np.random.default_rng(5)
    refuted, uncorrected = 0, 0
    for values in random.normal(size=(100, 33, 3)):
        found = [replace(finding(0.0, 1.0), **vars(decide(difference(v, None), True))) for v in values]
        refuted += together(corrected(found)) == "does not hold"
        uncorrected += together(f.word for f in found) == "does not hold"
    assert refuted <= 10
    assert uncorrected > 40


def test_the_share_counts_the_same_trainings_once() -> None:
    same = [finding(mean, 2.0, witness=("ptb", "vae", "coupled-vae")) for mean in (-0.1, -0.2, 0.3)]
    others = [finding(mean, 2.0) for mean in (0.4, 0.5, 0.6)]
    found = share_of([*same, *others])
    assert found is not None
    assert (found.towards, found.of) == (3, 4)
    assert found.interval == pytest.approx((0.1941, 0.9937), abs=1e-4)
    assert str(found) == "3 of 4 comparisons of different trainings on the claimed side: 75 % [19, 99]"
    assert share_of(same) is None
