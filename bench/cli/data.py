"""Commands that make what runs need: ``fetch``, ``prepare`` and ``evaluator``."""

from __future__ import annotations

import sys
from pathlib import Path

from bench.base.errors import BenchError
from bench.cli.options import RESULTS, Commands, Parsed, add_mirror, add_settings, settings_of


def add_commands(commands: Commands) -> None:
    """Add the three commands."""
    text = "download the files of a corpus, or find them in a mirror, and verify them"
    parser = commands.add("fetch", text, fetch)
    parser.add_argument("corpus")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write: where each file lies")
    add_mirror(parser)

    text = "turn verified files into a vocabulary and id tensors under a protocol"
    parser = commands.add("prepare", text, prepare)
    parser.add_argument("paper")
    parser.add_argument("corpus")
    parser.add_argument("--sources", type=Path, required=True, help="what `bench fetch` wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    add_mirror(parser)
    add_settings(parser)

    text = "train or load a model that measures others, on a prepared corpus"
    parser = commands.add("evaluator", text, evaluator)
    parser.add_argument("evaluator", metavar="PAPER/CORPUS/NAME", help="NAME as the paper declares it")
    parser.add_argument(
        "--corpora", type=Path, default=RESULTS / "corpora", help="folder of prepared corpora"
    )
    parser.add_argument("--out", type=Path, default=RESULTS / "evaluators", help="folder of all evaluators")


def fetch(options: Parsed) -> int:
    """Verified files of a corpus, and a JSON file that says where they lie."""
    from bench.base.files import write_json
    from bench.base.outputs import claim_file, is_json, is_listing
    from bench.catalog.catalog import load_catalog
    from bench.corpora.fetch import fetch

    claim_file(options.out, "the list of files", is_json(is_listing))
    entry = load_catalog().corpus(options.corpus)
    if entry.missing:
        raise BenchError(f"corpus {entry.name!r} cannot be had: {entry.missing}")
    paths = fetch(entry, mirror=options.mirror)
    write_json(options.out, {name: str(path) for name, path in paths.items()})
    files = f"{len(paths)} files verified" if paths else "made here, no file to fetch"
    print(f"{entry.name}: {files}; listed in {options.out}", file=sys.stderr)
    return 0


def prepare(options: Parsed) -> int:
    """A vocabulary and id tensors from the files of a corpus, verified now and fetched again where they are gone."""
    from bench.base.files import read_json
    from bench.catalog.catalog import load_catalog
    from bench.corpora.fetch import fetch
    from bench.corpora.prepare import prepare
    from bench.planning.resolve import text_rules

    catalog = load_catalog()
    rules = text_rules(catalog, options.paper, options.corpus, settings_of(options))
    entry, sources = catalog.corpus(options.corpus), read_json(options.sources)
    remedy = f"first: bench fetch {options.corpus} --out {options.sources}"
    if not isinstance(sources, dict) or not all(isinstance(path, str) for path in sources.values()):
        raise BenchError("not a mapping of files to paths", where=options.sources, remedy=remedy)
    if missing := [file.path for file in entry.files if file.path not in sources]:
        raise BenchError(f"no path of {', '.join(missing)}", where=options.sources, remedy=remedy)
    recorded = {name: Path(path) for name, path in sources.items()}
    prepare(entry, fetch(entry, mirror=options.mirror, recorded=recorded), rules, options.out)
    made = read_json(options.out / "corpus.json")
    sizes = ", ".join(f"{split} {size:,}" for split, size in made["sizes"].items())
    print(
        f"{entry.name}: {sizes} texts, {made['vocabulary_size']:,} words, in {options.out}", file=sys.stderr
    )
    return 0


def evaluator(options: Parsed) -> int:
    """A model that measures others, with its record; nothing is done where it is there."""
    from bench.base.errors import unknown
    from bench.base.outputs import EVALUATORS, claim
    from bench.catalog.catalog import load_catalog
    from bench.corpora.prepared import Prepared
    from bench.store.evaluators import RECORD, make_evaluator

    paper, corpus, name = [*options.evaluator.split("/"), "", ""][:3]
    declared = load_catalog().paper(paper).evaluators
    if name not in declared:
        raise unknown("evaluator", name, declared, where=f"paper {paper}")
    folder = claim(options.out, EVALUATORS) / paper / corpus / name
    make_evaluator(declared[name], Prepared.load(options.corpora / paper / corpus), folder)
    print(folder / RECORD)
    return 0
