"""Commands that make and compare HTML reports: ``report`` and ``diff``."""

from __future__ import annotations

import os
from pathlib import Path

from bench.cli import options as o

WORKERS = 4  # each holds what the pages show; what is done by one alone is a third of the time


def add_commands(commands: o.Commands) -> None:
    """Add ``report`` and ``diff``."""
    text = "build the HTML report of a plan from what lies in the results folder"
    parser = commands.add("report", text, report)
    o.add_results(parser)
    parser.add_argument("--out", type=Path, default=o.RESULTS / "report", help="folder to write")
    parser.add_argument("--partial", action="store_true", help="say that it was made after a failure")
    text = "folder of a report to remove then"
    parser.add_argument("--supersedes", type=Path, default=None, help=text)
    text = f"processes that draw pages (as many as there are cores, up to {WORKERS})"
    parser.add_argument("--workers", type=o.count, default=None, help=text)
    o.add_request(parser)

    text = "say which numbers moved beyond noise between two reports, and which verdicts flipped"
    parser = commands.add("diff", text, diff)
    text = "folder of a report, or its index.html"
    parser.add_argument("before", type=Path, metavar="REPORT", help=text)
    parser.add_argument("after", type=Path, metavar="REPORT", help="the report to compare with it")


def report(options: o.Parsed) -> int:
    """The HTML report of a request."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # of numpy, not loaded yet: processes share the cores
    from bench.base.environment import allowed_cores
    from bench.base.outputs import REPORT, discard
    from bench.catalog.catalog import load_catalog
    from bench.planning.plan import make_plan
    from bench.report.site import build_report

    catalog = load_catalog()
    plan = make_plan(catalog, o.request_of(options, catalog))
    workers = options.workers or min(allowed_cores(), WORKERS)
    shown = build_report(
        options.results, options.out, catalog, plan, partial=options.partial, workers=workers
    )
    print(shown)
    superseded = options.supersedes
    if superseded is not None and os.path.realpath(superseded) != os.path.realpath(options.out):
        discard(superseded, REPORT)
    return 0


def diff(options: o.Parsed) -> int:
    """The differences of two reports."""
    from bench.cli.console import terminal
    from bench.cli.diff import show_diff

    show_diff(terminal(), options.before, options.after)
    return 0
