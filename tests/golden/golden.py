"""The golden values: what a few steps of a system and their evaluation give, and what of it has moved.

Each term has a list of values: one for each row that the training logged, or a single one. All numbers are kept with
all their digits and compared so where they were made; elsewhere they may differ by what rounding does. Only the mean of
a column is kept rounded, because the digest of its values stands beside it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import platform
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas
import torch
from safetensors.torch import load_file
from torch import Tensor

from bench.base.files import read_json, write_text
from bench.base.identity import training_identity
from bench.base.settings import RunSettings
from bench.base.validation import read_yaml
from bench.catalog.catalog import Catalog
from bench.catalog.tiers import PaperTier, Tier
from bench.corpora.prepare import prepare
from bench.metrics.evaluate import evaluate_run
from bench.metrics.needs import asked
from bench.planning.resolve import resolve, text_rules
from bench.store.freshness import WEIGHTS
from bench.training.loop import Trainer
from bench.training.run import train_run
from tests import declared
from tests.conftest import CORPUS

HERE = Path(__file__).parent
VALUES = HERE / "values"
MADE, OF = "made", "of"  # the keys of where values were made, and of what run; all others are terms
TIER = "golden"
SHOWN = 12  # terms of a message; what moved first is what moved the rest
CLOCKED = {"seconds", "tokens_per_second", "step_time"}  # no two runs have the same

Value = float | str | None
Values = dict[str, list[Value]]

# How far a number may be from its golden value on another processor: (relative, absolute). Texts are decoded greedily,
# and one word that flips changes what is counted in them; a probe is fitted until its loss hardly falls any more.
COUNTED = re.compile(r"(measured|column) (bleu|dist|active_units)")
PROBED = re.compile(r"measured attribute_information")
ROUNDING, COUNTING, PROBING = (3e-4, 1e-5), (0.05, 0.05), (0.0, 1e-3)


def _with_tier(declared: Catalog) -> Catalog:
    """The catalog with the golden tier, which means the same for every paper but for systems named PAPER/SYSTEM."""
    of_paper = read_yaml(HERE / "tier.yaml")
    for_all = {key: of_paper.pop(key) for key in ("about", "corpora", "scale")}
    tiers = {**declared.tiers.tiers, TIER: Tier.model_validate(for_all)}
    papers = {
        name: paper.model_copy(update={"tiers": {**paper.tiers, TIER: _of_paper(of_paper, name)}})
        for name, paper in declared.papers.items()
    }
    return declared.model_copy(
        update={"papers": papers, "tiers": declared.tiers.model_copy(update={"tiers": tiers})}
    )


def _of_paper(tier: dict[str, Any], paper: str) -> PaperTier:
    """What the tier means for a paper: of entries PAPER/SYSTEM, which tell systems of one name apart, only its own."""
    by_system = {key.removeprefix(f"{paper}/"): layer for key, layer in tier["by_system"].items()}
    own = {name: layer for name, layer in by_system.items() if "/" not in name}
    return PaperTier.model_validate({**tier, "by_system": own})


CATALOG = _with_tier(declared.CATALOG)


def settings_of(paper: str, system: str) -> RunSettings:
    """The golden run of a system under a paper's protocol."""
    run = resolve(CATALOG, TIER, paper, CORPUS, system, 0)
    corpus = declared.corpus_of(run)
    return run if corpus == CORPUS else resolve(CATALOG, TIER, paper, corpus, system, 0)


class World:
    """A folder in which the golden runs are trained and measured, each once, on one thread of the CPU."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.corpora, self.runs = folder, folder / "corpora", folder / "runs"
        self._values: dict[tuple[str, str], Values] = {}

    def values(self, paper: str, system: str) -> Values:
        """What the code gives now for a system under a paper's protocol."""
        if (paper, system) not in self._values:
            settings = settings_of(paper, system)
            if settings.starts_from is not None:
                self.values(paper, settings.starts_from.system)
            self._values[paper, system] = self._made(settings)
        return self._values[paper, system]

    def prepared(self, settings: RunSettings) -> Path:
        """The folder of a run's corpus."""
        name = settings.corpus
        corpus = self.corpora / settings.paper / name
        if not corpus.exists():
            prepare(CATALOG.corpus(name), {}, text_rules(CATALOG, settings.paper, name), corpus)
        return corpus

    def _made(self, settings: RunSettings) -> Values:
        self.prepared(settings)
        with _trainers() as trainers:
            train_run(settings, self.corpora, self.runs, self.folder / "state", device="cpu", threads=1)
        found = evaluate_run(settings, self.corpora, self.runs, device="cpu", threads=1)
        folder = self.runs / settings.name
        return {
            **_logged("training", pandas.read_parquet(folder / "training.parquet")),
            **_logged("validation", pandas.read_parquet(folder / "validation.parquet")),
            "digest of the last weights": [digest(trainers[-1].model.state_dict())],
            "digest of the best weights": [digest(load_file(folder / WEIGHTS))],
            **_columns(pandas.read_parquet(folder / "sentences.parquet")),
            **{
                f"measured {_name(n)} {n['estimator']}": [n["value"]]
                for n in found["measurements"]
                if n["metric"] not in CLOCKED
            },
        }


def _name(measured: Mapping[str, Any]) -> str:
    """The metric, with the part that it is of."""
    return ":".join(filter(None, (measured["metric"], measured["part"])))


@contextlib.contextmanager
def _trainers() -> Iterator[list[Trainer]]:
    """The trainers that train while the body runs: the folder of a run holds its best weights, not its last."""
    found: list[Trainer] = []
    train = Trainer.train

    def noted(trainer: Trainer) -> None:
        found.append(trainer)
        train(trainer)

    with patch.object(Trainer, "train", noted):
        yield found


def _logged(table: str, frame: pandas.DataFrame) -> Values:
    """Each term of a table that the training has written, with a value for each row."""
    terms = [name for name in frame.columns if name not in CLOCKED]
    return {f"{table} {name}": [_number(value) for value in frame[name]] for name in terms}


def _columns(frame: pandas.DataFrame) -> Values:
    """Mean and digest of each column with a value for each text."""
    found: Values = {}
    for name in frame.columns:
        mean = _number(frame[name].mean())
        rounded = None if mean is None else float(f"{mean:.6g}")
        found[f"column {name}"] = [rounded, _sha256(frame[name].to_numpy())[:16]]
    return found


def _number(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None


def digest(weights: Mapping[str, Tensor]) -> str:
    """Hex sha256 of weights. Names and order do not count: renaming a module moves no number."""
    each = sorted(_sha256(weight.numpy()) for weight in weights.values())
    return hashlib.sha256("".join(each).encode()).hexdigest()


def _sha256(values: np.ndarray) -> str:
    return hashlib.sha256(f"{values.dtype} {values.shape}\0".encode() + values.tobytes()).hexdigest()


def made_here() -> dict[str, str]:
    """What bits depend on: processor, its instructions that are used, versions of the libraries."""
    return {
        "cpu": _processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def _processor() -> str:
    """``x86_64 AuthenticAMD AMD EPYC 23 1``: the model, and the numbers that tell models of one name apart."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return f"{platform.system()} {platform.machine()} {platform.processor()}"
    lines = info.read_text(encoding="utf-8", errors="replace").split("\n\n")[0].splitlines()
    named = dict(re.split(r"\s*:\s*", line, maxsplit=1) for line in lines if ":" in line)
    keys = ("vendor_id", "model name", "cpu family", "model", "CPU implementer", "CPU part")
    return " ".join([platform.machine(), *(named[key] for key in keys if key in named)])


def path_of(paper: str, system: str) -> Path:
    """The file of a system's golden values under a paper's protocol."""
    return VALUES / paper / f"{system}.json"


def read(paper: str, system: str) -> tuple[dict[str, str], Values]:
    """Where the golden values of a system were made, and the values; raises :class:`BenchError` if there are none."""
    content = read_json(path_of(paper, system))
    content.pop(OF)
    return content.pop(MADE), content


def read_of(paper: str, system: str) -> dict[str, Any]:
    """The run that the golden values of a system are of, as :func:`of_run` told it then."""
    found: dict[str, Any] = read_json(path_of(paper, system))[OF]
    return found


def of_run(settings: RunSettings) -> dict[str, Any]:
    """What golden values are of: the identity of the trained weights, and the version of each measure."""
    versions = {name: version[0] for name, version in sorted(asked(settings).items())}
    return {"training": training_identity(settings), "measures": versions}


def write(paper: str, system: str, values: Values) -> None:
    """Keep values as golden, a term a line."""
    content = {MADE: made_here(), OF: of_run(settings_of(paper, system))} | values
    lines = (f"{json.dumps(key)}: {json.dumps(value)}" for key, value in content.items())
    write_text(path_of(paper, system), "{\n" + ",\n".join(lines) + "\n}\n")


@dataclass(frozen=True)
class Moved:
    """A term whose values are not the golden ones: the first that differs, and how many do."""

    term: str
    row: int
    golden: Value
    found: Value
    rows: int

    def __str__(self) -> str:
        more = f" (and {self.rows - 1} more of this term)" if self.rows > 1 else ""
        return f"{self.term}[{self.row}]: golden {self.golden!r}, found {self.found!r}{more}"


def moved(golden: Values, found: Values, *, exactly: bool) -> list[Moved]:
    """The terms that differ, in the order in which they come about; digests are only compared ``exactly``.

    A term or a row that one side does not have differs too: its value there is None.
    """
    terms = []
    for term in dict.fromkeys([*golden, *found]):
        before, after = golden.get(term, []), found.get(term, [])
        rows = max(len(before), len(after))
        pairs = [(i, _at(before, i), _at(after, i)) for i in range(rows)]
        differing = [pair for pair in pairs if not _agree(term, *pair[1:], exactly=exactly)]
        if differing or (term in golden) != (term in found):
            terms.append(Moved(term, *(differing or [(0, None, None)])[0], len(differing)))
    return terms


def _at(values: list[Value], row: int) -> Value:
    return values[row] if row < len(values) else None


def _agree(term: str, golden: Value, found: Value, *, exactly: bool) -> bool:
    if isinstance(golden, str) and isinstance(found, str):
        return golden == found or not exactly
    if exactly or not (isinstance(golden, float) and isinstance(found, float)):
        return golden == found
    relative, absolute = COUNTING if COUNTED.match(term) else PROBING if PROBED.match(term) else ROUNDING
    return math.isclose(golden, found, rel_tol=relative, abs_tol=absolute)


def explained(paper: str, system: str, terms: list[Moved]) -> str:
    """What moved, the first of it in full, for those who have to decide whether it should have."""
    lines = [f"{paper}/{system}: {len(terms)} terms moved", *map(str, terms[:SHOWN])]
    if len(terms) > SHOWN:
        lines.append(f"and {len(terms) - SHOWN} more terms")
    return "\n  ".join([*lines, f"If they should have: python -m tests.golden.make {paper}/{system}"])
