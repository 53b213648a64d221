"""Commands on runs: ``train``, ``evaluate``, ``pack``, ``unpack``, ``publish``, ``status``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.base.environment import allowed_cores
from bench.cli import options as o

if TYPE_CHECKING:
    from bench.catalog.catalog import Catalog
    from bench.planning.pack import Workers
    from bench.planning.plan import Plan


def add_commands(commands: o.Commands) -> None:
    """Add the six commands."""
    _add_train_and_evaluate(commands)
    _add_pack_and_unpack(commands)

    text = "copy the measurements of a run to where they can be committed"
    parser = commands.add("publish", text, publish)
    parser.add_argument("run", help=o.RUN_HELP)
    o.add_results(parser)

    text = "say what trains and what is measured now, what failed, and what is left of what was asked for"
    parser = commands.add("status", text, status)
    o.add_settings(parser)
    o.add_results(parser)


def _add_train_and_evaluate(commands: o.Commands) -> None:
    text = "train one run; one that was stopped goes on where it was, one that is trained is left as it is"
    parser = commands.add("train", text, train)
    o.add_run(parser)
    parser.add_argument("--out", type=Path, default=o.RESULTS / "runs", help="folder of all runs")
    parser.add_argument("--state", type=Path, default=o.RESULTS / "state", help="folder of resumable states")
    text = "where another process trains the same run, wait for it and take what it leaves"
    parser.add_argument("--wait", action="store_true", help=text)
    parser.add_argument("--again", action="store_true", help="train it anew where it is trained already")
    parser.add_argument("--evaluate", action="store_true", help="measure it too, in the same process")
    text = "for the workflow: the same in a tier of short runs, the demo; a fault of it is left to `bench evaluate`"
    parser.add_argument("--evaluate-short", action="store_true", help=text)

    parser = commands.add("evaluate", "measure a trained run on the test split", evaluate)
    o.add_run(parser)
    parser.add_argument("--runs", type=Path, default=o.RESULTS / "runs", help="folder of all runs")


def _add_pack_and_unpack(commands: o.Commands) -> None:
    text = "train and measure many runs at once on one device; what was stopped goes on"
    parser = commands.add("pack", text, pack)
    parser.add_argument("runs", nargs="*", metavar="RUN", help=f"{o.RUN_HELP}; instead of a plan")
    parser.add_argument("--out", type=Path, default=o.RESULTS, help="the results folder to work in")
    text = "folder of prepared corpora; OUT/corpora"
    parser.add_argument("--prepared", type=Path, default=None, help=text)
    parser.add_argument("--workers", type=o.count, default=None, help="processes that share the device")
    o.add_device(parser, "threads of each process")
    text = "time after which all have stopped"
    parser.add_argument("--minutes", type=o.minutes, default=None, help=text)
    text = "tar.gz to write: measurements to carry home"
    parser.add_argument("--archive", type=Path, default=None, help=text)
    parser.add_argument("--weights", action="store_true", help="the weights too are in the archive")
    o.add_request(parser)

    text = "take up runs from an archive of `bench pack`, as if they were made here"
    parser = commands.add("unpack", text, unpack)
    parser.add_argument("archive", type=Path, help="what `bench pack --archive` wrote")
    o.add_results(parser)
    o.add_settings(parser)


def train(options: o.Parsed) -> int:
    """A trained run; 128 and the signal's number where it was stopped, with its state saved."""
    from bench.catalog.catalog import load_catalog
    from bench.training.loop import Interrupted
    from bench.training.run import train_run

    run = o.run_of(options)
    where = (options.corpora, options.out, options.state)
    how = {"device": options.device, "threads": options.threads}
    how |= {"wait": options.wait, "again": options.again}
    try:
        done = train_run(run, *where, **how)
    except Interrupted as stopped:
        return 128 + int(stopped.args[0])
    print(f"{done['name']}: {done['state']}, {_kept(done['best'])}", file=sys.stderr)
    options.runs = options.out
    if options.evaluate:
        return evaluate(options)
    if options.evaluate_short and load_catalog().tier(run.tier).short:
        try:
            evaluate(options)
        except (Exception, KeyboardInterrupt) as error:  # it is trained, and a job of its own says what fails
            said = str(error) or type(error).__name__
            print(f"{run.name}: not measured: {said}; bench evaluate {run.name} does it", file=sys.stderr)
    return 0


def _kept(best: Mapping[str, Any] | None) -> str:
    """Of which step the weights are, from ``best`` of a ``run.json``."""
    if best is None:
        return "before any validation"
    return f"with the weights of step {best['step']}: {best['criterion']} {best['value']:.3f}"


def evaluate(options: o.Parsed) -> int:
    """The measurements of a trained run; of one that has them only their time is new, by which the workflow goes."""
    from bench.metrics.needs import wanted
    from bench.store.freshness import MEASUREMENTS, is_measured

    run = o.run_of(options)
    record = options.runs / run.name / MEASUREMENTS
    if is_measured(run, options.runs, options.corpora, wanted):  # known long before torch would be loaded
        record.touch()
        print(f"{run.name}: is measured, in {record}", file=sys.stderr)
        return 0
    from bench.metrics.evaluate import evaluate_run

    made = evaluate_run(run, options.corpora, options.runs, device=options.device, threads=options.threads)
    numbers = len(made["measurements"])
    print(f"{run.name}: {numbers} numbers in {made['seconds']:.0f} s, in {record}", file=sys.stderr)
    return 0


def pack(options: o.Parsed) -> int:
    """Many runs on one device; 1 if one of them failed, 143 if some are left."""
    from rich.console import Console

    from bench.base.outputs import claim_file
    from bench.catalog.catalog import load_catalog
    from bench.cli.console import print_rows
    from bench.metrics.needs import wanted
    from bench.planning.pack import pack, summary
    from bench.store.freshness import next_stage
    from bench.store.run_archives import archive, is_archive

    catalog = load_catalog()
    if options.archive is not None:
        claim_file(options.archive, "the archive", is_archive)
    plan, corpora = _packed(catalog, options), options.prepared or options.out / "corpora"
    outcomes = pack(catalog, plan, corpora, options.out, _workers(options))
    print_rows(Console(), [(one.name, one.state, one.reason) for one in outcomes])
    if options.archive is not None:
        finished = [one.name for one in outcomes if one.state == "finished"]
        left = [n for n, r in plan.runs.items() if next_stage(r, options.out, wanted, corpora) == "evaluate"]
        archive(options.out, finished, options.archive, weights=options.weights, unfinished=left)
    print(summary(outcomes), file=sys.stderr)
    states = {one.state for one in outcomes}
    return 1 if "failed" in states else 143 if "left" in states else 0


def _packed(catalog: Catalog, options: o.Parsed) -> Plan:
    """The runs that are named, else those of the request."""
    from bench.planning.plan import Plan, make_plan
    from bench.planning.resolve import find_run

    request = o.request_of(options, catalog)
    if not options.runs:
        return make_plan(catalog, request)
    return Plan(request, {name: find_run(catalog, name, request.settings) for name in options.runs})


def _workers(options: o.Parsed) -> Workers:
    from bench.planning.pack import Workers

    cores = allowed_cores()
    count = options.workers or min(cores, 8)  # a worker keeps a core busy with telling a GPU what to do
    most, why = _allowed_workers(options.device, count)
    if most < count:
        print(f"{most} at a time, one on each device: {why}", file=sys.stderr)
        count = most
    return Workers(count, options.device, options.threads or max(1, cores // count), options.minutes)


def _allowed_workers(device: str, asked: int) -> tuple[int, str]:
    """How many workers the named device may have, and why not more. Makes its self-check if none is kept."""
    if device == "cpu":  # which needs no library to be told of
        return asked, ""
    from bench.training.places import workers_of

    return workers_of(device)


def unpack(options: o.Parsed) -> int:
    """Runs taken from an archive; 1 if one of them was refused."""
    from rich.console import Console

    from bench.catalog.catalog import load_catalog
    from bench.cli.console import print_rows
    from bench.planning.resolve import find_run
    from bench.store.run_archives import unpack

    catalog, settings = load_catalog(), o.settings_of(options)
    taken = unpack(options.archive, options.results, lambda name: find_run(catalog, name, settings))
    print_rows(Console(), [(one.name, one.state, one.reason) for one in taken])
    return 1 if any(one.state == "refused" for one in taken) else 0


def publish(options: o.Parsed) -> int:
    """The tracked copy of a run's measurements."""
    from bench.store.published import publish

    print(publish(options.results, options.run))
    return 0


def status(options: o.Parsed) -> int:
    """Runs in progress and failed, how many are finished, and what is left."""
    from rich.console import Console

    from bench.catalog.catalog import load_catalog
    from bench.cli.console import print_rows
    from bench.cli.results import check_results
    from bench.cli.status import counts, left, progress

    check_results(options.results)
    catalog = load_catalog()
    rows = list(progress(options.results, catalog, o.settings_of(options)))
    print_rows(Console(), rows)
    print(f"{counts(options.results)}, {len(rows)} in progress or failed")
    if plan := left(options.results, catalog):
        print(plan)
    return 0
