"""Audits: what the printed numbers say by themselves, and what runs add."""

from __future__ import annotations

import csv
from typing import get_args

import numpy as np
import pytest

from bench.analysis.audits import Audited, audited, differences_of, meaning, values_of
from bench.analysis.checks import MEASURED, PRINTED, value_cell
from bench.analysis.pairs import Pairing
from bench.analysis.statistics import Difference
from bench.catalog.audits import CheckName
from bench.catalog.catalog import CATALOG, Catalog
from bench.catalog.quantities import Quantity
from tests.analysis.synthetic import measured, pairing, run

PAPER = "coupled-vae"
RANDOM = np.random.default_rng(0)
TEXTS = 200
HARD = RANDOM.normal(100, 40, TEXTS)


def audit(catalog: Catalog, key: str, *found: Pairing) -> Audited:
    (result,) = (a for a in audited(catalog, PAPER, {p.setting: p for p in found}) if a.key == key)
    return result


def test_every_check_that_may_be_declared_is_known() -> None:
    assert set(get_args(CheckName)) == set(PRINTED) == set(MEASURED)


def test_a_value_of_one_seed_says_of_how_many_and_that_its_interval_is_over_texts(catalog: Catalog) -> None:
    alone = measured("dist2", "prior-samples", 4.0, low=3.5, high=4.5)
    runs = [run("vae", seed, values={"nll": 100.0 + seed}, more=[alone] if seed else []) for seed in (0, 1)]
    found, dist = pairing(catalog, *runs), Quantity(metric="dist2")
    assert value_cell(found, "vae", dist).interval == "[3.500, 4.500] over texts, 1 of 2 seeds"
    nll = Quantity(metric="nll")
    assert value_cell(found, "vae", nll).interval == "\u00b1 0.71 over 2 seeds"
    assert value_cell(pairing(catalog, runs[1]), "vae", dist).interval == "[3.500, 4.500] over texts"


def test_each_audit_has_systems_that_can_be_run_and_says_all_that_it_must(catalog: Catalog) -> None:
    for key, declared in catalog.paper(PAPER).audits.items():
        assert any(not catalog.system("coupled-vae", system).missing for system in declared.systems), key
        assert declared.comparisons or declared.values or declared.checks, key
        assert declared.question.endswith("?"), key


def test_printed_information_above_the_printed_kl(catalog: Catalog) -> None:
    with (CATALOG / "papers" / PAPER / "reported.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    kl = {
        (r["corpus"], r["label"]): float(r["value"])
        for r in rows
        if (r["table"], r["metric"]) == ("Table 1", "kl")
    }
    mi = {
        (r["corpus"], r["label"]): float(r["value"])
        for r in rows
        if (r["table"], r["metric"]) == ("Table 2", "mi")
    }
    impossible = {key for key, value in mi.items() if value > kl[key] + 0.055}
    (grid,) = audit(catalog, "information-above-kl").printed
    assert f"{len(impossible)} of {len(mi)} in Table 2" in grid.summary
    shown = [cells for label, cells in grid.rows if label.endswith("Table 2")]
    assert sorted(cells[1].number or 0.0 for cells in shown) == sorted(mi[key] for key in impossible)
    assert any(label == "CNN-VAE, Penn Treebank, Table 2" for label, _ in grid.rows)
    assert all(cells[1].marked and not cells[0].marked for _, cells in grid.rows)


def test_printed_norms_break_the_triangle_inequality(catalog: Catalog) -> None:
    (grid,) = audit(catalog, "squared-norms").printed
    assert grid.summary.startswith("In 3 of 3 printed rows")
    numbers = [[cell.number for cell in cells] for _, cells in grid.rows]
    assert numbers[0] == pytest.approx([148.5, 2109.6, 2258.1, 2320.2])
    assert all(cells[3].marked for _, cells in grid.rows)


def test_measured_information_is_marked_only_beyond_its_interval(catalog: Catalog) -> None:
    def one(system: str, excess: float) -> Pairing:
        kl = RANDOM.gamma(8, 1, TEXTS)
        estimates = {"leave-one-out": excess, "self-included": -1.0, "aggregate": 0.0}
        columns = {"kl": kl} | {f"mi_{e}": kl + x + RANDOM.normal(0, 1, TEXTS) for e, x in estimates.items()}
        more = [
            measured("mi", e, float(columns[f"mi_{e}"].mean()), column=f"mi_{e}", texts=TEXTS)
            for e in estimates
        ]
        return pairing(catalog, run(system, per_text=columns, more=more))

    for excess, marked in ((1.0, True), (0.01, False)):
        (group,) = audit(catalog, "information-above-kl", one("vae", excess)).groups
        (grid,) = group.grids
        ((label, cells),) = grid.rows
        assert label == "VAE"
        assert [cell.marked for cell in cells] == [False, marked, False, False]
        assert f"leave-one-out {int(marked)} of 1, self-included 0 of 1" in grid.summary


def test_measured_squares_may_exceed_the_sum_of_their_parts_and_norms_may_not(catalog: Catalog) -> None:
    """Two gradients that point the same way: |a + b|^2 = 9 > 1 + 4, |a + b| = 3 = 1 + 2."""
    more = [
        measured(metric, f"{kind}-{mode}-mode", value, unit="none")
        for mode in ("training", "evaluation")
        for kind, values in (("norm", (1.0, 2.0, 3.0)), ("squared", (1.0, 4.0, 9.0)))
        for metric, value in zip(
            ("grad_norm_rec", "grad_norm_rec_coupled", "grad_norm_rec_total"), values, strict=True
        )
    ]
    (group,) = audit(catalog, "squared-norms", pairing(catalog, run("coupled-vae", more=more))).groups
    values, triangle = group.grids
    assert triangle.summary.endswith("squared-training-mode, squared-evaluation-mode.")
    assert not any(cell.marked for _, cells in triangle.rows for cell in cells)  # possible for squares
    assert (values.head, len(values.rows)) == (("Coupled-VAE",), 20)


def updates(catalog: Catalog, seeds: int) -> Pairing:
    """Half of the gain as released is owed to the further update of the embedding."""
    levels = {
        "vae": 0.0,
        "coupled-vae": -0.5,
        "vae-as-released": 0.1,
        "vae-three-updates": -0.4,
        "coupled-vae-as-released": -0.9,
    }
    return pairing(
        catalog,
        *(
            run(system, seed, per_text={"nll": HARD + level + RANDOM.normal(0, 0.1, TEXTS)})
            for system, level in levels.items()
            for seed in range(seeds)
        ),
    )


def test_how_much_is_explained_by_another_cause(catalog: Catalog) -> None:
    found = audit(catalog, "embedding-updates", updates(catalog, 3))
    lines = {line.label: line for line in found.groups[0].lines if line.quantity.metric == "nll"}
    gain = lines["As released"].contrast.difference
    assert gain is not None
    assert gain.mean == pytest.approx(-1.0, abs=0.03)
    explained = lines["How much all unequal updates account for"]
    assert explained.contrast.difference is not None
    assert explained.contrast.difference.mean == pytest.approx(-0.5, abs=0.03)
    assert explained.share == pytest.approx(0.5, abs=0.03)
    assert "a difference beyond texts and 3 seeds" in explained.sentence
    assert explained.sentence.endswith(" % of the first.")
    assert explained.sentence in found.groups[0].sentences
    assert found.finding.startswith("How much the third update accounts for")
    assert not found.missing
    rows = list(differences_of(found))
    assert len(rows) == len(found.groups[0].lines)
    assert rows[0]["by_seed"] == lines["One update each"].contrast.difference.by_seed  # type: ignore[union-attr]
    values = list(values_of(found))
    assert {row["row"] for row in values} == {"VAE", "Coupled-VAE"} | {
        catalog.title("coupled-vae", s)
        for s in ("vae-as-released", "vae-three-updates", "coupled-vae-as-released")
    }


def effects(catalog: Catalog, key: str, levels: dict[str, dict[int, float]]) -> Audited:
    """An audit of runs whose NLL lies at a level, by system and seed."""
    runs = [
        run(system, seed, per_text={"nll": HARD + level + RANDOM.normal(0, 0.05, TEXTS)})
        for system, by_seed in levels.items()
        for seed, level in by_seed.items()
    ]
    return audit(catalog, key, pairing(catalog, *runs))


def test_a_share_is_of_the_seeds_of_its_contrast(catalog: Catalog) -> None:
    """Seed 1 of the first pair has no counterpart: neither the difference nor the share sees it."""
    found = effects(
        catalog,
        "embedding-updates",
        {
            "vae-as-released": {0: 0.0, 1: 0.0},
            "coupled-vae-as-released": {0: -1.0, 1: -9.0},
            "vae": {0: 0.0},
            "coupled-vae": {0: -0.25},
        },
    )
    (line,) = (
        line
        for line in found.groups[0].lines
        if line.label == "How much all unequal updates account for" and line.quantity.metric == "nll"
    )
    assert line.contrast.difference is not None
    assert line.contrast.difference.mean == pytest.approx(-0.75, abs=0.03)
    assert line.share == pytest.approx(0.25, abs=0.03)
    assert "on seed 0;" in line.sentence
    assert "in these four runs" in line.sentence
    assert line.each_seed.startswith("0: \N{MINUS SIGN}0.7")


@pytest.mark.parametrize(("common", "share"), [(-0.5, 0.5), (-2.0, None), (0.5, None)])
def test_a_share_is_no_less_than_nothing_and_no_more_than_all(
    catalog: Catalog, common: float, share: float | None
) -> None:
    found = effects(
        catalog,
        "matching-weights",
        {
            "vmf-vae": {0: 0.0, 1: 0.01},
            "coupled-vmf-vae": {0: -1.0, 1: -0.99},
            "coupled-vmf-vae-common-weight": {0: common, 1: common},
        },
    )
    labels = [contrast.label for contrast in found.audit.contrasts]
    (line,) = (x for x in found.groups[0].lines if x.label == labels[0] and x.quantity.metric == "nll")
    assert line.share == (None if share is None else pytest.approx(share, abs=0.05))
    assert ("% of the first" in line.sentence) == (share is not None)
    assert "on seeds 0, 1;" in line.sentence


def test_a_definition_that_was_not_measured_is_shown_as_such(catalog: Catalog) -> None:
    estimator = "precision-times-brevity"
    some = [
        run(system, more=[measured("bleu2", estimator, value, unit="percent")])
        for system, value in (("vae", 5.0), ("coupled-vae", 6.0))
    ]
    (group,) = audit(catalog, "bleu-2", pairing(catalog, *some)).groups
    assert len(group.shown) == 4
    (sentence,) = group.sentences
    assert f"in BLEU-2 by {estimator}," in sentence
    known, *unknown = group.shown
    assert known.contrast.difference is not None
    assert all("was not measured" in line.contrast.reason for line in unknown)


def test_one_seed_never_tells_systems_apart(catalog: Catalog) -> None:
    found = audit(catalog, "embedding-updates", updates(catalog, 1))
    sentences = found.groups[0].sentences
    assert sentences
    assert all("one seed cannot tell" in s or "not even" in s for s in sentences)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Difference((0.5,), 0.4, 0.6, 9), "one seed cannot tell"),
        (Difference((0.5,), -0.4, 0.6, 9), "not even these two runs"),
        (Difference((0.5,), None, None, None), "undecided"),
        (Difference((0.5, 0.6), 0.4, 0.6, 9), "beyond texts and 2 seeds"),
        (Difference((0.5, 0.6), -0.4, 0.6, 9), "contains zero"),
    ],
)
def test_what_a_difference_means(found: Difference, words: str) -> None:
    assert words in meaning(found)


def test_the_fate_of_numbers_in_bold_type(catalog: Catalog) -> None:
    """On PTB the twin's NLL (bold) is lower in print; ours is lower, higher, or one seed only."""
    for level, seeds, fate in ((-1.0, 3, "survive"), (1.0, 3, "contradicted"), (-1.0, 1, "undecided")):
        runs = [
            run(system, seed, per_text={"nll": HARD + value + RANDOM.normal(0, 0.1, TEXTS)})
            for system, value in (("vae", 0.0), ("coupled-vae", level))
            for seed in range(seeds)
        ]
        (group,) = audit(catalog, "one-seed", pairing(catalog, *runs)).groups
        (grid,) = group.grids
        rows = {
            label: dict(zip(grid.head, (c.number for c in cells), strict=True)) for label, cells in grid.rows
        }
        assert rows["Table 1"][fate] == 1
        bold = [
            n for n in catalog.paper(PAPER).reported if n.bold and (n.table, n.corpus) == ("Table 1", "ptb")
        ]
        assert sum(number or 0 for number in rows["Table 1"].values()) == len(bold)
        assert set(rows) == {
            "Table 1",
            "Table 2",
            "Table 5",
            "Table 6",
            "Table 9",
        }  # 3 and 4 compare settings
        assert (
            sum(number or 0 for number in rows["Table 9"].values()) == 1
        )  # Table 6 has its other, times 100
        tied = sum(row["tied"] or 0 for row in rows.values())
        named = sum(number or 0 for row in rows.values() for number in row.values()) - tied
        assert grid.summary.startswith(f"Of {named:.0f} numbers in bold type")
        assert f"{tied:.0f} more are tied" in grid.summary


def test_nothing_run(catalog: Catalog) -> None:
    found = audit(catalog, "vmf-sampler")
    assert (found.groups, found.printed) == ((), ())
    assert set(found.missing) == set(found.audit.systems)
    assert found.finding == "4 of 4 systems not run."
    other = audit(catalog, "vmf-sampler", pairing(catalog, run("dae", per_text={"nll": HARD})))
    assert other.groups == ()


def test_a_comparison_that_concerns_some_corpora_only(catalog: Catalog) -> None:
    for corpus, labels in (("ptb", {"CNN"}), ("yelp13", {"CycAnn"})):
        found = pairing(catalog, run("vmf-vae", corpus=corpus, per_text={"nll": HARD}))
        (group,) = audit(catalog, "matching-weights", found).groups
        assert {line.label.split(",")[0].split(":")[0] for line in group.lines} == {"vMF"} | labels
