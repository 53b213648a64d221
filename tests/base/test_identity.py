"""The identity of a run: what does not count, and which runs a version concerns."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import Field, create_model

from bench.base import identity
from bench.base.identity import corpus_identity, training_identity, without_defaults
from bench.base.registry import registry
from bench.base.settings import RunSettings
from bench.base.text_rules import TextRules
from bench.catalog.catalog import load_catalog
from bench.corpora import readers
from bench.corpora.readers import versions_of
from bench.planning.plan import Request, make_plan
from tests.conftest import raise_version, tiny_settings

CATALOG = load_catalog()


@pytest.fixture(scope="module")
def runs() -> dict[str, RunSettings]:
    """All runs of the tier ``demo`` of all papers."""
    return dict(
        make_plan(CATALOG, Request(tier="demo", papers=tuple(CATALOG.papers), every_system=True)).runs
    )


def test_what_has_its_default_is_left_out() -> None:
    found = without_defaults(tiny_settings("vae"))
    assert found["training"] | {"steps": 40} == found["training"]
    assert "starts_from" not in found
    assert "initial" not in found
    assert found["encoder"] == {"kind": "gru", "options": {"hidden": 8}}


def test_a_new_setting_with_a_neutral_default_changes_no_identity() -> None:
    run = tiny_settings("vae")
    training = create_model("Training", __base__=type(run.training), warm_up=(int, Field(0)))
    longer = create_model("RunSettings", __base__=RunSettings, training=(training, ...), notes=(str, ""))
    values = run.model_dump(mode="json")
    assert longer.model_validate(values).identity == run.identity
    assert longer.model_validate(values | {"notes": "other"}).training_identity != run.training_identity
    values["training"] |= {"warm_up": 1}
    assert longer.model_validate(values).training_identity != run.training_identity


def test_a_new_option_with_a_neutral_default_changes_no_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    run = tiny_settings("vae")
    entry = registry()["encoder"]["gru"]
    options = create_model("Options", __base__=entry.options, bias=(bool, True))
    monkeypatch.setitem(registry()["encoder"], "gru", replace(entry, options=options))  # type: ignore[arg-type]
    again = RunSettings.model_validate(run.model_dump(mode="json"))
    assert again.encoder.options["bias"] is True
    assert again.identity == run.identity
    other = run.model_dump(mode="json")
    other["encoder"]["options"] |= {"bias": False}
    assert RunSettings.model_validate(other).identity != run.identity


@pytest.mark.parametrize(
    ("choice", "kind"),
    [("posterior", "vmf"), ("weight", "linear"), ("term", "kl"), ("decoder", "gru")],
)
def test_a_raised_version_concerns_exactly_the_runs_that_have_the_part(
    choice: str, kind: str, runs: dict[str, RunSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {name: (run.training_identity, run.identity) for name, run in runs.items()}
    raise_version(monkeypatch, choice, kind)
    moved = {
        name
        for name, run in runs.items()
        if (run.training_identity != before[name][0]) and (run.identity != before[name][1])
    }
    assert moved == {name for name, run in runs.items() if (choice, kind) in run.used()}
    assert moved


def test_a_raised_stage_concerns_all_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    run = tiny_settings("vae")
    trained, whole = run.training_identity, run.identity
    monkeypatch.setitem(identity.STAGES, "evaluate", 2)
    assert (run.training_identity == trained, run.identity == whole) == (True, False)
    monkeypatch.setitem(identity.STAGES, "train", 2)
    assert run.training_identity != trained
    assert training_identity(run, {}) == trained  # of a record from before


def test_a_corpus_depends_on_its_entry_its_rules_and_two_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    entry, rules = CATALOG.corpus("ptb"), tiny_settings("vae").text
    now = corpus_identity("a", rules, versions_of(entry))
    others: list[tuple[str, TextRules]] = [("b", rules), ("a", rules.model_copy(update={"lowercase": True}))]
    assert all(corpus_identity(name, other, versions_of(entry)) != now for name, other in others)
    monkeypatch.setitem(identity.STAGES, "prepare", 2)
    assert versions_of(entry) == {"prepare": 2}
    assert corpus_identity("a", rules, versions_of(entry)) != now
    known = readers.kinds()[entry.reader.kind]
    monkeypatch.setitem(readers._READERS, entry.reader.kind, known._replace(version=3))
    assert versions_of(entry) == {"prepare": 2, f"reader {entry.reader.kind}": 3}
