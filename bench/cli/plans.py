"""Commands that say what would be done: ``plan``, ``settings``, ``list``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bench.cli import options as o

if TYPE_CHECKING:
    from bench.store.costs import Cost


def add_commands(commands: o.Commands) -> None:
    """Add the three commands."""
    text = "say what a plan costs on this device, by records or a short timing, and what is left"
    parser = commands.add("plan", text, plan)
    o.add_results(parser)
    o.add_device(parser, "threads of one run")
    o.add_request(parser)

    text = "print every setting of a run, as it would be trained and measured"
    parser = commands.add("settings", text, settings)
    parser.add_argument("run", help=o.RUN_HELP)
    o.add_settings(parser)

    parser = commands.add("list", "list what is declared", list_declared)
    parser.add_argument("what", choices=["systems", "corpora", "papers", "tiers", "parts"])


def plan(options: o.Parsed) -> int:
    """What the runs of a request cost on this device."""
    from bench.catalog.catalog import load_catalog
    from bench.cli.console import stream_rows, terminal
    from bench.planning.cost import downloads, estimate
    from bench.planning.plan import make_plan
    from bench.planning.summary import plan_rows, plan_summary

    catalog = load_catalog()
    wanted = make_plan(catalog, o.request_of(options, catalog))
    where = (options.results / "corpora", options.device, options.threads or 1, options.results)
    busy = _busy()
    costs: list[Cost] = []

    def told() -> Iterator[Cost]:
        for cost in estimate(catalog, wanted, *where, keep=not busy):
            costs.append(cost)
            yield cost

    header = ("run", "seeds", "steps", "train", "validate", "evaluate", "left", "times are")
    stream_rows(terminal(), plan_rows(told()), header, max((len(name) for name in wanted.runs), default=0))
    print(*plan_summary(costs, wanted, downloads(catalog, wanted)), sep="\n")
    print(*busy, sep="\n", end="\n" * len(busy), file=sys.stderr)
    return 0


def _busy() -> list[str]:
    """A sentence where other processes keep this machine busy."""
    from bench.base.environment import allowed_cores

    load, cores = os.getloadavg()[0], allowed_cores()
    said = f"This machine is busy (a load of {load:.1f} on {cores} cores): timings are too long, and none is kept."
    return [said] if load > cores / 2 + 0.5 else []


def settings(options: o.Parsed) -> int:
    """Every setting of a run, as YAML."""
    import yaml

    values = o.run_of(options).model_dump(mode="json")
    print(yaml.safe_dump(values, sort_keys=False, allow_unicode=True), end="")
    return 0


def list_declared(options: o.Parsed) -> int:
    """Everything of one kind that the catalog or the registry of parts declares."""
    from rich.console import Console

    from bench.catalog.catalog import load_catalog
    from bench.cli.console import print_rows
    from bench.cli.declared import declared

    print_rows(Console(), declared(load_catalog(), options.what))
    return 0
