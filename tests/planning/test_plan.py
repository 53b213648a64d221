"""From what is asked for to the runs: layers of settings, counts per tier, and every wrong name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bench.base.errors import BenchError
from bench.base.parts import in_full
from bench.base.run_names import parse_name
from bench.base.settings import RunSettings
from bench.catalog.catalog import Catalog, load_catalog
from bench.planning.layers import merge
from bench.planning.plan import Plan, Request, _suits, make_plan, systems_of
from bench.planning.resolve import find_run, resolve, text_rules

PAPER = "coupled-vae"
# Of tables 1, 2 and 5, in the order of first appearance.
PAIRED = [
    "vae",
    "beta-0.8-vae",
    "beta-1.2-vae",
    "vmf-vae",
    "cnn-vae",
    "wae",
    "vae-nf",
    "wae-nf",
    "cycann-vae",
]
BUILT = ["gru-lm", *(name for system in [*PAIRED, "prefb-vae"] for name in (system, f"coupled-{system}"))]
BUILT += ["sa-vae", "lagging-vae", "coupled-lagging-vae", "dae"]


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


def asked(catalog: Catalog, **values: Any) -> Plan:
    return make_plan(catalog, Request(**values))


@pytest.mark.parametrize(
    ("old", "new", "merged"),
    [
        ({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}}, {"a": {"b": 1, "c": 3}}),
        ({"a": {"b": 1}}, {"a": 3}, {"a": 3}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({}, {"prior": "x"}, {"prior": {"kind": "x"}}),
        (
            {"encoder": {"kind": "gru", "hidden": 1}},
            {"encoder": {"hidden": 2}},
            {"encoder": {"kind": "gru", "hidden": 2}},
        ),
        (
            {"encoder": {"kind": "gru", "hidden": 1}},
            {"encoder": "gru"},
            {"encoder": {"kind": "gru", "hidden": 1}},
        ),
        (
            {"encoder": {"kind": "gru", "hidden": 1}},
            {"encoder": "lstm"},
            {"encoder": {"kind": "lstm", "hidden": 1}},
        ),
        (
            {"decoder": {"kind": "gru", "hidden": 1, "projection": 2, "dropout": 0.1}},
            {"decoder": "lstm"},
            {"decoder": {"kind": "lstm", "hidden": 1, "dropout": 0.1}},
        ),
        ({"encoder": {"kind": "gru", "hidden": 1}}, {"encoder": "none"}, {"encoder": {"kind": "none"}}),
        ({"encoder": {"kind": "gur", "hidden": 1}}, {"encoder": "lstm"}, {"encoder": {"kind": "lstm"}}),
        (
            {"encoder": "none"},
            {"encoder": {"kind": "gru", "hidden": 2}},
            {"encoder": {"kind": "gru", "hidden": 2}},
        ),
        (
            {"encoder": {"kind": "gru", "hidden": 1}},
            {"encoder": {"kind": "gru", "options": {"dropout": 0.1}}},
            {"encoder": {"kind": "gru", "hidden": 1, "dropout": 0.1}},
        ),
        (
            {"objective": {"kl": {"weight": {"kind": "linear", "start": 1}}}},
            {"objective": {"kl": {"kind": "free-bits", "target": 2, "weight": {"start": 3}}, "mmd": {}}},
            {
                "objective": {
                    "kl": {"kind": "free-bits", "target": 2, "weight": {"kind": "linear", "start": 3}},
                    "mmd": {},
                }
            },
        ),
        (
            {
                "objective": {
                    "kl": {"kind": "free-bits", "target": 2, "weight": {"kind": "linear", "start": 1}}
                }
            },
            {"objective": {"kl": {"kind": "free-bits", "form": "text", "weight": 0.5}}},
            {"objective": {"kl": {"kind": "free-bits", "target": 2, "form": "text", "weight": 0.5}}},
        ),
        ({"objective": {"kl": {"weight": 2}}}, {"objective": {"kl": "none"}}, {"objective": {"kl": "none"}}),
        ({"encoder": "gru"}, {"encoder": 5}, {"encoder": 5}),
        ({"encoder": "gru"}, {"encoder": None}, {"encoder": None}),
        ({"encoder": "gru"}, {"encoder": [1]}, {"encoder": [1]}),
    ],
)
def test_layers_merge(old: dict[str, Any], new: dict[str, Any], merged: dict[str, Any]) -> None:
    before = repr((old, new))
    assert merge(in_full(old), in_full(new)) == in_full(merged)
    assert repr((old, new)) == before


def test_the_layers_come_in_their_order(catalog: Catalog) -> None:
    """Protocol, corpus, system after its ancestors, the paper's exceptions, the tier, the user."""
    paper = catalog.paper(PAPER).model_copy(
        update={
            "by_system": {
                "vae": {"latent": 7, "by_corpus": {"yahoo": {"embedding": 70}}},
                "coupled-vae": {"latent": 8},
            }
        }
    )
    changed = catalog.model_copy(update={"papers": {PAPER: paper}})

    def numbers(corpus: str, system: str, **settings: Any) -> tuple[Any, ...]:
        run = resolve(changed, "paper", PAPER, corpus, system, 0, settings)
        return run.latent, run.embedding, run.encoder.options["hidden"]

    assert numbers("ptb", "beta-0.8-vae") == (7, 200, 128)
    assert numbers("yahoo", "coupled-vae-rq-1") == (8, 70, 256)
    assert numbers("yahoo", "coupled-vae-rq-1", latent=3, encoder={"hidden": 5}) == (3, 70, 5)
    run = resolve(changed, "demo", PAPER, "yahoo", "coupled-vae-rq-1", 0)
    assert (run.latent, run.embedding, run.encoder.options["hidden"]) == (8, 48, 48)
    assert run.objective["matching"].weight.options == {"value": 1.0}


@pytest.mark.parametrize(
    ("tier", "numbers"),
    [
        ("paper", (60_000, 1_000, 2_000, 40_000, 30_000, 2_000)),
        ("quick", (3_000, 250, 100, 2_000, 1_500, 100)),
        ("demo", (350, 50, 60, 233, 280, 20)),
    ],
)
def test_a_tier_scales_every_schedule(tier: str, numbers: tuple[int, ...], catalog: Catalog) -> None:
    run = find_run(catalog, f"{tier}/{PAPER}/ptb/vae/seed0")
    ramp, rate = run.objective["kl"].weight.options, run.optimiser
    found = (run.training.steps, run.training.validate_every, ramp["start"], ramp["length"])
    assert (*found, rate.decay_after, rate.decay_every) == numbers


def at(run: RunSettings, path: str) -> Any:
    """The setting at a path of those that a tier scales, None if there is none; of the terms, that of the KL."""
    found: Any = run.model_dump()
    for key in path.replace("*", "kl").split("."):
        found = found.get(key, found.get("options", {}).get(key)) if found else None
    return found


def test_what_is_scaled_is_a_setting(catalog: Catalog) -> None:
    runs = [find_run(catalog, f"paper/{name}/vae/seed0") for name in (f"{PAPER}/ptb", "stochastic-wae/snli")]
    for path in catalog.tiers.scaled:
        assert any(isinstance(at(run, path), int) for run in runs), path


def test_a_number_is_scaled_to_at_least_one_and_zero_stays(catalog: Catalog) -> None:
    paper = catalog.paper(PAPER)
    ramp = {"objective": {"kl": {"weight": {"start": 0}}}}
    protocol = merge(in_full(paper.protocol), in_full(ramp | {"training": {"steps": 3}}))
    changed = catalog.model_copy(update={"papers": {PAPER: paper.model_copy(update={"protocol": protocol})}})
    run = find_run(changed, f"quick/{PAPER}/ptb/vae/seed0")
    assert (at(run, "objective.kl.weight.start"), run.training.steps) == (0, 1)


@pytest.mark.parametrize("system", ["vae", "coupled-vmf-vae", "cnn-vae", "cycann-vae", "vae-late-decay"])
def test_a_corpus_in_place_of_another_has_its_settings_and_shorter_schedules(
    system: str, catalog: Catalog
) -> None:
    there, here = (resolve(catalog, "paper", "coupled-vae", c, system, 0) for c in ("yahoo", "yahoo-lite"))
    assert (here.encoder, here.decoder, here.coupling) == (there.encoder, there.decoder, there.coupling)
    scale = catalog.paper("coupled-vae").stand_ins["yahoo-lite"].scale
    for path in catalog.tiers.scaled:
        printed = at(there, path)
        assert at(here, path) == (None if printed is None else round(printed * scale)), path
    assert here.text == there.text.model_copy(update={"oov": "unknown"})
    assert here.evaluation.samples == 25


def test_an_override_that_a_system_has_no_part_for_is_left_out(catalog: Catalog) -> None:
    settings: dict[str, Any] = {"encoder": {"hidden": 5}, "decoder": {"hidden": 6}}
    settings |= {"objective": {"kl": {"weight": {"start": 1}}, "matching": {"weight": 2.0}}}
    run = find_run(catalog, f"demo/{PAPER}/ptb/gru-lm/seed0", settings)
    assert (run.encoder.kind, run.decoder.options["hidden"]) == ("none", 6)
    assert list(run.objective) == ["reconstruction"]


def spending(catalog: Catalog, **changes: Any) -> Catalog:
    """The catalog with another quick tier of the paper."""
    paper = catalog.paper(PAPER)
    tiers = {**paper.tiers, "quick": paper.tiers["quick"].model_copy(update=changes)}
    return catalog.model_copy(update={"papers": {PAPER: paper.model_copy(update={"tiers": tiers})}})


def test_a_tier_speaks_to_each_part_of_what_it_has(catalog: Catalog) -> None:
    changed = spending(catalog, overrides={"decoder": {"projection": 7, "channels": 8}})
    gru, cnn = (
        find_run(changed, f"quick/{PAPER}/ptb/{system}/seed0").decoder for system in ("vae", "cnn-vae")
    )
    assert (gru.options["projection"], "channels" in gru.options) == (7, False)
    assert (cnn.options["channels"], "projection" in cnn.options) == (8, False)
    with pytest.raises(
        BenchError, match=r"unknown option 'chanels'(.|\n)*tier quick: decoder(.|\n)*'channels'"
    ):
        find_run(spending(catalog, overrides={"decoder": {"chanels": 8}}), f"quick/{PAPER}/ptb/vae/seed0")


def test_a_tier_has_exceptions_for_a_system_and_those_that_build_on_it(catalog: Catalog) -> None:
    changed = spending(catalog, overrides={"latent": 5}, by_system={"wae": {"latent": 6}})
    for system, latent in (("vae", 5), ("wae", 6), ("coupled-wae", 6)):
        assert find_run(changed, f"quick/{PAPER}/ptb/{system}/seed0").latent == latent


CHOSEN = ["gru-lm", "dae", "vae", "coupled-vae", "coupled-vae-rq-10", "prefb-vae"]
OF_PAIRS = ["gru-encoder-decoder", "cvae", "coupled-cvae", *(f"coupled-cvae-{w}" for w in ("0.5", "1", "2"))]
COUNTS = [
    ({}, {"generated-clear": CHOSEN}, 3),
    ({"seeds": "3"}, {"generated-clear": CHOSEN}, 1),
    ({"every_system": True}, {"generated-clear": [*BUILT, "coupled-vae-rq-10"]}, 1),
    ({"tier": "quick"}, {"ptb": BUILT, "swda-pairs": OF_PAIRS}, 1),
    ({"tier": "quick", "seeds": (0, 1, 2)}, {"ptb": BUILT, "swda-pairs": OF_PAIRS}, 3),
    (
        {"tier": "paper", "tables": "table5"},
        {key: ["dae", "vae", "coupled-vae"] for key in ("ptb", "yelp13", "yahoo")},
        1,
    ),
    (
        {"tables": ("table5", "table6")},
        {"generated-clear": ["dae", "vae", "coupled-vae", "coupled-vae-rq-10"]},
        1,
    ),
    (
        {"systems": ("dae", "vae"), "corpora": "ptb,yahoo"},
        {"ptb": ["dae", "vae"], "yahoo": ["dae", "vae"]},
        1,
    ),
    ({"systems": "coupled-vae-rq-5", "seeds": (4,)}, {"generated-clear": ["coupled-vae-rq-5"]}, 1),
]


@pytest.mark.parametrize(("values", "expected", "seeds"), COUNTS)
def test_the_runs_of_a_request(
    values: dict[str, Any], expected: dict[str, list[str]], seeds: int, catalog: Catalog
) -> None:
    plan = asked(catalog, **values)
    assert len(plan.runs) == seeds * sum(map(len, expected.values()))
    assert plan.corpora == [(PAPER, corpus) for corpus in expected]
    for corpus, systems in expected.items():
        found = dict.fromkeys(run.system for run in plan.runs.values() if run.corpus == corpus)
        assert list(found) == systems
    assert all(name == run.name for name, run in plan.runs.items())


def test_the_papers_own_budget_runs_each_system_on_the_corpora_that_print_it(catalog: Catalog) -> None:
    plan = asked(catalog, tier="paper")
    by_corpus = {
        corpus: [r.system for r in plan.runs.values() if r.corpus == corpus] for _, corpus in plan.corpora
    }
    assert {corpus: len(systems) for corpus, systems in by_corpus.items()} == {
        "ptb": 40,
        "yelp13": 40,
        "yahoo": 29,
        "switchboard": 6,
    }
    printed = {(c, r.system) for t in catalog.paper(PAPER).tables for c in t.corpora for r in t.rows}
    wanted = {(corpus, system) for corpus, system in printed if not catalog.missing(PAPER, system)}
    assert {(run.corpus, run.system) for run in plan.runs.values()} == wanted


@pytest.mark.parametrize(
    "values",
    [{"systems": "vae,vae"}, {"seeds": (0, 0)}, {"corpora": ("ptb", "ptb")}, {"papers": (PAPER, PAPER)}],
)
def test_nothing_is_run_twice(values: dict[str, Any], catalog: Catalog) -> None:
    once = {
        key: value.split(",")[0] if isinstance(value, str) else value[:1] for key, value in values.items()
    }
    assert list(asked(catalog, **values).runs) == list(asked(catalog, **once).runs)
    identities = [run.identity for run in asked(catalog, **values).runs.values()]
    assert len(identities) == len(set(identities))


@pytest.mark.parametrize("tier", ["demo", "quick", "paper"])
def test_every_planned_run_is_on_a_corpus_with_its_fields(tier: str, catalog: Catalog) -> None:
    """Another would be refused when it is trained."""
    planned = asked(catalog, tier=tier, papers=tuple(catalog.papers)).runs.values()
    assert planned
    assert [run.name for run in planned if not _suits(run, catalog)] == []


def test_what_cannot_be_built_is_left_out_unless_it_is_asked_for(catalog: Catalog) -> None:
    lacking = catalog.system(PAPER, "vmf-vae").model_copy(update={"missing": "there is no sphere"})
    declared = {**catalog.systems.declared, (PAPER, "vmf-vae"): lacking}
    catalog = catalog.model_copy(update={"systems": replace(catalog.systems, declared=declared)})
    assert "vmf-vae" in systems_of(catalog, PAPER, ["table1"])
    assert "vmf-vae" not in {run.system for run in asked(catalog).runs.values()}
    with pytest.raises(BenchError, match="'vmf-vae' cannot be built: there is no sphere"):
        asked(catalog, systems="vmf-vae")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tier": "quik"}, "unknown tier 'quik'(.|\n)*allowed: demo, paper, quick(.|\n)*'quick'"),
        ({"papers": "coupled-vea"}, "unknown paper 'coupled-vea'(.|\n)*'coupled-vae'"),
        ({"corpora": "pbt"}, "unknown corpus 'pbt'(.|\n)*'ptb'"),
        ({"tables": "table7"}, "unknown table 'table7'(.|\n)*paper coupled-vae"),
        ({"systems": "vea"}, "unknown system 'vea'(.|\n)*'vae'"),
        ({"systems": "vae,"}, "unknown system ''"),
        ({"settings": {"traning": {}}}, "unknown key 'traning'(.|\n)*'training'"),
        (
            {"settings": {"training": {"stepz": 1}}},
            r"unknown key 'stepz'(.|\n)*training\.stepz(.|\n)*'steps'",
        ),
        ({"settings": {"training": {"steps": "x"}}}, r"training\.steps is 'x'(.|\n)*an integer"),
        ({"settings": {"training": 3}}, "training is 3(.|\n)*a mapping"),
        ({"settings": {"decoder": [1]}}, "expected the name of a part(.|\n)*gru-lm: decoder"),
        ({"settings": {"seed": 3}}, "seed is not a setting: it is part of the run's name"),
        ({"settings": {"system": "dae"}}, "system is not a setting"),
    ],
)
def test_a_wrong_name_or_setting_is_told(values: dict[str, Any], message: str, catalog: Catalog) -> None:
    with pytest.raises(BenchError, match=message):
        asked(catalog, **values)


@pytest.mark.parametrize("key", ["papers", "corpora", "tables", "systems", "seeds"])
def test_an_empty_list_is_not_everything(key: str) -> None:
    with pytest.raises(ValueError, match="at least 1 item"):
        Request.model_validate({key: []})


@pytest.mark.parametrize(
    "name",
    [
        "",
        "demo",
        "demo/coupled-vae/ptb/vae",
        "demo/coupled-vae/ptb/vae/0",
        "demo/coupled-vae/ptb/vae/seed",
        "demo/coupled-vae/ptb/vae/seed-1",
        "demo/coupled-vae/ptb/vae/seed01",
        "demo/coupled-vae/ptb/vae/seed²",
        "demo/coupled-vae/ptb/vae/seed0/",
        "/demo/coupled-vae/ptb/vae/seed0",
    ],
)
def test_what_is_not_the_name_of_a_run_is_told(name: str) -> None:
    with pytest.raises(BenchError, match=r"is not the name of a run(.|\n)*TIER/PAPER/CORPUS/SYSTEM/seedN"):
        parse_name(name)


def test_every_planned_run_is_found_by_its_name(catalog: Catalog) -> None:
    settings = {"training": {"steps": 7}}
    for name, run in asked(catalog, tier="paper", seeds=(0, 12), settings=settings).runs.items():
        assert find_run(catalog, name, settings) == run


def test_the_treatment_of_texts_is_the_same_for_all_systems_of_a_paper(catalog: Catalog) -> None:
    settings = {"text": {"max_words": 50}}
    for run in asked(catalog, tier="paper", settings=settings).runs.values():
        assert text_rules(catalog, PAPER, run.corpus, settings) == run.text
    assert text_rules(catalog, PAPER, "ptb").oov == "error"
    assert text_rules(catalog, PAPER, "generated-tiny").oov == "unknown"


@pytest.mark.parametrize(
    ("paper", "corpus", "settings", "message"),
    [
        ("coupled", "ptb", {}, "unknown paper 'coupled'"),
        (PAPER, "pbt", {}, "unknown corpus 'pbt'"),
        (
            PAPER,
            "ptb",
            {"text": {"max_wrods": 3}},
            r"unknown key 'max_wrods'(.|\n)*text\.max_wrods(.|\n)*'max_words'",
        ),
        (PAPER, "ptb", {"txt": {}}, "unknown key 'txt'(.|\n)*'text'"),
    ],
)
def test_a_wrong_treatment_is_told(
    paper: str, corpus: str, settings: dict[str, Any], message: str, catalog: Catalog
) -> None:
    with pytest.raises(BenchError, match=message):
        text_rules(catalog, paper, corpus, settings)
