"""What a plan has worked out once it does not work out again."""

from __future__ import annotations

from typing import Any

import pytest

from bench.base.settings import RunSettings
from bench.catalog.catalog import Catalog
from bench.planning import plan as planning
from bench.planning import resolve as resolving
from bench.planning.plan import Request, make_plan
from bench.planning.resolve import resolve


def plan(catalog: Catalog, **changes: Any) -> None:
    asked = {"tier": "paper", "papers": ("coupled-vae",), "systems": ("vae",), **changes}
    make_plan(catalog, Request.model_validate(asked))


def test_what_a_plan_has_resolved_is_not_resolved_again_to_check_it(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With settings of the request it is: a system must be right without them too."""
    found: list[tuple[Any, ...]] = []

    def counted(catalog: Catalog, *target: Any) -> RunSettings:
        found.append(target[:4])
        return resolve(catalog, *target)

    resolving._check.cache_clear()
    for module in (planning, resolving):
        monkeypatch.setattr(module, "resolve", counted)
    plan(catalog)
    assert {tier for tier, *_ in found} == set(catalog.tiers.tiers)
    assert len(found) == len(set(found))
    found.clear()
    plan(catalog, settings={"latent": 4})
    assert len(found) == 2 * len({target for target in found if target[0] == "paper"})
