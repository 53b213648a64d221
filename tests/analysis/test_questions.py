"""Questions across papers: two numbers of the same texts, their difference, the sentences made from it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench.analysis.flips import printed_turning, turning
from bench.analysis.pairs import Pairing
from bench.analysis.questions import ONE_SEED, _printed, answered, rows_of
from bench.base.errors import BenchError
from bench.catalog.catalog import Catalog
from bench.catalog.questions import Asked, Question, read_questions
from bench.store.records import RunRecord
from tests.analysis.synthetic import measured, pairing, run

TEXTS = 50
NOISE = np.random.default_rng(0).normal(0, 1, TEXTS)


def made_up(catalog: Catalog, pair: tuple[str, str] = ("vae", "vae")) -> Catalog:
    """The catalog with one question, to coupled-vae."""
    bound = {"metric": "nll", "estimator": "importance-sampling"}
    column = {"label": "NLL", "first": {"metric": "kl", "estimator": "monte-carlo"}, "second": bound}
    asked = Asked.model_validate(
        {"paper": "coupled-vae", "pairs": [pair, ("dae", "dae")], "columns": [column | {"printed": "nll"}]}
    )
    words = {
        "title": "T",
        "question": "Q?",
        "method": "M",
        "surer": "S",
        "above": "Too low",
        "below": "Too high",
    }
    question = Question.model_validate(words | {"asked": (asked,)})
    return Catalog.model_construct(**(dict(catalog) | {"questions": {"made-up": question}}))


def runs(catalog: Catalog, system: str, *gaps: float) -> Pairing:
    """A run of a system for each gap between its two estimates."""
    return pairing(catalog, *(one_run(system, seed, gap) for seed, gap in enumerate(gaps)))


def one_run(system: str, seed: int, gap: float) -> RunRecord:
    low = 90 + 10 * NOISE
    columns = {"nll_low": low, "nll_high": low + gap + NOISE}
    more = [
        measured("kl", "monte-carlo", float(low.mean()), column="nll_low", texts=TEXTS),
        measured(
            "nll", "importance-sampling", float(columns["nll_high"].mean()), column="nll_high", texts=TEXTS
        ),
    ]
    return run(system, seed, per_text=columns, more=more)


def test_a_difference_within_a_system_is_paired_text_by_text(catalog: Catalog) -> None:
    known = made_up(catalog)
    found = runs(known, "vae", 3.0)
    (answer,) = answered(known, ["coupled-vae"], {found.setting: found})
    (group,) = answer.papers[0].groups
    line, lacking = group.lines
    d = line.contrast.difference
    assert d is not None
    assert d.low is not None
    assert d.high is not None
    assert d.mean == pytest.approx(3 + NOISE.mean())
    assert d.high - d.low < 1  # the texts themselves differ by 10 nats
    assert line.side == 1
    printed = (
        n
        for n in known.paper("coupled-vae").reported
        if (n.label, n.metric, n.corpus) == ("VAE", "nll", "ptb")
    )
    assert str(line.printed) == str(next(printed).value)
    assert [one.ran for one in group.lines] == [True, False]
    assert group.first == group.sentences[0]
    assert group.sentences == (f"NLL. Too low: VAE {line.contrast.effect}. Not measured: DAE.",)
    assert lacking.contrast.reason == "DAE: not run"
    assert answer.papers[0].unmeasured == ("yelp13", "yahoo")
    first, second = rows_of(answer)
    assert (first["difference"], second["difference"]) == (d.mean, None)


@pytest.mark.parametrize(("gap", "said"), [(-3.0, "Too high"), (0.0, "Not told apart")])
def test_the_sentence_follows_the_interval(catalog: Catalog, gap: float, said: str) -> None:
    known = made_up(catalog)
    found = runs(known, "vae", gap - float(NOISE.mean()))
    (answer,) = answered(known, ["coupled-vae"], {found.setting: found})
    assert answer.papers[0].groups[0].sentences[0].startswith(f"NLL. {said}: VAE ")


def test_estimates_of_several_trainings_differ_by_each(catalog: Catalog) -> None:
    """Two seeds far apart leave a mean without a sign, though each of them has one."""
    known = made_up(catalog)
    mean = float(NOISE.mean())
    found = runs(known, "vae", 2.0 - mean, 50.0 - mean)
    (answer,) = answered(known, ["coupled-vae"], {found.setting: found})
    said = answer.papers[0].groups[0].sentences[0]
    assert said.startswith("NLL. Not told apart: VAE +26 [")
    assert "(by seed +2.00, +50.00)" in said


def test_of_two_systems_the_printed_difference_is_told(catalog: Catalog) -> None:
    known = made_up(catalog, ("vae", "coupled-vae"))
    found = pairing(known, run("vae"), run("coupled-vae"))
    (answer,) = answered(known, ["coupled-vae"], {found.setting: found})
    line = answer.papers[0].groups[0].lines[0]
    assert line.who == "Coupled-VAE \u2212 VAE"
    assert str(line.printed).startswith("\u2212")
    assert not line.contrast.effect
    assert answer.papers[0].groups[0].sentences == ("NLL: not measured.",)


def test_one_seed_of_two_systems_speaks_of_its_runs(catalog: Catalog) -> None:
    known = made_up(catalog, ("vae", "coupled-vae"))
    found = runs(known, "vae", 3.0)
    found.runs |= runs(known, "coupled-vae", 3.0).runs
    (answer,) = answered(known, ["coupled-vae"], {found.setting: found})
    (sentence,) = answer.papers[0].groups[0].sentences
    assert f". {ONE_SEED} Not measured: DAE." in sentence


def test_a_system_that_lacks_a_column_is_not_asked_for_it(catalog: Catalog, tmp_path: Path) -> None:
    question = catalog.questions["optimism"]
    asked = question.asked[0]
    without = {pair[0] for pair, column in asked.compared if column.label == "NLL, prior after the flows"}
    assert set(asked.systems) - without == {"vae", "wae"}
    for of, said in (["wae-rfn"], "wae-rnf"), (["wae-rnf"], "no pair"):
        given = question.model_dump(mode="json")
        given["asked"][0]["columns"][1]["of"] = of
        given["asked"][0]["pairs"] = [["vae", "wae-rnf"]]
        (tmp_path / "questions.yaml").write_text(json.dumps({"typo": given}), encoding="utf-8")
        with pytest.raises(BenchError, match=said):
            read_questions([tmp_path], catalog.papers, catalog.systems)


def test_one_system_of_a_pair_answers_nothing(catalog: Catalog) -> None:
    known = made_up(catalog, ("vae", "coupled-vae"))
    found = runs(known, "vae", 1.0)
    (answer,) = answered(known, ["coupled-vae"], {found.setting: found})
    assert not answer.papers[0].groups
    assert "ptb" in answer.papers[0].unmeasured


def test_printed_numbers_keep_their_decimals(catalog: Catalog) -> None:
    """FlowPrior prints perplexities with two, the VAE's as 101.40."""
    asked = next(one for one in catalog.questions["learned-priors"].asked if one.paper == "flow-prior")
    column, paper = asked.columns[0], catalog.paper("flow-prior")
    assert column.printed == ("ppl",)
    shown = str(_printed(paper, ("vae-anneal", "flow-prior"), column.printed, "ptb"))
    values = {n.label: n.value for n in paper.reported if (n.table, n.metric) == ("Table 1", "ppl")}
    vae, flow = values["VAE"], values["FlowPrior"]
    assert shown == f"{flow - vae:+.2f} ({vae:.2f}, {flow:.2f})".replace("-", "\u2212")


def test_the_declared_questions_know_their_names(catalog: Catalog, tmp_path: Path) -> None:
    assert set(catalog.questions) >= {"optimism"}
    assert all(question.question.endswith("?") for question in catalog.questions.values())
    given = catalog.questions["optimism"].model_dump_json().replace('"wae-nf"', '"wae-fn"')
    (tmp_path / "questions.yaml").write_text(f'{{"typo": {given}}}', encoding="utf-8")
    with pytest.raises(BenchError, match="wae-nf"):
        read_questions([tmp_path], catalog.papers, catalog.systems)


COUNTS = {
    ("nll", "importance-sampling"): 500,
    ("nll", "importance-sampling-tenth"): 50,
    ("nll", "importance-sampling-hundredth"): 5,
    ("neg_elbo", "one-bound"): 500,  # of so many codes, but it is what one gives
}


def by_samples(catalog: Catalog, system: str, gaps: list[float]) -> Pairing:
    """A run whose NLL with ever fewer samples is that of the texts plus ``gaps``."""
    columns = {f"c{i}": 90 + 10 * NOISE + gap for i, gap in enumerate(gaps)}
    more = [
        measured(*name, float(columns[f"c{i}"].mean()), column=f"c{i}", texts=TEXTS, samples=count)
        for i, (name, count) in enumerate(COUNTS.items())
    ]
    wobble = {
        name: column + 0.1 * np.cos(np.arange(TEXTS)) * (system != "vae") for name, column in columns.items()
    }
    return pairing(catalog, run(system, per_text=wobble, more=more))


@pytest.mark.parametrize(
    ("gaps", "said"),
    [
        ([-2, -1, 1, 2], "turns between 50 and 5 samples (below zero with 500, 50, above zero with 5, 1)."),
        ([-2, -1, -1, -2], "the same at each number of samples (below zero with 500, 50, 5, 1)."),
        (
            [-2, 0, 1, 2],
            "turns between 500 and 5 samples; undecided with 50: intervals hold 0 (below zero with 500, ",
        ),
        ([0, 0, 0, 0], "undecided with 500, 50, 5, 1: intervals hold 0."),
    ],
)
def test_an_order_turns_between_two_numbers_of_samples(
    catalog: Catalog, gaps: list[float], said: str
) -> None:
    columns = [
        {"label": name[1], "first": (one := {"metric": name[0], "estimator": name[1]}), "second": one}
        | {"samples": "one" if name[0] == "neg_elbo" else "recorded"}
        for name in COUNTS
    ]
    pairs = [("vae", "coupled-vae"), ("vae", "dae")]
    given = {"paper": "coupled-vae", "pairs": pairs, "columns": columns}
    known = made_up(catalog)
    question = known.questions["made-up"].model_copy(update={"asked": (Asked.model_validate(given),)})
    known = Catalog.model_construct(**(dict(known) | {"questions": {"made-up": question}}))
    found = by_samples(known, "vae", [0, 0, 0, 0])
    found.runs |= by_samples(known, "coupled-vae", gaps).runs
    (answer,) = answered(known, ["coupled-vae"], {found.setting: found})
    (group,) = answer.papers[0].groups
    assert group.turns[0].startswith(f"Coupled-VAE \u2212 VAE: {said}")
    assert group.turns[0].endswith(ONE_SEED)
    assert group.sentences[1].startswith("importance-sampling-tenth (50). ")


def test_a_sign_may_turn_twice_and_one_number_of_samples_tells_nothing() -> None:
    assert turning({1: 1, 10: -1, 100: 1}).startswith(
        "turns between 100 and 10 samples and between 10 and 1 samples"
    )
    assert turning({10: 0, 1: 1}) == "undecided with 10: intervals hold 0 (above zero with 1)"
    assert turning({500: 1}) == "measured with one number of samples alone (500)"


def test_the_print_of_flow_prior_turns_between_perplexity_and_bound(catalog: Catalog) -> None:
    """Its perplexity is 6.68 below that of the VAE; reconstruction and KL add up to 101.74 against 101.28."""
    asked = next(one for one in catalog.questions["learned-priors"].asked if one.paper == "flow-prior")
    paper, pair = catalog.paper("flow-prior"), ("vae-anneal", "flow-prior")
    shown = {column.label: _printed(paper, pair, column.printed, "ptb") for column in asked.columns}
    bound = shown["\u2212ELBO"]
    assert str(bound) == "+0.46 (101.28, 101.74)"
    assert not shown["NLL, all samples"].values
    ppl = shown["PPL, all samples"]
    changes = {"PPL": (ppl.change or 0, 2), "bound": (bound.change or 0, 2)}
    assert printed_turning(changes) == " Printed: PPL \u22126.68, bound +0.46: the sign turns."
