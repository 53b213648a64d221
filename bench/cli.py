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
DEVICES = "auto, cpu, cuda, cuda:N"
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


def _report(o: argparse.Namespace) -> int:
    from bench.declarations import load_catalog
    from bench.plan import make_plan
    from bench.report.site import build_report

    catalog = load_catalog()
    plan = make_plan(catalog, _request(o))
    print(build_report(o.results, o.out, catalog, plan, partial=o.partial))
    return 0


def _request(o: argparse.Namespace) -> Any:
    """The request given as JSON, or by options of the same names."""
    from bench.plan import Request
    from bench.validation import validated

    values = _json_mapping("--request", o.request)
    options = {key: getattr(o, key, None) for key in Request.model_fields if key != "settings"}
    return validated(Request, values | {k: v for k, v in options.items() if v is not None}, "the request")


def _plan(o: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.table import Table

    from bench.cost import downloads, estimate
    from bench.declarations import load_catalog
    from bench.plan import make_plan

    catalog = load_catalog()
    plan = make_plan(catalog, _request(o))
    table = Table("run", "steps", "train", "validate", "evaluate", box=None, pad_edge=False)
    costs = []
    for cost in estimate(plan, o.results / "corpora", o.device, o.threads or 1):
        costs.append(cost)
        hours = (f"{seconds / 3600:.2f} h" for seconds in (cost.training, cost.validation, cost.evaluation))
        table.add_row(cost.name + (" (sizes assumed)" if cost.assumed else ""), str(cost.steps), *hours)
    bytes_, unknown_sizes = downloads(catalog, plan)
    console = Console()
    console.print(table)
    console.print(
        f"{len(costs)} runs, {len(costs) * 2 + len(plan.corpora) * 2 + 1} jobs, "
        f"{sum(c.steps for c in costs):,} steps, {sum(c.seconds for c in costs) / 3600:.1f} hours of one process "
        f"on this device, {sum(c.disk for c in costs) / 1e6:,.0f} MB on disk, {bytes_ / 1e6:,.1f} MB to download"
        + (f" and {unknown_sizes} files of unknown size" if unknown_sizes else "")
    )
    return 0


def _doctor(o: argparse.Namespace) -> int:
    from bench.declarations import load_catalog
    from bench.doctor import check, show

    return 0 if show(check(load_catalog(), o.results, o.mirror)) else 1


def _list(o: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from bench.declarations import load_catalog
    from bench.parts import registry

    catalog = load_catalog()
    rows = {
        "systems": [(n, s.title, s.missing or s.about) for n, s in catalog.systems.items()],
        "corpora": [(n, c.title, c.about) for n, c in catalog.corpora.items()],
        "papers": [(n, f"{p.short} ({p.year})", p.title) for n, p in catalog.papers.items()],
        "tiers": [(n, "", t.about) for n, t in catalog.tiers.tiers.items()],
        "parts": [(f"{c} {k}", "", e.about) for c, kinds in registry().items() for k, e in kinds.items()],
    }[o.what]
    table = Table(box=None, show_header=False, pad_edge=False)
    for row in rows:
        table.add_row(*(escape(" ".join(text.split())) for text in row))
    Console().print(table)
    return 0


def _publish(o: argparse.Namespace) -> int:
    from bench.published import publish

    print(publish(o.results, o.run))
    return 0


def _status(o: argparse.Namespace) -> int:
    from bench.files import read_json

    states = sorted((o.results / "state").glob("*/status.json"))
    for path in states:
        state = read_json(path)
        where = f"step {state['step']}/{state['steps']}" if "step" in state else state["reason"]
        print(f"{state['state']:8} {state['name']}  {where}")
    done = len(list((o.results / "runs").glob("*/*/*/*/seed*/measurements.json")))
    print(f"{done} runs trained and measured, {len(states)} not finished")
    return 0


def _run(o: argparse.Namespace) -> Any:
    from bench.declarations import load_catalog
    from bench.plan import find_run

    return find_run(load_catalog(), o.run, _settings(o))


def _settings(o: argparse.Namespace) -> dict[str, Any]:
    """The user's overrides, given as JSON."""
    return _json_mapping("--settings", o.settings)


def _json_mapping(option: str, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise BenchError(f"{option} is not JSON: {error}", where=text) from error
    if not isinstance(value, dict):
        raise BenchError(f"{option} is not a mapping", where=text)
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

    sub = add("report", _report, "build the HTML report of a plan from what lies in the results folder")
    _add_results(sub)
    sub.add_argument("--out", type=Path, default=RESULTS / "report", help="folder to write")
    sub.add_argument("--partial", action="store_true", help="say that it was made after a failure")
    _add_request(sub)

    sub = add("plan", _plan, "say what a plan would cost on this device, by a short calibration")
    _add_results(sub)
    sub.add_argument("--device", default="auto", help=DEVICES)
    sub.add_argument("--threads", type=int, default=None, help="threads of one run")
    _add_request(sub)

    sub = add("doctor", _doctor, "check this machine, the mirror and the corpora, and say what to type")
    _add_results(sub)
    sub.add_argument("--mirror", default=os.environ.get("BENCH_MIRROR"), help="folder or base URL of the corpora")

    sub = add("list", _list, "list what is declared")
    sub.add_argument("what", choices=["systems", "corpora", "papers", "tiers", "parts"])

    sub = add("publish", _publish, "copy the measurements of a run to where they can be committed")
    sub.add_argument("run", help=RUN_HELP)
    _add_results(sub)

    sub = add("status", _status, "say which runs are in progress or have failed, and how far they are")
    _add_results(sub)
    return parser


def _add_results(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--results", type=Path, default=RESULTS, help="the results folder")


def _add_request(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--request", default="{}", help='what is asked for, as JSON: {"tier": "quick"}')
    for key in ("tier", "papers", "corpora", "tables", "systems", "seeds"):
        sub.add_argument(f"--{key}", help="one name, or several with commas between them")


def _add_settings(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--settings", default="{}", help='overrides as JSON: {"training": {"steps": 100}}')


def _add_run(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("run", help=RUN_HELP)
    sub.add_argument("--corpora", type=Path, default=RESULTS / "corpora", help="folder of prepared corpora")
    sub.add_argument("--device", default="auto", help=DEVICES)
    sub.add_argument("--threads", type=int, default=None, help="threads of this run")
    _add_settings(sub)
