"""Runs that share a training history, told by their logs."""

from __future__ import annotations

import numpy as np
import pandas
import pytest

from bench.analysis.histories import TRAINING, histories, shared
from bench.analysis.signs import sign_tests
from bench.base.seeds import derive_seed
from bench.catalog.catalog import Catalog
from bench.store.records import RunRecord
from tests.analysis.synthetic import pairing, run

TWINS = {"vae": -0.2, "beta-0.8-vae": -0.3, "beta-1.2-vae": -0.1, "wae": 0.4}


def logged(system: str, same: int, seed: int = 0, shift: float = 0.0) -> RunRecord:
    """A run whose log of 20 lines is that of any other such run for the first ``same``."""
    record = run(system, seed, per_text={"nll": np.linspace(90, 110, 20) + shift})
    log = np.linspace(150, 100, 20)
    log[same:] += np.random.default_rng(derive_seed(system)).normal(size=20 - same)
    record.tables[TRAINING] = pandas.DataFrame({"step": np.arange(20), "reconstruction": log})
    return record


def test_the_shared_part_ends_where_the_logs_part() -> None:
    assert shared(logged("vae", 12), logged("beta-0.8-vae", 8)) == pytest.approx(0.4)
    assert shared(logged("vae", 12), logged("wae", 12, seed=1)) == 0.0
    assert shared(logged("vae", 12), run("wae")) == 0.0  # nothing logged
    broken = logged("wae", 20)
    broken.tables[TRAINING]["reconstruction"] = np.nan
    assert shared(broken, broken) == 0.0


def test_histories_join_over_a_third_and_a_common_first_line_joins_nothing() -> None:
    runs = {s: [logged(s, n)] for s, n in (("vae", 5), ("beta-0.8-vae", 12), ("beta-1.2-vae", 8), ("wae", 1))}
    assert histories(runs) == {"vae": "vae", "beta-0.8-vae": "vae", "beta-1.2-vae": "vae", "wae": "wae"}


@pytest.mark.parametrize(("same", "counts"), [(12, (1, 1, 0, 4)), (1, (1, 3, 0, 4))])
def test_pairs_of_one_training_are_one_witness(
    catalog: Catalog, same: int, counts: tuple[int, int, int, int]
) -> None:
    runs = [logged(system, 0 if system == "wae" else same) for system in TWINS]
    runs += [logged(f"coupled-{s}", 0 if s == "wae" else same, shift=shift) for s, shift in TWINS.items()]
    for record in runs[len(TWINS) :]:
        record.tables[TRAINING]["reconstruction"] += 1.0  # twins are another training than baselines
    (test,) = sign_tests({runs[0].group[:4]: pairing(catalog, *runs)}, ("nll",))
    assert (test.higher, test.lower, test.equal, test.pairs) == counts
