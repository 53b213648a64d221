"""Small systems of the paper on iVAE."""

from __future__ import annotations

from typing import Any

from bench.base.settings import RunSettings
from bench.catalog.catalog import load_catalog
from bench.planning.resolve import resolve
from tests.conftest import CORPUS

CODES, UNITS = 4, 8  # of a code, and of the LSTMs

TINY: dict[str, Any] = {
    "embedding": 6,
    "latent": CODES,
    "initial": {"weights": 0.5, "embedding": 0.5},
    "encoder": {"hidden": UNITS},
    "decoder": {"hidden": UNITS},
    "objective": {"nu_xz": {"hidden": 6, "layers": 2}, "nu_z": {"hidden": 6, "layers": 2}},
    "optimiser": {"learning_rate": 0.01},
    "training": {"steps": 20, "validate_every": 10, "validation_samples": 2, "gradient_texts": 0},
}


def ivae_settings(system: str = "ivae", **changes: Any) -> RunSettings:
    """A run of ``system`` with a few hundred weights."""
    plain = {key: value for key, value in TINY.items() if key != "objective" or system.startswith("ivae")}
    settings = {k: v | changes.pop(k, {}) if isinstance(v, dict) else v for k, v in plain.items()}
    return resolve(load_catalog(), "demo", "ivae", CORPUS, system, 0, settings | changes)
