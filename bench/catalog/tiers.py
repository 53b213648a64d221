"""Tiers: how much is spent, for all papers and for one."""

from __future__ import annotations

from typing import Any

from pydantic import Field, RootModel

from bench.base.settings import Model, Name

Overrides = dict[str, Any]


class Tier(Model):
    """How much is spent on any paper."""

    about: str
    corpora: tuple[Name, ...] | None = Field(None, description="null: the corpora of the paper")
    seeds: tuple[int, ...] = Field(
        (0,), min_length=1, description="of a plan that names no systems and no seeds"
    )
    scale: float = Field(gt=0, le=1)
    short: bool = Field(False, description="the process that trained a run measures it: to start costs more")
    overrides: Overrides = Field(default_factory=dict)


class Tiers(Model):
    """The content of ``tiers.yaml``: all tiers, and the settings that their scale multiplies."""

    scaled: tuple[str, ...]
    tiers: dict[Name, Tier]


class PaperTier(Model):
    """What a tier means for one paper; null is what it means for all."""

    corpora: tuple[Name, ...] | None = None
    tables: tuple[Name, ...] | None = Field(None, description="null: all tables of the paper")
    systems: tuple[Name, ...] | None = Field(
        None, description="those of a plan that names none, and no table; null: all of the tables"
    )
    seeds: tuple[int, ...] | None = Field(None, min_length=1)
    scale: float | None = Field(None, gt=0, le=1)
    overrides: Overrides = Field(default_factory=dict)
    by_system: dict[Name, Overrides] = Field(
        default_factory=dict, description="overrides for a system and those that build on it"
    )


class PaperTiers(RootModel[dict[Name, PaperTier]]):
    """The content of a paper's ``tiers.yaml``."""


class Budget(Model):
    """What is spent on one paper in one tier; the later ``overrides`` replace the earlier ones."""

    corpora: tuple[Name, ...] | None
    tables: tuple[Name, ...] | None
    systems: tuple[Name, ...] | None
    seeds: tuple[int, ...]
    scale: float
    overrides: tuple[Overrides, ...]
    by_system: dict[Name, Overrides]


def budget(tier: Tier, own: PaperTier) -> Budget:
    """What a tier means for a paper, from what it means for all and what the paper says of it."""
    return Budget(
        corpora=own.corpora or tier.corpora,
        tables=own.tables,
        systems=own.systems,
        seeds=own.seeds or tier.seeds,
        scale=tier.scale if own.scale is None else own.scale,
        overrides=(tier.overrides, own.overrides),
        by_system=own.by_system,
    )
