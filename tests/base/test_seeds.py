"""Seeds are functions of names alone: the same everywhere, and different for different names."""

from __future__ import annotations

import itertools
import subprocess
import sys

import pytest

from bench.base.seeds import derive_seed


@pytest.mark.parametrize(
    ("names", "seed"),
    [
        (("",), 8203414616412130826),
        (("batches", "ptb", 0, 1), 8349299448651197492),
        (("noise", "ptb", 0, 1, "latent"), 8046137867869468560),
    ],
)
def test_the_seeds_of_earlier_versions_stay(names: tuple[object, ...], seed: int) -> None:
    assert derive_seed(*names) == seed


def test_names_are_kept_apart() -> None:
    names = [("a", "b"), ("ab",), ("a", "b", ""), ("b", "a"), ("a", 1), ("a", 11), ("a", 1, 1), ("",)]
    seeds = [derive_seed(*n) for n in names]
    assert all(a != b for a, b in itertools.combinations(seeds, 2))
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_number_and_its_text_are_one_name() -> None:
    assert derive_seed("noise", 3) == derive_seed("noise", "3")


def test_another_process_with_another_hash_seed_derives_the_same() -> None:
    code = "from bench.base.seeds import derive_seed; print(derive_seed('noise', 'ptb', 0))"
    seeds = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": number, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for number in ("1", "2")
    }
    assert seeds == {f"{derive_seed('noise', 'ptb', 0)}\n"}
