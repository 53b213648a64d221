"""How golden values are kept and compared, and that they show what systems can do: ``test_runs.py`` makes them anew."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from bench.base.errors import BenchError
from bench.base.files import read_json
from tests.conftest import raise_version
from tests.declared import RUNS
from tests.golden import golden, make
from tests.golden.golden import (
    VALUES,
    Moved,
    explained,
    made_here,
    moved,
    path_of,
    read,
    settings_of,
)

KEPT: dict[tuple[str, str], dict[str, Any]] = {run: read(*run)[1] for run in RUNS if path_of(*run).exists()}
COUNTS = ("bleu2 cumulative", "bleu sacrebleu", "dist2 prior-samples", "active_units variance-of-means")


def test_every_system_has_golden_values_and_no_other() -> None:
    assert {(path.parent.name, path.stem) for path in VALUES.rglob("*.json")} == set(RUNS)


@pytest.mark.parametrize(("paper", "system"), RUNS)
def test_golden_values_are_of_the_run_of_today(paper: str, system: str) -> None:
    """Else settings or versions are others than when the values were made: make them again."""
    assert golden.read_of(paper, system) == golden.of_run(settings_of(paper, system))


def test_systems_whose_settings_differ_have_other_golden_values() -> None:
    found: dict[str, list[str]] = {}
    for (paper, system), values in KEPT.items():
        settings = settings_of(paper, system).model_dump(mode="json", exclude={"system", "paper"})
        found.setdefault(json.dumps(values), []).append(json.dumps(settings))
    assert all(len(set(settings)) == 1 for settings in found.values())


def test_what_a_system_can_do_happens_in_the_golden_runs() -> None:
    def of(term: str) -> list[list[float]]:
        return [values[term] for values in KEPT.values() if term in values]

    for run, values in KEPT.items():
        falls = settings_of(*run).optimiser.decay_factor < 1
        assert (len(set(values["training learning_rate"])) > 1) == falls, run
    assert all(len(set(weights)) > 1 for weights in of("training kl_weight"))
    assert all(len(validations) >= 2 for validations in of("validation best"))
    assert any(not all(best) for best in of("validation best"))  # then last and best weights differ
    clips = {run: settings_of(*run).optimiser.clip for run in KEPT}
    clipped = {norm > clips[run] for run, values in KEPT.items() for norm in values["training gradient_norm"]}
    assert clipped == {True, False}
    for metric in COUNTS:
        # Few steps teach hardly a system four words in a row, without which this BLEU is 0.
        least = 2 if metric == "bleu sacrebleu" else 3
        assert len(set(itertools.chain(*of(f"measured {metric}")))) >= least, metric


GOLDEN: golden.Values = {"training kl": [1.0, 2.0], "measured bleu2 cumulative": [4.0], "digest": ["a"]}


@pytest.mark.parametrize(
    ("change", "exactly", "terms"),
    [
        ({}, True, []),
        ({"training kl": [1.0, 2.0 + 1e-9]}, False, []),
        ({"training kl": [1.0, 2.0 + 1e-9]}, True, [Moved("training kl", 1, 2.0, 2.0 + 1e-9, 1)]),
        ({"training kl": [1.1, 2.1]}, False, [Moved("training kl", 0, 1.0, 1.1, 2)]),
        ({"training kl": [1.0]}, False, [Moved("training kl", 1, 2.0, None, 1)]),
        ({"training kl": [1.0, None]}, False, [Moved("training kl", 1, 2.0, None, 1)]),
        ({"measured bleu2 cumulative": [4.1]}, False, []),
        ({"measured bleu2 cumulative": [5.0]}, False, [Moved("measured bleu2 cumulative", 0, 4.0, 5.0, 1)]),
        ({"digest": ["b"]}, False, []),
        ({"digest": ["b"]}, True, [Moved("digest", 0, "a", "b", 1)]),
        ({"training mmd": [0.5]}, False, [Moved("training mmd", 0, None, 0.5, 1)]),
        ({"training mmd": [None]}, False, [Moved("training mmd", 0, None, None, 0)]),
    ],
)
def test_what_has_moved_is_found(change: golden.Values, exactly: bool, terms: list[Moved]) -> None:
    assert moved(GOLDEN, GOLDEN | change, exactly=exactly) == terms


def test_the_message_names_the_system_the_terms_and_both_values() -> None:
    terms = moved(GOLDEN, GOLDEN | {"training kl": [1.1, 2.1]}, exactly=False)
    message = explained("coupled-vae", "wae", terms)
    assert "coupled-vae/wae: 1 terms moved" in message
    assert "training kl[0]: golden 1.0, found 1.1 (and 1 more of this term)" in message
    assert "python -m tests.golden.make coupled-vae/wae" in message


def test_golden_values_are_read_as_they_were_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(golden, "VALUES", tmp_path)
    values: golden.Values = {"training kl": [0.1 + 0.2, None, 5e-324], "digest": ["a"]}
    golden.write("coupled-vae", "vae", values)
    assert read("coupled-vae", "vae") == (made_here(), values)
    assert read_json(tmp_path / "coupled-vae" / "vae.json")["training kl"][0].hex() == (0.1 + 0.2).hex()


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The list of what moved; the values that are kept are of the VAE's run of today."""
    monkeypatch.setattr(golden, "VALUES", tmp_path)
    monkeypatch.setattr(make, "LIST", tmp_path / "moved.csv")
    golden.write("coupled-vae", "vae", GOLDEN)
    return tmp_path / "moved.csv"


TRAINED = moved(GOLDEN, GOLDEN | {"training kl": [1.0, 3.0]}, exactly=False)


def test_numbers_that_moved_are_not_kept_while_no_version_rose(kept: Path) -> None:
    with pytest.raises(
        BenchError, match=r"runs made before .* as today's[\s\S]*raise the version of a part of it"
    ):
        make.allow("coupled-vae", "vae", TRAINED, "a fault")
    assert not kept.exists()


def test_numbers_that_moved_need_a_reason_and_are_listed_with_both_values(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raise_version(monkeypatch, "posterior", "gaussian")
    with pytest.raises(BenchError, match="without a reason"):
        make.allow("coupled-vae", "vae", TRAINED, None)
    make.allow("coupled-vae", "vae", TRAINED, "a fault, mended")
    row = kept.read_text(encoding="utf-8").split(",", 1)[1]
    assert row == '"a fault, mended",coupled-vae/vae,1,training kl,2,3\n'


def test_new_terms_are_no_moved_numbers(kept: Path) -> None:
    make.allow(
        "coupled-vae", "vae", moved(GOLDEN, GOLDEN | {"measured mi aggregate": [0.5]}, exactly=False), None
    )
    assert not kept.exists()
