"""A results folder as the commands write it, with numbers that are made up and live only in ``tmp_path``."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

from bench.base.files import sha256_file, write_json
from bench.base.settings import RunSettings
from bench.base.upgrade import upgraded_row
from bench.catalog.catalog import Catalog, load_catalog
from bench.metrics.measures import measures
from bench.planning.plan import Plan, Request, make_plan
from bench.planning.resolve import resolve
from bench.store.freshness import state_folder

TEXTS, DATA_HASH = 200, "d" * 64
NLL = {"gru-lm": 105.6, "vae": 103.5, "coupled-vae": 103.0, "beta-0.8-vae": 103.9}
Fields = dict[str, Any]
EXACT = {
    "entropy": 90.0,
    "perplexity": 42.1,
    "targets_mean": 20.1,
    "attributes": {"tense": {"entropy": 0.69, "information": 0.61}},
}


def measurement(metric: str, estimator: str, value: float, **fields: Any) -> Fields:
    row: Fields = {
        "metric": metric,
        "estimator": estimator,
        "value": value,
        "unit": "nats per text",
        "validity": "consistent",
        "bias": None,
        "better": None,
        "split": "test",
        "texts": TEXTS,
        "samples": 100,
        "standard_error": None,
        "low": value - 1.4,
        "high": value + 1.4,
        "column": None,
        "definition": f"The {metric} of a test text.",
        "main": True,
    } | fields
    return row | {"version": measures()[upgraded_row(row)["measure"]].version}


class Results:
    """Writes run folders, corpora, states and logs below ``root``."""

    def __init__(self, root: Path, catalog: Catalog) -> None:
        self.root, self.catalog = root, catalog

    def settings(self, name: str) -> RunSettings:
        tier, paper, corpus, system, seed = name.split("/")
        return resolve(self.catalog, tier, paper, corpus, system, int(seed.removeprefix("seed")))

    def corpus(self, paper: str = "coupled-vae", corpus: str = "ptb", **fields: Any) -> Path:
        folder = self.root / "corpora" / paper / corpus
        split = {
            "texts": TEXTS,
            "words": 20 * TEXTS,
            "targets": 21 * TEXTS,
            "length": {"min": 1, "mean": 20.0, "median": 19.0, "max": 48},
            "histogram": {"bin_width": 2, "counts": [1, 5, 12, 30, 40, 40, 30, 20, 12, 5, 3, 1, 1]},
            "unknown_tokens": 90,
            "unknown_share": 0.0225,
            "oov_types": 0,
            "oov_tokens": 0,
            "duplicates": 3,
            "shared": {"valid": 2, "test": 1},
        }
        card = {
            "name": corpus,
            "title": corpus,
            "about": "Made-up card.",
            "licence": "none",
            "citation": "",
            "comparable": corpus == "ptb",
            "vocabulary_size": 1000,
            "splits": dict.fromkeys(("train", "valid", "test"), split),
            "treatments": [{"what": "empty lines skipped", "split": "train", "count": 2, "lines": [7, 9]}],
            "expected": {"train": {"expected": TEXTS, "read": TEXTS, "matches": True}},
            "frequencies": [
                {"rank": r, "word": f"w{r}", "count": 5000 // r} for r in (1, 2, 5, 10, 30, 100, 900)
            ],
        }
        write_json(folder / "card.json", card)
        summary = {
            "name": corpus,
            "title": corpus,
            "data_hash": DATA_HASH,
            "vocabulary_size": 1000,
            "exact": None,
        }
        write_json(folder / "corpus.json", summary | fields)
        return folder

    def run(self, name: str, *, origin: str = "runs", shift: float = 0.0, **changes: Any) -> Path:
        """A finished run; ``shift`` moves its NLL; ``changes`` go into run.json."""
        settings, folder = self.settings(name), self.root / origin / name
        folder.mkdir(parents=True, exist_ok=True)
        generator = np.random.default_rng(int(settings.identity, 16))
        self._tables(folder, settings, generator, shift)
        write_json(folder / "texts.json", self.texts())
        write_json(folder / "histograms.json", self._histograms(generator))
        listed = {
            path.name: sha256_file(path) for path in sorted(folder.iterdir()) if path.suffix != ".safetensors"
        }
        where = {
            "code_version": "a" * 40,
            "dirty": False,
            "python": "3.11.7",
            "torch": "2.13.0",
            "packages": {"numpy": "2.3"},
            "device": "cpu: made-up processor",
            "threads": 2,
            "started": f"2026-01-0{settings.seed + 1}T10:00:00Z",
            "finished": f"2026-01-0{settings.seed + 1}T10:20:00Z",
        }
        run = {
            "name": name,
            "identity": settings.identity,
            "settings": settings.model_dump(mode="json"),
            "data_hash": DATA_HASH,
            "state": "finished",
            "reason": None,
            "steps": settings.training.steps,
            "epochs": 4.0,
            "best": {"step": 900, "criterion": "validation nll", "value": 104.2},
            "parameters": {"total": 1_234_567, "trained": 1_234_567},
            "cost": {"seconds": 812.0, "peak_memory_mb": 900, "tokens_per_second": 21000, "attempts": 1},
            "provenance": where,
            "files": {"model.safetensors": "w"} | listed,
        }
        write_json(folder / "run.json", run | changes)
        values = {"state": "finished", "reason": None, "measurements": self.measurements(settings, shift)}
        if changes.get("state") == "diverged":
            values = {"state": "diverged", "reason": changes["reason"], "measurements": []}
        identity = {
            "name": name,
            "identity": settings.identity,
            "data_hash": DATA_HASH,
            "seconds": 31.0,
            "weights_sha256": "w",
        }
        write_json(folder / "measurements.json", identity | {"provenance": where} | values)
        return folder

    def measurements(self, settings: RunSettings, shift: float) -> list[Fields]:
        nll = NLL.get(settings.system, 103.7) + shift
        squared: Fields = {"estimator": "squared-training-mode", "unit": "none", "low": None, "high": None}
        if settings.posterior.kind == "point":
            return [measurement("grad_norm_rec", value=1700.0 + shift, **squared)]
        found = [
            measurement("nll", "importance-sampling-100", nll, better="lower", column="nll"),
            measurement("ppl", "importance-sampling-100", math.exp(nll / 22), unit="none", better="lower"),
        ]
        if settings.posterior.kind == "none":
            return found
        bias = "errs upwards: the text itself is left out of the mixture"
        return [
            *found,
            measurement("kl", "analytic", 8.5 + shift, column="kl_analytic", validity="exact", main=False),
            measurement("kl", "monte-carlo", 8.6 + shift, column="kl_monte_carlo"),
            measurement("mi", "leave-one-out", 10.4 + shift, validity="upper bound", bias=bias),
            measurement("dist1", "distinct", 0.0468, unit="ratio", low=None, high=None),
            measurement("grad_norm_rec", value=110.0 + shift, **squared),
            measurement("grad_norm_reg", value=19.0 + shift, **squared),
            measurement(
                "attribute_information:tense", "classifier", 0.4 + shift / 10, validity="lower bound"
            ),
            measurement("excess_nll", "importance-sampling-100", nll - 90.0, better="lower"),
        ]

    def texts(self) -> Fields:
        output = "the market fell again"
        return {
            "samples": ["<script>alert('sample')</script>", 'he said & she said "no"', ""],
            "reconstructions": [
                {"index": 0, "input": "<b>bold</b> text", "center": output, "outputs": [output] * 10}
            ],
            "interpolations": [
                {"from": "a <i>", "to": "b", "steps": [f"step {{{{ {i} }}}}" for i in range(7)]}
            ],
            "traversals": [
                {
                    "from": "a <i>",
                    "dimension": d,
                    "step": 0.5,
                    "shifts": [-1.0, 0.0, 1.0],
                    "steps": ["a", "", "b"],
                }
                for d in (3, 0)
            ],
        }

    def _tables(
        self, folder: Path, settings: RunSettings, generator: np.random.Generator, shift: float
    ) -> None:
        steps = np.arange(50, 1050, 50)
        decay = 140 - 35 * (1 - np.exp(-steps / 300)) + generator.normal(0, 0.8, len(steps))
        weight = np.clip((steps - 40) / 800, 0, 1)
        coupled = np.nan if settings.coupling.absent else 1.0
        kl = 14 * np.exp(-steps / 900)
        shared = {"step": steps, "seconds": steps / 10.0, "kl_weight": weight}
        training = shared | {
            "learning_rate": np.where(steps < 600, 1e-3, 5e-4),
            "total": decay + weight * kl,
            "reconstruction": decay,
            "kl": kl,
            "twin_reconstruction": coupled * (decay - 10),
            "matching": coupled * np.exp(-steps / 400),
            "gradient_norm": 20 + 10 * np.exp(-steps / 200),
        }
        gradient = 1800 * np.exp(-steps / 200) + 100
        validation = shared | {
            "nll": decay + 2 + shift,
            "kl": kl,
            "elbo": -(decay + 3 + shift),
            "reconstruction": decay,
            "best": steps == 900,
            "grad_norm_rec_squared": gradient,
            "grad_norm_rec_total_squared": coupled * (gradient + 2000),
            "grad_norm_reg_squared": 20 + 50 * np.exp(-steps / 200),
            "signal_sensitivity_squared": 2 + np.exp(-steps / 500),
        }
        nll = np.random.default_rng(0).normal(NLL.get(settings.system, 103.7), 40, TEXTS)
        noise = generator.normal(0, 0.5, TEXTS)
        sentences = {
            "index": np.arange(TEXTS),
            "words": np.full(TEXTS, 20),
            "nll": nll + shift + noise,
            "kl_monte_carlo": 8.6 + shift + noise,
            "kl_analytic": 8.5 + shift + noise,
        }
        for stem, columns in (("training", training), ("validation", validation), ("sentences", sentences)):
            pandas.DataFrame(columns).to_parquet(folder / f"{stem}.parquet")

    def _histograms(self, generator: np.random.Generator) -> Fields:
        counts, edges = np.histogram(generator.beta(5, 2, 5000), bins=200, range=(0, 1))
        units = {
            "variance": generator.exponential(0.2, 16).tolist(),
            "kl": generator.exponential(0.5, 16).tolist(),
        }
        return {"sigma": {"edges": edges.tolist(), "counts": counts.tolist(), "above": 3}, "units": units}

    def status(self, name: str, data_hash: str = DATA_HASH, **fields: Any) -> Path:
        folder = state_folder(self.root / "state", self.settings(name), data_hash)
        write_json(folder / "status.json", {"name": name, "data_hash": data_hash} | fields)
        return folder

    def log(self, name: str, text: str) -> None:
        path = self.root / "logs" / "train" / f"{name}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return load_catalog()


@pytest.fixture(scope="session")
def results_at(catalog: Catalog) -> Callable[[Path], Results]:
    return lambda root: Results(root, catalog)


@pytest.fixture
def results(tmp_path: Path, catalog: Catalog) -> Results:
    (tmp_path / "results").mkdir()
    return Results(tmp_path / "results", catalog)


@pytest.fixture(scope="session")
def plan(catalog: Catalog) -> Plan:
    return make_plan(
        catalog, Request.model_validate({"tier": "demo", "systems": ("dae", "vae", "coupled-vae")})
    )


@pytest.fixture(scope="session")
def exact() -> Fields:
    """What is known of the made-up generated corpus."""
    return EXACT
