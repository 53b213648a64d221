"""The configuration of the workflow, as Snakemake hands it over."""

from __future__ import annotations

from typing import Any

import pytest

from bench.base.errors import BenchError
from bench.catalog.catalog import load_catalog
from bench.planning.configuration import compute_of, configured, typed
from bench.planning.plan import Request

COMPUTE = {"device": "auto", "threads_per_run": 1, "mirror": None, "catalog": (), "results": "results"}


@pytest.mark.parametrize(
    ("key", "given", "read"),
    [
        ("corpora", "ptb", "ptb"),
        ("corpora", "null", None),
        ("corpora", ["ptb", "yahoo"], ["ptb", "yahoo"]),
        ("systems", 7, "7"),
        ("results", "2024-01-15", "2024-01-15"),
        ("results", "1:5", "1:5"),
        ("results", 2024, "2024"),
        ("results", "my results", "my results"),
        ("results", "no", "no"),
        ("mirror", "file:///a: b", "file:///a: b"),
        ("catalog", "a: b", ("a: b",)),
        ("seeds", "0-4", "0-4"),
        (
            "settings",
            {"training": {"steps": "5", "from": "1:5"}, "latent": "1e4"},
            {"training": {"steps": 5, "from": "1:5"}, "latent": 10000.0},
        ),
        ("settings", {"a": ["true", "null", "x", "2024-01-15"]}, {"a": [True, None, "x", "2024-01-15"]}),
    ],
)
def test_a_value_is_read_by_the_type_that_its_key_wants(key: str, given: Any, read: Any) -> None:
    assert typed({key: given}) == {key: read}


@pytest.mark.parametrize(
    ("written", "given"), [("2024_01", 202401), ("007", 7), ("1e3", 1000.0), ("true", True)]
)
def test_a_text_that_was_read_as_another_number_is_told(written: str, given: Any) -> None:
    with pytest.raises(BenchError, match=f"results is {written}, which Snakemake reads as {given}") as caught:
        typed({"results": given}, ["--config", f"results={written}"])
    assert caught.value.remedy == f"in quotes it is a text: --config 'results=\"{written}\"'"
    assert typed({"results": 2024}, ["--config", "results=2024"]) == {"results": "2024"}


@pytest.mark.parametrize(
    ("given", "seeds"),
    [
        (3, (3,)),
        ("3", (3,)),
        ("0-2", (0, 1, 2)),
        ("0 - 2, 7", (0, 1, 2, 7)),
        (["0", "1"], (0, 1)),
        ([4, "0-1", 4], (4, 0, 1)),
        ("010", (10,)),
    ],
)
def test_seeds_are_numbers_and_ranges(given: Any, seeds: tuple[int, ...]) -> None:
    assert Request(seeds=given).seeds == seeds


@pytest.mark.parametrize(
    "given", ["1:5", "2024-01-15", "5-1", "0-100000000", "-1", -1, "x", "", True, [1.5], 1.5, {"a": 1}]
)
def test_what_is_no_seed_is_told(given: Any) -> None:
    with pytest.raises(BenchError, match="seed") as caught:
        configured({"seeds": given}, load_catalog())
    assert caught.value.allowed


@pytest.mark.parametrize("papers", ["coupled-vae", ["coupled-vae"], None])
def test_one_name_a_list_or_null(papers: Any) -> None:
    config = {
        "tier": "quick",
        "papers": papers,
        "seeds": 3,
        "systems": "coupled-vae, cycann-vae",
        "mirror": None,
    }
    request = configured(config, load_catalog())
    assert request == Request(
        tier="quick", papers=("coupled-vae",), seeds=(3,), systems=("coupled-vae", "cycann-vae")
    )


def test_an_unknown_key_names_the_place_and_the_nearest() -> None:
    with pytest.raises(BenchError, match=r"unknown configuration key 'sed'(.|\n)*config.yaml(.|\n)*'seeds'"):
        typed({"tier": "demo", "sed": 1})


@pytest.mark.parametrize(
    ("change", "allowed"),
    [
        ({"device": "gpu"}, "auto, cpu, cuda"),
        ({"threads_per_run": "two"}, "an integer"),
        ({"threads_per_run": 0}, "greater than or equal to 1"),
        ({"results": None}, "a text"),
        ({"results": "a{b}"}, "without braces"),
        ({"mirror": ""}, "at least 1 character"),
        ({"catalog": 3.5}, "a list"),
    ],
)
def test_a_wrong_value_names_the_key_and_what_is_allowed(change: dict[str, Any], allowed: str) -> None:
    assert compute_of({**COMPUTE, "tier": "demo", "threads_per_run": "2"}).threads_per_run == 2
    (key,) = change
    with pytest.raises(BenchError, match=rf"{key} is(.|\n)*{key}(.|\n)*{allowed}"):
        compute_of(COMPUTE | change)
