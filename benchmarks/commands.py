"""Start-up, corpora, the workflow and the report: what surrounds the computing, beside the least that it takes.

    python benchmarks/commands.py start
    python benchmarks/commands.py corpus --corpus results/corpora/coupled-vae/ptb --sources results/sources/ptb.json
    python benchmarks/commands.py workflow --seeds 10
    python benchmarks/commands.py report --runs 500
    python benchmarks/commands.py demo --results results

``start``: a bare interpreter beside `import bench`, `bench --help` and the imports of a training and an evaluation.
``corpus``: reading, counting and numbering the words of the same files beside `bench prepare` and loading.
``workflow``: a dry run of one system on one seed beside one of the paper tier on so many seeds. ``report``: that
of ten finished runs beside that of many, made up and written into a folder of their own. ``demo``: no turns; from
a finished demo, how many seconds of its jobs were work, beside what starting them costs here and now.
"""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from turns import Work, parser, print_table, run, sides_from

ROOT = Path(__file__).resolve().parents[1]
PYTHON = sys.executable
TRAINING = "from bench.training.run import train_run"
EVALUATION = "from bench.metrics.evaluate import evaluate_run"
START = {
    "bare interpreter": ["-c", "pass"],
    "import bench": ["-c", "import bench"],
    "bench --help": ["-m", "bench", "--help"],
    "bench list parts": ["-m", "bench", "list", "parts"],
    "imports of train": ["-c", TRAINING],
    "imports of evaluate": ["-c", EVALUATION],
}


def start(options: argparse.Namespace, side: str) -> Work:
    """A turn starts one process."""

    def turn() -> dict[str, float]:
        run([PYTHON, *START[side]], ROOT)
        return {"starts": 1}

    return turn


def corpus(options: argparse.Namespace, side: str) -> Work:
    """A turn reads, prepares or loads the corpus once."""
    from bench.base.files import read_json
    from bench.catalog.catalog import load_catalog
    from bench.corpora.batches import Collator
    from bench.corpora.prepare import prepare
    from bench.corpora.prepared import Prepared
    from bench.planning.resolve import text_rules

    sources = {name: Path(path) for name, path in read_json(options.sources).items()}

    def plain() -> None:
        texts = [[line.split() for line in path.read_text().splitlines()] for path in sources.values()]
        counts = Counter(word for split in texts for words in split for word in words)
        number = {word: i for i, (word, _) in enumerate(counts.most_common())}
        for split in texts:
            np.array([number[word] for words in split for word in words], dtype=np.int32)

    def prepared() -> None:
        out = Path(tempfile.mkdtemp())
        catalog = load_catalog()
        rules = text_rules(catalog, "coupled-vae", options.corpus.name)
        prepare(catalog.corpus(options.corpus.name), sources, rules, out)
        shutil.rmtree(out)

    def loaded() -> None:
        found = Prepared.load(options.corpus)
        for texts in found.splits.values():
            Collator(texts)

    return _once({"plain": plain, "prepare": prepared, "load": loaded}[side])


def workflow(options: argparse.Namespace, side: str) -> Work:
    """A turn is one dry run, in an empty results folder."""
    asked = ["seeds=[0]", "systems=vae", "corpora=ptb"]
    if side != "one run":
        asked = [f"seeds={list(range(options.seeds))}".replace(" ", "")]
    results = tempfile.mkdtemp()
    command = [
        PYTHON,
        "-m",
        "snakemake",
        "-n",
        "--quiet",
        "rules",
        "--config",
        "tier=paper",
        f"results={results}",
    ]

    def turn() -> dict[str, float]:
        said = run([*command, *asked], ROOT)
        jobs = {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", said, re.MULTILINE)}
        return {"jobs": jobs.get("total", 0), "runs": jobs.get("train", 0)}

    return turn


def report(options: argparse.Namespace, side: str) -> Work:
    """A turn builds the report of so many made-up runs of the paper tier."""
    sys.path.insert(0, str(ROOT))
    from bench.catalog.catalog import load_catalog
    from bench.planning.plan import Request, make_plan, systems_of
    from bench.report.site import build_report
    from tests import made_up

    count = 10 if side == "ten runs" else options.runs
    root, catalog = Path(tempfile.mkdtemp()), load_catalog()
    made_up.TEXTS = 3_761  # as the test split of the Penn Treebank
    results, paper = made_up.Results(root, catalog), "coupled-vae"
    systems = [s for s in systems_of(catalog, paper) if not catalog.missing(paper, s)]
    seeds = range(-(-count // len(systems)))
    names = [f"paper/{paper}/ptb/{system}/seed{seed}" for seed in seeds for system in systems][:count]
    results.corpus()
    for name in names:
        results.run(name)
    request = Request(tier="paper", corpora=("ptb",), systems=tuple(systems), seeds=tuple(seeds))
    plan = make_plan(catalog, request)

    def turn() -> dict[str, float]:
        site = build_report(root, root / "report", catalog, plan).parent
        pages = [path.stat().st_size for path in site.rglob("*.html")]
        return {"runs": count, "pages": len(pages), "largest page in KiB": max(pages) / 1024}

    return turn


def _once(action: Callable[[], None]) -> Work:
    def turn() -> dict[str, float]:
        action()
        return {"times": 1}

    return turn


def demo(options: argparse.Namespace) -> None:
    """How the seconds of a finished demo's jobs compare with what starting them costs on this machine."""
    from bench.base.files import read_json

    runs = sorted((options.results / "runs" / "demo").rglob("run.json"))
    trained = sum(read_json(path)["cost"]["seconds"] for path in runs)
    measured = sum(read_json(path.with_name("measurements.json"))["seconds"] for path in runs)
    started = []
    for _ in range(options.rounds):
        for imports in (TRAINING, EVALUATION):
            began = time.perf_counter()
            run([PYTHON, "-c", imports], ROOT)
            started.append(time.perf_counter() - began)
    start_up = 2 * len(runs) * statistics.median(started)
    print(f"{len(runs)} runs: {trained:.0f} s of training steps, {measured:.0f} s of measuring")
    print(f"starting their {2 * len(runs)} jobs here, now: {start_up:.0f} s, ", end="")
    print(f"{100 * start_up / (start_up + trained + measured):.0f} % of all")


WHAT: dict[str, tuple[Callable[[argparse.Namespace, str], Work], list[str]]] = {
    "start": (start, list(START)),
    "corpus": (corpus, ["plain", "prepare", "load"]),
    "workflow": (workflow, ["one run", "paper tier"]),
    "report": (report, ["ten runs", "many runs"]),
}


def main() -> None:
    """Measure one of them."""
    options_of = parser(__doc__, rounds=3, threads=False)
    options_of.add_argument("what", choices=[*WHAT, "demo"])
    options_of.add_argument("--corpus", type=Path, default=Path("results/corpora/coupled-vae/ptb"))
    options_of.add_argument("--sources", type=Path, default=Path("results/sources/ptb.json"))
    options_of.add_argument("--results", type=Path, default=Path("results"))
    options_of.add_argument("--seeds", type=int, default=10)
    options_of.add_argument("--runs", type=int, default=500)
    options = options_of.parse_args()
    if options.what == "demo":
        demo(options)
        return
    build, names = WHAT[options.what]
    sides = sides_from(options, names[0], build)

    def rows() -> Iterator[list[object]]:
        for name, found in sides.measure(names, warm=options.what not in ("workflow", "report")):
            done = ", ".join(f"{value:,.0f} {unit}" for unit, value in found.own[-1].done.items())
            own, baseline = (np.median([turn.processor for turn in t]) for t in (found.own, found.baseline))
            yield [name, found.seconds, float(own), float(own / baseline), found.peak, done]

    print(f"{options.rounds} turns")
    print_table(["side", "seconds", "CPU s", "of first", "peak MiB", "what"], rows())


if __name__ == "__main__":
    main()
