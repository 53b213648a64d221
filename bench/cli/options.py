"""Arguments that several commands take, and what is read from them: settings, a request, a run."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from bench.base.errors import BenchError, nearest

if TYPE_CHECKING:
    from bench.base.settings import RunSettings
    from bench.catalog.catalog import Catalog
    from bench.planning.plan import Request

Parsed = argparse.Namespace
Command = Callable[[Parsed], int]

RESULTS = Path("results")
RUN_HELP = "TIER/PAPER/CORPUS/SYSTEM/seedN"
DEVICES = "auto, cpu, cuda, cuda:N"
SETTINGS_EXAMPLE = '{"training": {"steps": 100}}'
REQUEST_EXAMPLE = '{"tier": "quick"}'


class Parser(argparse.ArgumentParser):
    """A parser whose mistakes are one message: what is wrong, the nearest name, and where all are listed."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """As ever, but what is unknown is told here, where the options of the command are known."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            option = unknown[0].partition("=")[0]
            self._tell(f"unrecognized arguments: {' '.join(unknown)}", option, self._option_string_actions)
        return found, unknown

    def error(self, message: str) -> NoReturn:
        """Print the message and leave with 2; of an unknown choice, with the nearest."""
        choice = re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message)
        if choice is not None:
            self._tell(message, choice[1], re.findall(r"[\w-]+", choice[2]))
        missing = message.rpartition("required: ")[2].split(", ")
        allowed = next(
            (a.choices for a in self._actions if a.choices and (a.metavar or a.dest) in missing), ()
        )
        self._tell(f"{message}\n  allowed: {', '.join(allowed)}" if allowed else message, "", ())

    def _tell(self, message: str, name: str, known: Iterable[str]) -> NoReturn:
        near = nearest(name, known)
        remedy = f"did you mean {near!r}? " if near else ""
        self.exit(2, f"{self.prog}: {message}\n  remedy:  {remedy}{self.prog} --help lists what there is\n")


class Commands:
    """The commands of a parser, to which each group adds its own."""

    def __init__(self, parser: argparse.ArgumentParser, dest: str, metavar: str) -> None:
        """``dest``: the attribute of the result that holds the name of the command."""
        self._parsers = parser.add_subparsers(dest=dest, required=True, metavar=metavar)

    def add(self, name: str, about: str, command: Command | None = None) -> argparse.ArgumentParser:
        """The parser of a new command; ``command`` is what it does, None where it has commands of its own."""
        parser = self._parsers.add_parser(name, help=about, description=about)
        if command is not None:
            parser.set_defaults(command=command)
        return parser


def add_results(parser: argparse.ArgumentParser) -> None:
    """The option ``--results``."""
    parser.add_argument("--results", type=Path, default=RESULTS, help="the results folder")


def add_device(parser: argparse.ArgumentParser, threads: str) -> None:
    """The options ``--device`` and ``--threads``; ``threads`` says of what."""
    parser.add_argument("--device", default="auto", help=DEVICES)
    parser.add_argument("--threads", type=count, default=None, help=threads)


def add_mirror(parser: argparse.ArgumentParser) -> None:
    """The option ``--mirror``."""
    text = "folder or base URL to try first (default: the variable BENCH_MIRROR)"
    parser.add_argument("--mirror", default=None, help=text)


def add_settings(parser: argparse.ArgumentParser, default: str | None = "{}") -> None:
    """The option ``--settings``."""
    parser.add_argument("--settings", default=default, help=f"overrides as JSON: {SETTINGS_EXAMPLE}")


def add_run(parser: argparse.ArgumentParser) -> None:
    """The name of a run, and where and how it is computed."""
    parser.add_argument("run", help=RUN_HELP)
    parser.add_argument(
        "--corpora", type=Path, default=RESULTS / "corpora", help="folder of prepared corpora"
    )
    add_device(parser, "threads of this run")
    add_settings(parser)


def add_request(parser: argparse.ArgumentParser) -> None:
    """The options of a request: as JSON, or one by one."""
    parser.add_argument("--request", default="{}", help=f"what is asked for, as JSON: {REQUEST_EXAMPLE}")
    for key in ("tier", "papers", "corpora", "tables", "systems", "seeds"):
        parser.add_argument(f"--{key}", help="one name, or several with commas between them")
    parser.add_argument(
        "--every-system",
        action="store_true",
        default=None,
        help="all systems of the tables, not the tier's choice",
    )
    add_settings(parser, None)


def count(text: str) -> int:
    """A positive number."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return int(text)


def minutes(text: str) -> float:
    """A positive time."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number of minutes")
    return value


def settings_of(options: Parsed) -> dict[str, Any]:
    """The user's overrides, given as JSON."""
    return _json_mapping("--settings", options.settings, SETTINGS_EXAMPLE)


def request_of(options: Parsed, catalog: Catalog) -> Request:
    """The request given as JSON, or by options of the same names."""
    from bench.planning.plan import Request, request_of

    values = _json_mapping("--request", options.request, REQUEST_EXAMPLE)
    given = {key: getattr(options, key) for key in Request.model_fields if key != "settings"}
    given["settings"] = None if options.settings is None else settings_of(options)
    return request_of(values | {k: v for k, v in given.items() if v is not None}, catalog, "the request")


def run_of(options: Parsed) -> RunSettings:
    """The settings of the run that is named."""
    from bench.catalog.catalog import load_catalog
    from bench.planning.resolve import find_run

    return find_run(load_catalog(), options.run, settings_of(options))


def _json_mapping(option: str, text: str, example: str) -> dict[str, Any]:
    remedy = f"for example {example}"
    try:
        value = json.loads(text)
    except ValueError as error:
        raise BenchError(f"{option} is not JSON: {error}", where=text, remedy=remedy) from error
    if not isinstance(value, dict):
        raise BenchError(f"{option} is not a mapping", where=text, remedy=remedy)
    return value
