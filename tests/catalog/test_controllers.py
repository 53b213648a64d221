"""Controllers of the KL weight, as every tier sets them."""

from __future__ import annotations

import pytest

from bench.planning.resolve import resolve
from tests.declared import CATALOG, OF_PAPERS

SYSTEMS = [s for s in OF_PAPERS["control-vae"] if "control" in s]


@pytest.mark.parametrize("tier", CATALOG.tiers.tiers)
def test_no_integral_is_held_for_good(tier: str) -> None:
    """With anti-windup a target of kp/ki or more holds it from the first step without a KL on."""
    held = {}
    for system in SYSTEMS:
        for corpus in CATALOG.budget(tier, "control-vae").corpora or CATALOG.readable("control-vae"):
            weight = resolve(CATALOG, tier, "control-vae", corpus, system, 0).objective["kl"].weight
            one = weight.options
            assert weight.kind == "pi-controlled"
            if one["form"] == "dialogue":
                held[system] = one["target"] * one["ki"] >= one["kp"]
    assert held == dict.fromkeys(
        ("control-vae-3-anti-windup", "dialogue-control-25", "dialogue-control-35"), False
    )
