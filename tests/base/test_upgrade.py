"""What earlier versions recorded is read as settings and tables of today."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.base.settings import RunSettings
from bench.base.upgrade import upgraded, upgraded_columns
from bench.catalog.catalog import load_catalog
from bench.planning.resolve import find_run
from bench.store.changes import changed

PUBLISHED = sorted((Path(__file__).parents[2] / "results" / "published" / "runs").rglob("run.json"))


def read(path: Path) -> RunSettings:
    return RunSettings.model_validate(upgraded(json.loads(path.read_text(encoding="utf-8"))["settings"]))


def test_every_published_run_has_the_settings_that_its_name_has_now() -> None:
    assert len(PUBLISHED) >= 42
    for path in PUBLISHED:
        settings = read(path)
        found = changed(find_run(load_catalog(), settings.name), settings)
        assert [key for key, *_ in found if key != "starts_from.identity"] == [], settings.name


def part(kind: str = "none", **options: Any) -> dict[str, Any]:
    return {"kind": kind, "options": options}


def test_the_slots_of_a_loss_become_terms() -> None:
    names = {"matching_weight": 0.5, "reconstruction_weight": 2.0, "distance": "euclidean", "constant": 3.0}
    old = {
        "encoder": part("gru", hidden=3),
        "regulariser": part("free-bits", target=6.0, form="text"),
        "aggregate": part("mmd", weight=10.0, constant=64.0),
        "schedule": part("constant", ceiling=0.8),
        "coupling": part("twin", **names),
    }
    before = json.dumps(old)
    found = upgraded(old)
    assert json.dumps(old) == before
    assert set(found) == {"encoder", "signal", "coupling", "objective"}
    assert (found["signal"], found["coupling"]) == (part("mlp"), part("twin"))
    weights = {name: term["weight"] for name, term in found["objective"].items()}
    values = {"reconstruction": 1.0, "kl": 0.8, "mmd": 10.0, "matching": 0.5, "twin_reconstruction": 2.0}
    assert weights == {name: part("constant", value=value) for name, value in values.items()}
    assert found["objective"]["kl"]["options"] == {"target": 6.0, "form": "text"}
    assert found["objective"]["mmd"]["options"] == {"constant": 64.0}
    assert found["objective"]["matching"]["options"] == {"distance": "euclidean", "constant": 3.0}


@pytest.mark.parametrize(("old", "updates"), [("deduplicated", None), ("as-released", "owners"), (3, 3)])
def test_how_often_the_embedding_is_updated_becomes_a_group(
    old: str | int, updates: str | int | None
) -> None:
    found = upgraded({"optimiser": {"clip": 1.0, "embedding_updates": old}})
    groups = {"groups": {"embedding": {"modules": ["embedding"], "updates": updates}}} if updates else {}
    assert found == {"optimiser": {"clip": 1.0}, **groups}


def test_settings_of_today_stay_as_they_are() -> None:
    settings = find_run(load_catalog(), "demo/coupled-vae/ptb/coupled-wae/seed0").model_dump(mode="json")
    assert upgraded(settings) is settings


@pytest.mark.parametrize(
    ("columns", "renamed"),
    [
        (["step", "weight", "regulariser"], {"weight": "kl_weight", "regulariser": "kl"}),
        (["weight", "aggregate", "kl"], {"weight": "kl_weight", "aggregate": "mmd"}),
        (["step", "kl_weight", "kl"], {}),
        (["step", "aggregate"], {}),  # a term of today that somebody calls so
    ],
)
def test_columns_have_the_names_of_terms(columns: list[str], renamed: dict[str, str]) -> None:
    assert upgraded_columns(columns) == renamed
