"""Commands that read results: ``show``, ``compare``, ``samples``, ``interpolate``, ``track``."""

from __future__ import annotations

from pathlib import Path

from bench.cli import options as o

MEASURED_HELP = f"{o.RUN_HELP}, your own before a published one; published/{o.RUN_HELP} for that"


def add_commands(commands: o.Commands) -> None:
    """Add the five commands."""
    _add_show(commands)

    text = "the difference of two runs on the same texts, and where it is largest"
    parser = commands.add("compare", text, compare)
    parser.add_argument("first", metavar="RUN", help=MEASURED_HELP)
    parser.add_argument("second", metavar="RUN", help="the run from which the first is subtracted")
    text = "by which texts are chosen; the first that both hold for each text"
    parser.add_argument("--metric", help=text)
    parser.add_argument("--count", type=o.count, default=5, help="how many texts to show")
    o.add_results(parser)

    text = "print texts that a run decoded: samples from the prior, or others"
    parser = commands.add("samples", text, samples)
    parser.add_argument("run", help=MEASURED_HELP)
    parser.add_argument("--count", type=o.count, default=None, help="how many to show; all that were kept")
    text = "which texts: samples, reconstructions, interpolations, or another kind that the run shows"
    parser.add_argument("--kind", default="samples", help=text)
    o.add_results(parser)

    _add_interpolate(commands)

    text = "write curves and measurements for TensorBoard, which has to be installed"
    parser = commands.add("track", text, track)
    parser.add_argument("runs", metavar="RUN", nargs="*", help="all that were measured, unless named")
    parser.add_argument("--out", type=Path, default=Path("tracked"), help="folder of the event files")
    o.add_results(parser)


def _add_show(commands: o.Commands) -> None:
    shown = commands.add("show", "print a table or the claims of a paper, measured beside printed")
    kinds = o.Commands(shown, dest="what", metavar="WHAT")
    parser = kinds.add("table", "a table of a paper: ours, the printed number and the verdict", show_table)
    text = "for example coupled-vae/table1, or coupled-vae/1"
    parser.add_argument("table", metavar="PAPER/TABLE", help=text)
    parser.add_argument("--corpus", help="this one only")
    o.add_results(parser)
    parser = kinds.add("claims", "the claims of a paper, or of all: verdict, effect, tier", show_claims)
    parser.add_argument("paper", nargs="?")
    o.add_results(parser)


def _add_interpolate(commands: o.Commands) -> None:
    text = "decode greedily on the line between two sentences"
    parser = commands.add("interpolate", text, interpolate)
    parser.add_argument("run", help=o.RUN_HELP)
    text = "words with blanks between them, in quotation marks"
    parser.add_argument("first", metavar="SENTENCE", help=text)
    parser.add_argument("second", metavar="SENTENCE", help="another")
    parser.add_argument("--count", type=o.count, default=5, help="how many texts between the ends")
    parser.add_argument("--corpora", type=Path, default=None, help="folder of prepared corpora")
    o.add_device(parser, "threads of this command")
    o.add_results(parser)


def show_table(options: o.Parsed) -> int:
    """A table of a paper beside what was measured."""
    from bench.catalog.catalog import load_catalog
    from bench.cli.console import terminal
    from bench.cli.tables import show_table

    show_table(terminal(), load_catalog(), options.results, options.table, options.corpus)
    return 0


def show_claims(options: o.Parsed) -> int:
    """The claims of papers, with their verdicts."""
    from bench.catalog.catalog import load_catalog
    from bench.cli.claims import show_claims
    from bench.cli.console import terminal

    show_claims(terminal(), load_catalog(), options.results, options.paper)
    return 0


def compare(options: o.Parsed) -> int:
    """Two runs on the same texts."""
    from bench.catalog.catalog import load_catalog
    from bench.cli.console import terminal
    from bench.cli.differences import show_differences

    runs = (options.first, options.second)
    show_differences(terminal(), load_catalog(), options.results, runs, options.metric, options.count)
    return 0


def samples(options: o.Parsed) -> int:
    """Texts that a run decoded when it was measured."""
    from bench.cli.console import terminal
    from bench.cli.texts import show_texts

    show_texts(terminal(), options.results, options.run, options.kind, options.count)
    return 0


def interpolate(options: o.Parsed) -> int:
    """Texts between two sentences, decoded now."""
    from bench.cli.console import terminal
    from bench.cli.texts import show_interpolation

    show_interpolation(
        terminal(),
        options.results,
        options.corpora or options.results / "corpora",
        options.run,
        (options.first, options.second),
        options.count,
        options.device,
        options.threads,
    )
    return 0


def track(options: o.Parsed) -> int:
    """Curves of runs as the files of a tracker."""
    from bench.cli.tracking import track as write

    written = write(options.results, options.runs, options.out)
    print(
        f"wrote {len(written)} run{'s' if len(written) != 1 else ''}; to see: tensorboard --logdir {options.out}"
    )
    return 0
