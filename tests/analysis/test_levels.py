"""Claims about where a metric lies: near a number, or beyond it."""

from __future__ import annotations

import pytest

from bench.analysis.claims import findings_on
from bench.analysis.numbers import MINUS
from bench.catalog.catalog import Catalog
from tests.analysis.synthetic import claim, pairing, run, words


def test_a_metric_is_near_its_number_by_seed(catalog: Catalog) -> None:
    asked = claim(
        near={"metric": "kl", "numbers": {"vae": 3.0, "dae": 3.0, "coupled-vae": 3.0}, "within": 0.5}
    )
    by_system = {"vae": (2.9, 3.0, 3.1), "dae": (1.9, 3.0, 4.1), "coupled-vae": (0.9, 1.0, 1.1)}
    found = [
        run(system, seed, values={"kl": value})
        for system, values in by_system.items()
        for seed, value in enumerate(values)
    ]
    findings = list(findings_on(asked, pairing(catalog, *found)))
    assert words(findings) == [
        "holds",
        "undecided",
        "does not hold",
    ]  # that the mean is at its number is not enough
    assert findings[0].difference is not None
    assert findings[0].difference.by_seed == pytest.approx((0.4, 0.5, 0.4))
    assert findings[0].what == f"VAE: 0.5 {MINUS} |KL {MINUS} 3|"
    assert list(asked.named()) == list(by_system)


def test_a_metric_lies_beyond_its_number(catalog: Catalog) -> None:
    found = [
        run(s, seed, values={"kl": v + seed / 100})
        for s, v in {"vae": 0.5, "dae": 0.0}.items()
        for seed in range(3)
    ]
    asked = {"metric": "kl", "numbers": {"vae": 0.1, "dae": 0.1}}
    higher, lower = (
        list(findings_on(claim(beyond=asked | {"direction": direction}), pairing(catalog, *found)))
        for direction in ("higher", "lower")
    )
    assert words(higher) == ["holds", "does not hold"]
    assert words(lower) == ["does not hold", "holds"]
    assert higher[0].what == f"VAE: KL {MINUS} 0.1"
    assert higher[0].difference is not None
    assert higher[0].difference.mean == pytest.approx(0.41)
    assert list(claim(beyond=asked | {"direction": "lower"}).named()) == ["vae", "dae"]
