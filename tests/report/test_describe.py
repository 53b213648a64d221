"""A run in words, its departures from the protocol, and the commands that make it again."""

from __future__ import annotations

import html as html_entities
import json
import shlex
from typing import Any
from xml.etree import ElementTree

import pytest

from bench.analysis.numbers import count, duration, fixed, metric_name, significant, visible
from bench.catalog.catalog import Catalog
from bench.cli.main import parser
from bench.cli.options import run_of, settings_of
from bench.planning.plan import Request, make_plan
from bench.planning.resolve import find_run, text_rules
from bench.report import describe, formulas
from bench.report.rundata import run_data
from bench.store.records import RunRecord, load_records
from tests.analysis.synthetic import measured, run

RUN = "paper/coupled-vae/ptb/coupled-vae/seed0"


def text(html: Any) -> str:
    """What a formula says, without its layout."""
    plain = html_entities.unescape(str(html.striptags())).replace("\u2212", "-")
    return plain.replace("\u2223", "|").replace(" ", "")


@pytest.mark.parametrize(
    ("system", "formula"),
    [
        ("gru-lm", "-ln p(x)"),
        ("dae", "-ln p(x|z(x))"),
        ("vae", "Eq(z|x)[-ln p(x|z)] + β(t) KL(q(z|x) ‖ p(z))"),
        ("coupled-vae", "Eq(z|x)[-ln p(x|z)] + β(t) KL(q(z|x) ‖ p(z)) + [-ln pc(x|zc)] + 0.1 RQ(h, hc)"),
        ("wae", "Eq(z|x)[-ln p(x|z)] + β(t) KL(q(z|x) ‖ p(z)) + 10 MMD2(q(z), p(z))"),
        ("prefb-vae", "Eq(z|x)[-ln p(x|z)] + β(t) ∑i max(KLi, 6/d)"),
        (
            "coupled-vae-rec-5",
            "Eq(z|x)[-ln p(x|z)] + β(t) KL(q(z|x) ‖ p(z)) + 5 [-ln pc(x|zc)] + 0.1 RQ(h, hc)",
        ),
    ],
)
def test_objective(results: Any, system: str, formula: str) -> None:
    settings = results.settings(f"paper/coupled-vae/ptb/{system}/seed0")
    html = formulas.objective(settings)
    assert text(html) == formula.replace(" ", "")
    assert ElementTree.fromstring(html).tag.endswith("}math")


def test_a_part_is_told_by_its_docstring(results: Any) -> None:
    settings = results.settings("paper/coupled-vae/ptb/vae/seed0")
    rows = {row["choice"]: row for row in describe.parts(settings)}
    assert "<code>" in rows["kl, weight"]["about"]
    assert "``" not in rows["kl, weight"]["about"]


def load(results: Any, catalog: Catalog, request: Request) -> RunRecord:
    return load_records(results.root, make_plan(catalog, request).runs).runs[0]


def test_settings_of_the_user_come_back_in_the_command(results: Any, catalog: Catalog) -> None:
    changed = {"latent": 16, "objective": {"matching": {"weight": 0.7}}, "training": {"steps": 50}}
    request = Request.model_validate(
        {"tier": "paper", "corpora": ("ptb",), "systems": ("coupled-vae",), "settings": changed}
    )
    record = load(results, catalog, request)
    words = shlex.split(describe.again(catalog, record)[0])
    given = json.loads(words[words.index("--settings") + 1])
    assert record.settings is not None
    assert find_run(catalog, words[4], given).identity == record.settings.identity
    departures, reason = describe.departures(catalog, record)
    assert reason == ""
    assert {d["key"]: (d["protocol"], d["run"]) for d in departures} == {
        "latent": (32, 16),
        "objective.matching.weight.options.value": (0.1, 0.7),
        "training.steps": (60000, 50),
    }


@pytest.mark.parametrize(
    "changed",
    [
        {"objective": {"kl": "none"}, "posterior": "point", "prior": "none"},
        {"objective": {"mmd": {"kind": "mmd", "weight": 2.0}, "kl": {"weight": 0.5}}},
        {"objective": {"kl": {"kind": "free-bits"}}, "decoder": {"kind": "lstm", "hidden": 7}},
    ],
)
def test_another_objective_comes_back_in_the_command(
    results: Any, catalog: Catalog, changed: dict[str, Any]
) -> None:
    asked = {"tier": "paper", "corpora": ("ptb",), "systems": ("vae",), "settings": changed}
    record = load(results, catalog, Request.model_validate(asked))
    assert record.settings is not None
    given = describe.overrides(catalog, record)
    assert find_run(catalog, record.name, given).identity == record.settings.identity


@pytest.mark.parametrize("system", ["coupled-vae", "prefb-vae"])
def test_the_one_command_plans_that_very_run(results: Any, catalog: Catalog, system: str) -> None:
    changed = {"latent": 16, "text": {"min_count": 2}}
    asked = {"tier": "demo", "systems": (system,), "settings": changed}
    record = load(results, catalog, Request.model_validate(asked))
    record.run = {"provenance": {"code_version": "b" * 40}}
    command = describe.one_command(catalog, record)
    first, *steps = command.replace("\\\n", "").split(" && ")
    assert first == f"git checkout {'b' * 40}"
    parsed = []
    for step in steps:
        words = shlex.split(step)
        assert words[:3] == ["python", "-m", "bench"]
        parsed.append(parser().parse_args(words[3:]))
    assert record.settings is not None
    planned = [(o.name, run_of(o)) for o in parsed if o.name in ("train", "evaluate")]
    expected = ["train", "train", "evaluate"] if record.settings.start else ["train", "evaluate"]
    assert [name for name, _ in planned] == expected
    assert [run.identity for _, run in planned[-2:]] == [record.settings.identity] * 2
    if record.settings.starts_from:
        first_run = planned[0][1]
        assert first_run.training_identity == record.settings.starts_from.identity
        assert first_run.name == record.settings.start
    fetch, prepare = parsed[:2]
    assert (fetch.name, fetch.corpus) == ("fetch", record.settings.corpus)
    assert (prepare.name, prepare.sources) == ("prepare", fetch.out)
    rules = text_rules(catalog, prepare.paper, prepare.corpus, settings_of(prepare))
    assert rules == record.settings.text


def test_a_run_of_the_protocol_needs_no_settings(results: Any, catalog: Catalog) -> None:
    record = load(
        results,
        catalog,
        Request.model_validate({"tier": "paper", "corpora": ("ptb",), "systems": ("coupled-vae",)}),
    )
    assert describe.departures(catalog, record) == ([], "")
    assert "--settings" not in " ".join(describe.commands(catalog, record))
    record.run = {"provenance": {"code_version": "b" * 40}}
    assert describe.commands(catalog, record)[0] == "git checkout " + "b" * 40
    record.run = {"provenance": {"code_version": "0.1; rm -rf /"}}
    assert "rm" not in " ".join(describe.commands(catalog, record)).split()


@pytest.mark.parametrize(("measured_by", "checkouts"), [("b" * 40, 1), ("c" * 40, 2), (None, 1)])
def test_each_stage_is_made_again_by_its_own_code(
    results: Any, catalog: Catalog, measured_by: str | None, checkouts: int
) -> None:
    asked = {"tier": "paper", "corpora": ("ptb",), "systems": ("vae",)}
    record = load(results, catalog, Request.model_validate(asked))
    record.run = {"provenance": {"code_version": "b" * 40, "precision": "bfloat16 products"}}
    ((departure,), _) = describe.departures(catalog, record)
    assert departure == {"key": "precision", "protocol": "float32 products", "run": "bfloat16 products"}
    record.evaluation = {"provenance": {"code_version": measured_by}} if measured_by else {}
    commands = describe.commands(catalog, record)
    assert sum("git checkout" in command for command in commands) == checkouts
    assert commands[0] == f"git checkout {'b' * 40}"
    *_, before, evaluate = commands
    assert "bench evaluate" in evaluate
    assert (before == f"git checkout {'c' * 40}") == (checkouts == 2)


def test_a_chosen_run_keeps_the_digits_of_what_it_measured() -> None:
    found = run("vae", more=[measured("nll", "importance-sampling-100", 114.66904)])
    shown = run_data(found, "VAE")["measured"]
    assert [f"{value:.3f}" for value in shown.values()] == ["114.669"]


def test_numbers() -> None:
    assert fixed(-0.04, 1, signed=True) == "0.0"
    assert fixed(-1.25, 1) == "\u22121.2"
    assert fixed(2.0, 1, signed=True) == "+2.0"
    assert fixed(None, 1) == fixed(float("nan"), 1) == "\u2013"
    assert significant(1234.567) == "1235"
    assert significant(0.01234567) == "0.01235"
    assert [significant(v) for v in (0.0, 16.0, 2.5e-7)] == ["0", "16", "2.500e\u221207"]
    assert [visible(v, 1) for v in (0.0, 0.003, 103.62)] == ["0.0", "0.0030", "103.6"]
    assert count(42068) == "42\u202f068"
    assert [duration(s) for s in (2.5, 61, 7261)] == ["2.5 s", "1 min 1 s", "2 h 1 min"]
    assert metric_name("attribute_information:tense") == "attribute information: tense"
