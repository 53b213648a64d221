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
from bench.base.errors import BenchError

RUN_HELP = "TIER/PAPER/CORPUS/SYSTEM/seedN"
MEASURED_HELP = f"{RUN_HELP}, your own before a published one; published/{RUN_HELP} for that"
DEVICES = "auto, cpu, cuda, cuda:N"
RESULTS = Path("results")
SETTINGS_EXAMPLE = '{"training": {"steps": 100}}'
REQUEST_EXAMPLE = '{"tier": "quick"}'


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 if it succeeded, 2 for a mistake that the message explains, 143 when stopped."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        code = options.command(options) or 0
        sys.stdout.flush()
        return code
    except BenchError as error:
        return _explain(options.name, error)
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        remedy = "check the path, its permissions and the space on its disk"
        return _explain(
            options.name, BenchError(error.strerror or str(error), where=error.filename, remedy=remedy)
        )
    except KeyboardInterrupt:
        return 130


def _explain(command: str, error: BenchError) -> int:
    print(f"bench {command}: {error}", file=sys.stderr)
    return 2


def _fetch(o: argparse.Namespace) -> int:
    from bench.base.files import write_json
    from bench.base.outputs import claim_file, is_json, is_listing
    from bench.catalog.catalog import load_catalog
    from bench.corpora.fetch import fetch

    claim_file(o.out, "the list of files", is_json(is_listing))
    paths = fetch(load_catalog().corpus(o.corpus), mirror=o.mirror)
    write_json(o.out, {name: str(path) for name, path in paths.items()})
    return 0


def _prepare(o: argparse.Namespace) -> int:
    from bench.base.files import read_json
    from bench.catalog.catalog import load_catalog
    from bench.corpora.prepare import prepare
    from bench.planning.resolve import text_rules

    catalog = load_catalog()
    rules = text_rules(catalog, o.paper, o.corpus, _settings(o))
    sources = read_json(o.sources)
    if not isinstance(sources, dict) or not all(isinstance(path, str) for path in sources.values()):
        raise BenchError(
            "not a mapping of files to paths", where=o.sources, remedy=f"first: bench fetch {o.corpus}"
        )
    prepare(catalog.corpus(o.corpus), {name: Path(path) for name, path in sources.items()}, rules, o.out)
    return 0


def _train(o: argparse.Namespace) -> int:
    from bench.training.loop import Interrupted
    from bench.training.run import train_run

    try:
        where = (o.corpora, o.out, o.state)
        done = train_run(_run(o), *where, device=o.device, threads=o.threads, wait=o.wait)
    except Interrupted as stopped:
        return 128 + int(stopped.args[0])
    print(f"{done['name']}: {done['state']}, best {done['best']}", file=sys.stderr)
    if o.evaluate:
        o.runs = o.out
        return _evaluate(o)
    return 0


def _evaluate(o: argparse.Namespace) -> int:
    from bench.metrics.evaluate import evaluate_run

    evaluate_run(_run(o), o.corpora, o.runs, device=o.device, threads=o.threads)
    return 0


def _pack(o: argparse.Namespace) -> int:
    from rich.console import Console

    from bench.base.outputs import claim_file
    from bench.catalog.catalog import load_catalog
    from bench.cli.console import print_rows
    from bench.planning.pack import Workers, pack, summary
    from bench.planning.plan import Plan, make_plan
    from bench.planning.resolve import find_run
    from bench.store.run_archives import archive, is_archive

    catalog, request = load_catalog(), _request(o)
    if o.archive is not None:
        claim_file(o.archive, "the archive", is_archive)
    if o.runs:
        plan = Plan(request, {name: find_run(catalog, name, request.settings) for name in o.runs})
    else:
        plan = make_plan(catalog, request)
    cores = os.cpu_count() or 1
    count = o.workers or min(cores, 8)  # a worker keeps a core busy with telling a GPU what to do
    workers = Workers(count, o.device, o.threads or max(1, cores // count), o.minutes)
    outcomes = pack(catalog, plan, o.prepared or o.out / "corpora", o.out, workers)
    print_rows(Console(), [(one.name, one.state, one.reason) for one in outcomes])
    if o.archive is not None:
        finished = [one.name for one in outcomes if one.state == "finished"]
        archive(o.out, finished, o.archive, weights=o.weights)
    print(summary(outcomes), file=sys.stderr)
    states = {one.state for one in outcomes}
    return 1 if "failed" in states else 143 if "left" in states else 0


def _unpack(o: argparse.Namespace) -> int:
    from rich.console import Console

    from bench.catalog.catalog import load_catalog
    from bench.cli.console import print_rows
    from bench.planning.resolve import find_run
    from bench.store.run_archives import unpack

    catalog, settings = load_catalog(), _settings(o)
    taken = unpack(o.archive, o.results, lambda name: find_run(catalog, name, settings))
    print_rows(Console(), [(one.name, one.state, one.reason) for one in taken])
    return 1 if any(one.state == "refused" for one in taken) else 0


def _report(o: argparse.Namespace) -> int:
    from bench.base.outputs import REPORT, discard
    from bench.catalog.catalog import load_catalog
    from bench.planning.plan import make_plan
    from bench.report.site import build_report

    catalog = load_catalog()
    plan = make_plan(catalog, _request(o))
    print(build_report(o.results, o.out, catalog, plan, partial=o.partial))
    if o.supersedes is not None and os.path.realpath(o.supersedes) != os.path.realpath(o.out):
        discard(o.supersedes, REPORT)
    return 0


def _request(o: argparse.Namespace) -> Any:
    """The request given as JSON, or by options of the same names."""
    from bench.base.validation import validated
    from bench.planning.plan import Request

    values = _json_mapping("--request", o.request, REQUEST_EXAMPLE)
    options = {key: getattr(o, key) for key in Request.model_fields if key != "settings"}
    options["settings"] = None if o.settings is None else _settings(o)
    return validated(Request, values | {k: v for k, v in options.items() if v is not None}, "the request")


def _plan(o: argparse.Namespace) -> int:
    from rich.console import Console

    from bench.catalog.catalog import load_catalog
    from bench.cli.console import print_rows
    from bench.cli.show import plan_rows, plan_summary
    from bench.planning.cost import downloads, estimate
    from bench.planning.plan import make_plan

    catalog = load_catalog()
    plan = make_plan(catalog, _request(o))
    costs = []
    with Console(stderr=True).status("timing a few steps of each system") as status:
        for cost in estimate(catalog, plan, o.results / "corpora", o.device, o.threads or 1, o.results):
            costs.append(cost)
            status.update(f"timing a few steps of each system: {len(costs)} of {len(plan.runs)} runs")
    header = ("run", "seeds", "steps", "train", "validate", "evaluate", "left", "times are")
    print_rows(Console(), plan_rows(costs, plan), header, numbers=True)
    print(*plan_summary(costs, plan, downloads(catalog, plan)), sep="\n")
    return 0


def _doctor(o: argparse.Namespace) -> int:
    from bench.catalog.catalog import load_catalog
    from bench.cli.doctor import check, show

    return 0 if show(check(load_catalog(), o.results, o.mirror)) else 1


def _list(o: argparse.Namespace) -> int:
    from rich.console import Console

    from bench.catalog.catalog import load_catalog
    from bench.cli.console import print_rows
    from bench.cli.show import declared

    print_rows(Console(), declared(load_catalog(), o.what))
    return 0


def _settings_of(o: argparse.Namespace) -> int:
    import yaml

    print(yaml.safe_dump(_run(o).model_dump(mode="json"), sort_keys=False, allow_unicode=True), end="")
    return 0


def _publish(o: argparse.Namespace) -> int:
    from bench.store.published import publish

    print(publish(o.results, o.run))
    return 0


def _status(o: argparse.Namespace) -> int:
    from rich.console import Console

    from bench.catalog.catalog import load_catalog
    from bench.cli.console import print_rows
    from bench.cli.show import check_results, counts, progress

    check_results(o.results)
    rows = list(progress(o.results, load_catalog(), _settings(o)))
    print_rows(Console(), rows)
    print(f"{counts(o.results)}, {len(rows)} in progress or failed")
    return 0


def _show_table(o: argparse.Namespace) -> int:
    from bench.catalog.catalog import load_catalog
    from bench.cli.terminal import show_table, terminal

    show_table(terminal(), load_catalog(), o.results, o.table, o.corpus)
    return 0


def _show_claims(o: argparse.Namespace) -> int:
    from bench.catalog.catalog import load_catalog
    from bench.cli.terminal import show_claims, terminal

    show_claims(terminal(), load_catalog(), o.results, o.paper)
    return 0


def _compare(o: argparse.Namespace) -> int:
    from bench.catalog.catalog import load_catalog
    from bench.cli.terminal import show_difference, terminal

    show_difference(terminal(), load_catalog(), o.results, (o.first, o.second), o.metric, o.count)
    return 0


def _diff(o: argparse.Namespace) -> int:
    from bench.cli.diff import show_diff
    from bench.cli.terminal import terminal

    show_diff(terminal(), o.before, o.after)
    return 0


def _samples(o: argparse.Namespace) -> int:
    from bench.cli.terminal import show_texts, terminal

    show_texts(terminal(), o.results, o.run, o.what, o.count)
    return 0


def _interpolate(o: argparse.Namespace) -> int:
    from bench.cli.terminal import show_interpolation, terminal

    ends = (o.first, o.second)
    corpora = o.corpora or o.results / "corpora"
    show_interpolation(terminal(), o.results, corpora, o.run, ends, o.count, o.device, o.threads)
    return 0


def _run(o: argparse.Namespace) -> Any:
    from bench.catalog.catalog import load_catalog
    from bench.planning.resolve import find_run

    return find_run(load_catalog(), o.run, _settings(o))


def _settings(o: argparse.Namespace) -> dict[str, Any]:
    """The user's overrides, given as JSON."""
    return _json_mapping("--settings", o.settings, SETTINGS_EXAMPLE)


def _json_mapping(option: str, text: str, example: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise BenchError(
            f"{option} is not JSON: {error}", where=text, remedy=f"for example {example}"
        ) from error
    if not isinstance(value, dict):
        raise BenchError(f"{option} is not a mapping", where=text, remedy=f"for example {example}")
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
    sub.add_argument(
        "--mirror", default=os.environ.get("BENCH_MIRROR"), help="folder or base URL to try first"
    )

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
    text = "where another process trains the same run, wait for it and take what it leaves"
    sub.add_argument("--wait", action="store_true", help=text)
    sub.add_argument("--evaluate", action="store_true", help="measure it too, in the same process")

    sub = add("evaluate", _evaluate, "measure a trained run on the test split")
    _add_run(sub)
    sub.add_argument("--runs", type=Path, default=RESULTS / "runs", help="folder of all runs")

    sub = add("pack", _pack, "train and measure many runs at once on one device; what was stopped goes on")
    sub.add_argument("runs", nargs="*", metavar="RUN", help=f"{RUN_HELP}; instead of a plan")
    sub.add_argument("--out", type=Path, default=RESULTS, help="the results folder to work in")
    sub.add_argument("--prepared", type=Path, default=None, help="folder of prepared corpora; OUT/corpora")
    sub.add_argument("--workers", type=_count, default=None, help="processes that share the device")
    sub.add_argument("--threads", type=_count, default=None, help="threads of each process")
    sub.add_argument("--device", default="auto", help=DEVICES)
    sub.add_argument("--minutes", type=_minutes, default=None, help="time after which all have stopped")
    sub.add_argument("--archive", type=Path, default=None, help="tar.gz to write: measurements to carry home")
    sub.add_argument("--weights", action="store_true", help="the weights too are in the archive")
    _add_request(sub)

    sub = add("unpack", _unpack, "take up runs from an archive of `bench pack`, as if they were made here")
    sub.add_argument("archive", type=Path, help="what `bench pack --archive` wrote")
    _add_results(sub)
    _add_settings(sub)

    sub = add("report", _report, "build the HTML report of a plan from what lies in the results folder")
    _add_results(sub)
    sub.add_argument("--out", type=Path, default=RESULTS / "report", help="folder to write")
    sub.add_argument("--partial", action="store_true", help="say that it was made after a failure")
    sub.add_argument("--supersedes", type=Path, default=None, help="folder of a report to remove then")
    _add_request(sub)

    sub = add(
        "plan", _plan, "say what a plan costs on this device, by records or a short timing, and what is left"
    )
    _add_results(sub)
    sub.add_argument("--device", default="auto", help=DEVICES)
    sub.add_argument("--threads", type=_count, default=None, help="threads of one run")
    _add_request(sub)

    sub = add("doctor", _doctor, "check this machine, the mirror and the corpora, and say what to type")
    _add_results(sub)
    sub.add_argument(
        "--mirror", default=os.environ.get("BENCH_MIRROR"), help="folder or base URL of the corpora"
    )

    sub = add("list", _list, "list what is declared")
    sub.add_argument("what", choices=["systems", "corpora", "papers", "tiers", "parts"])

    sub = add("settings", _settings_of, "print every setting of a run, as it would be trained and measured")
    sub.add_argument("run", help=RUN_HELP)
    _add_settings(sub)

    sub = add("publish", _publish, "copy the measurements of a run to where they can be committed")
    sub.add_argument("run", help=RUN_HELP)
    _add_results(sub)

    sub = add("status", _status, "say which runs are in progress or have failed, and how far they are")
    _add_settings(sub)
    _add_results(sub)

    text = "print a table or the claims of a paper, measured beside printed"
    shown = commands.add_parser("show", help=text, description=text)
    kinds = shown.add_subparsers(dest="what", required=True, metavar="WHAT")
    text = "a table of a paper: ours, the printed number and the verdict"
    sub = kinds.add_parser("table", help=text, description=text)
    sub.set_defaults(command=_show_table)
    sub.add_argument("table", metavar="PAPER/TABLE", help="for example coupled-vae/table1, or coupled-vae/1")
    sub.add_argument("--corpus", help="this one only")
    _add_results(sub)
    text = "the claims of a paper, or of all: verdict, effect, tier"
    sub = kinds.add_parser("claims", help=text, description=text)
    sub.set_defaults(command=_show_claims)
    sub.add_argument("paper", nargs="?")
    _add_results(sub)

    sub = add("compare", _compare, "the difference of two runs on the same texts, and where it is largest")
    sub.add_argument("first", metavar="RUN", help=MEASURED_HELP)
    sub.add_argument("second", metavar="RUN", help="the run from which the first is subtracted")
    sub.add_argument("--metric", help="by which texts are chosen; the first that both hold for each text")
    sub.add_argument("--count", type=_count, default=5, help="how many texts to show")
    _add_results(sub)

    sub = add(
        "diff", _diff, "say which numbers moved beyond noise between two reports, and which verdicts flipped"
    )
    sub.add_argument("before", type=Path, metavar="REPORT", help="folder of a report, or its index.html")
    sub.add_argument("after", type=Path, metavar="REPORT", help="the report to compare with it")

    sub = add("samples", _samples, "print texts that a run decoded: samples from the prior, or others")
    sub.add_argument("run", help=MEASURED_HELP)
    sub.add_argument("--count", type=_count, default=None, help="how many to show; all that were kept")
    kind = sub.add_mutually_exclusive_group()
    for what in ("reconstructions", "interpolations"):
        kind.add_argument(f"--{what}", dest="what", action="store_const", const=what, default="samples")
    _add_results(sub)

    sub = add("interpolate", _interpolate, "decode greedily on the line between two sentences")
    sub.add_argument("run", help=RUN_HELP)
    sub.add_argument("first", metavar="SENTENCE", help="words with blanks between them, in quotation marks")
    sub.add_argument("second", metavar="SENTENCE", help="another")
    sub.add_argument("--count", type=_count, default=5, help="how many texts between the ends")
    sub.add_argument("--corpora", type=Path, default=None, help="folder of prepared corpora")
    sub.add_argument("--device", default="auto", help=DEVICES)
    sub.add_argument("--threads", type=_count, default=None, help="threads of this command")
    _add_results(sub)
    return parser


def _count(text: str) -> int:
    """A positive number."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return int(text)


def _minutes(text: str) -> float:
    """A positive time."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number of minutes")
    return value


def _add_results(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--results", type=Path, default=RESULTS, help="the results folder")


def _add_request(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--request", default="{}", help=f"what is asked for, as JSON: {REQUEST_EXAMPLE}")
    for key in ("tier", "papers", "corpora", "tables", "systems", "seeds"):
        sub.add_argument(f"--{key}", help="one name, or several with commas between them")
    _add_settings(sub, None)


def _add_settings(sub: argparse.ArgumentParser, default: str | None = "{}") -> None:
    sub.add_argument("--settings", default=default, help=f"overrides as JSON: {SETTINGS_EXAMPLE}")


def _add_run(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("run", help=RUN_HELP)
    sub.add_argument("--corpora", type=Path, default=RESULTS / "corpora", help="folder of prepared corpora")
    sub.add_argument("--device", default="auto", help=DEVICES)
    sub.add_argument("--threads", type=_count, default=None, help="threads of this run")
    _add_settings(sub)
