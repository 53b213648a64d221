"""The command that looks at the machine: ``doctor``."""

from __future__ import annotations

from bench.cli.options import Commands, Parsed, add_mirror, add_results


def add_commands(commands: Commands) -> None:
    """Add ``doctor``."""
    text = "check this machine, the mirror and the corpora, and say what to type"
    parser = commands.add("doctor", text, doctor)
    add_results(parser)
    add_mirror(parser)


def doctor(options: Parsed) -> int:
    """What was found; 1 if this machine is not ready."""
    from bench.catalog.catalog import load_catalog
    from bench.cli.doctor import check, show

    return 0 if show(check(load_catalog(), options.results, options.mirror)) else 1
