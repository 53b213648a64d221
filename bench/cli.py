"""The command line: one command per step of the workflow, and a few to look around.

Torch, pandas and the other heavy packages are imported by the command that needs them, not here.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench import __version__
from bench.errors import BenchError

RUN_HELP = "TIER/PAPER/CORPUS/SYSTEM/seedN"
RESULTS = Path("results")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 if it succeeded, 2 for a mistake that the message explains, 143 when stopped."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        return options.command(options) or 0
    except BenchError as error:
        print(f"bench {options.name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _fetch(o: argparse.Namespace) -> int:
    from bench.corpora.fetch import fetch
    from bench.declarations import load_catalog
    from bench.files import write_json

    paths = fetch(load_catalog().corpus(o.corpus), mirror=o.mirror)
    write_json(o.out, {name: str(path) for name, path in paths.items()})
    return 0


def _prepare(o: argparse.Namespace) -> int:
    from bench.corpora.prepare import prepare
    from bench.declarations import load_catalog
    from bench.files import read_json
    from bench.plan import text_rules

    catalog = load_catalog()
    sources = {name: Path(path) for name, path in read_json(o.sources).items()}
    prepare(catalog.corpus(o.corpus), sources, text_rules(catalog, o.paper, o.corpus, _settings(o)), o.out)
    return 0


def _train(o: argparse.Namespace) -> int:
    from bench.training.loop import Interrupted
    from bench.training.run import train_run

    try:
        done = train_run(_run(o), o.corpora, o.out, o.state, device=o.device, threads=o.threads)
    except Interrupted as stopped:
        return 128 + int(stopped.args[0])
    print(f"{done['name']}: {done['state']}, best {done['best']}", file=sys.stderr)
    return 0


def _evaluate(o: argparse.Namespace) -> int:
    from bench.metrics.evaluate import evaluate_run

    evaluate_run(_run(o), o.corpora, o.runs, device=o.device, threads=o.threads)
    return 0


def _run(o: argparse.Namespace) -> Any:
    from bench.declarations import load_catalog
    from bench.plan import find_run

    return find_run(load_catalog(), o.run, _settings(o))


def _settings(o: argparse.Namespace) -> dict[str, Any]:
    """The user's overrides, given as JSON."""
    try:
        value = json.loads(o.settings)
    except ValueError as error:
        raise BenchError(f"--settings is not JSON: {error}", where=o.settings) from error
    if not isinstance(value, dict):
        raise BenchError("--settings is not a mapping", where=o.settings)
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bench", description="A reproducibility benchmark for latent-variable text models."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="name", required=True, metavar="COMMAND")

    def add(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(command=run)
        return sub

    sub = add("fetch", _fetch, "download the files of a corpus, or find them in a mirror, and verify them")
    sub.add_argument("corpus")
    sub.add_argument("--out", type=Path, required=True, help="JSON file to write: where each file lies")
    sub.add_argument("--mirror", default=os.environ.get("BENCH_MIRROR"), help="folder or base URL to try first")

    sub = add("prepare", _prepare, "turn verified files into a vocabulary and id tensors under a protocol")
    sub.add_argument("paper")
    sub.add_argument("corpus")
    sub.add_argument("--sources", type=Path, required=True, help="what `bench fetch` wrote")
    sub.add_argument("--out", type=Path, required=True, help="folder to write")
    _add_settings(sub)

    sub = add("train", _train, "train one run; a run that was stopped goes on where it was")
    _add_run(sub)
    sub.add_argument("--out", type=Path, default=RESULTS / "runs", help="folder of all runs")
    sub.add_argument("--state", type=Path, default=RESULTS / "state", help="folder of resumable states")

    sub = add("evaluate", _evaluate, "measure a trained run on the test split")
    _add_run(sub)
    sub.add_argument("--runs", type=Path, default=RESULTS / "runs", help="folder of all runs")
    return parser


def _add_settings(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--settings", default="{}", help='overrides as JSON: {"training": {"steps": 100}}')


def _add_run(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("run", help=RUN_HELP)
    sub.add_argument("--corpora", type=Path, default=RESULTS / "corpora", help="folder of prepared corpora")
    sub.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N")
    sub.add_argument("--threads", type=int, default=None, help="threads of this run")
    _add_settings(sub)
