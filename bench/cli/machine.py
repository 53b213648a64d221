"""The command that looks at the machine, and on request makes the self-check of a device: ``doctor``."""

from __future__ import annotations

from bench.cli.options import DEVICES, Commands, Parsed, add_mirror, add_results


def add_commands(commands: Commands) -> None:
    """Add ``doctor``."""
    text = "check this machine, the mirror and the corpora, and say what to type"
    parser = commands.add("doctor", text, doctor)
    add_results(parser)
    add_mirror(parser)
    text = f"make the self-check of a device ({DEVICES}) anew: does it compute what the CPU does?"
    parser.add_argument("--device", default=None, help=text)


def doctor(options: Parsed) -> int:
    """What was found; 1 if this machine is not ready."""
    from bench.catalog.catalog import load_catalog
    from bench.cli.doctor import check, check_numbers, show

    findings = check(load_catalog(), options.results, options.mirror)
    if options.device is not None:
        findings += check_numbers(options.device)
    return 0 if show(findings) else 1
