"""The command line: one command per step of the workflow, and a few to look around.

Each group of commands is one module: its part of the parser beside its functions. Torch, pandas and the other heavy
packages are imported by the command that needs them, so that ``bench --help`` is light.
"""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
from collections.abc import Sequence

from bench import __version__
from bench.base import environment
from bench.base.errors import BenchError
from bench.cli import data, machine, plans, reading, reports, runs
from bench.cli.options import Commands, Parser

GROUPS = (data, runs, plans, reports, reading, machine)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns 0 if it succeeded, 2 for a mistake that the message explains, 128 and the signal's number when stopped.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a sign that the terminal lacks is named, and ends nothing
            stream.reconfigure(errors="backslashreplace")
    options = parser().parse_args(arguments)
    try:
        environment.check()
        code: int = options.command(options) or 0
        sys.stdout.flush()
        return code
    except BenchError as error:
        return _explain(options.name, error)
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        remedy = "check the path, its permissions and the space on its disk"
        what = error.strerror or str(error)
        return _explain(options.name, BenchError(what, where=error.filename, remedy=remedy))
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is being obeyed
        return 130


def parser() -> argparse.ArgumentParser:
    """The parser of all commands: its result holds the command's ``name`` and its function, ``command``."""
    whole = Parser(prog="bench", description="A reproducibility benchmark for latent-variable text models.")
    whole.add_argument("--version", action="version", version=__version__)
    commands = Commands(whole, dest="name", metavar="COMMAND")
    for group in GROUPS:
        group.add_commands(commands)
    return whole


def _explain(command: str, error: BenchError) -> int:
    print(f"bench {command}: {error}", file=sys.stderr)
    return 2
