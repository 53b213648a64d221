"""What the verdict rule is worth: how often each verdict falls, by true difference and number of seeds.

    python benchmarks/verdicts.py [--out bench/report/measured/verdicts.json]

Runs are drawn from normal distributions with a known spread, and a printed number from the same, moved by a known
shift and rounded as papers do. The rule is the project's own. The report draws the file that this program writes, and
a test simulates some of its points again.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from bench.analysis.spread import common_spread
from bench.analysis.verdict import GROUPS, Evidence, Margin, judge
from bench.base.files import write_json
from bench.base.seeds import derive_seed
from bench.store.provenance import provenance

OUT = Path("bench/report/measured/verdicts.json")
# In nats: as the NLL of Penn Treebank over seeds, and what its table calls an improvement.
SPREAD, MARGIN, DECIMALS = 0.15, 0.5, 1
SHIFTS = tuple(0.25 * step for step in range(7))
SEEDS = (1, 2, 3, 5)
OTHERS = 10  # systems of the same column with two runs each
REPETITIONS = 1000


def shares(shift: float, seeds: int, repetitions: int = REPETITIONS) -> dict[str, float]:
    """The share of each group of verdicts where the true difference is ``shift``."""
    random = np.random.default_rng(derive_seed("verdicts", round(1000 * shift), seeds))
    counted: Counter[str] = Counter()
    for _ in range(repetitions):
        values = random.normal(100 + shift, SPREAD, seeds).tolist()
        printed = round(float(random.normal(100, SPREAD)), DECIMALS)
        others = random.normal(100, SPREAD, (OTHERS, 2)).tolist()
        spread = common_spread([*others, values])
        found = judge(Evidence(values, printed, DECIMALS, "lower", Margin(MARGIN, "simulated"), spread))
        counted[next(group for group, words in GROUPS.items() if found.word in words)] += 1
    return {group: counted[group] / repetitions for group in ("reproduced", "refuted", "undecided")}


def curves() -> list[dict[str, Any]]:
    """One curve for each number of seeds."""
    return [
        {"seeds": seeds, "points": [{"shift": shift, **shares(shift, seeds)} for shift in SHIFTS]}
        for seeds in SEEDS
    ]


def main() -> None:
    """Simulate everything and write the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=OUT)
    out = parser.parse_args().out
    settings = {"spread": SPREAD, "margin": MARGIN, "decimals": DECIMALS, "others": OTHERS}
    made = provenance(threads=1)
    kept = {key: made[key] for key in ("code_version", "dirty", "python", "device")}
    about = {"program": "benchmarks/verdicts.py", "provenance": kept, "repetitions": REPETITIONS}
    write_json(out, about | settings | {"curves": curves()})


if __name__ == "__main__":
    main()
