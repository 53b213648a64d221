"""Commands that make a corpus: ``fetch`` and ``prepare``."""

from __future__ import annotations

from pathlib import Path

from bench.base.errors import BenchError
from bench.cli.options import Commands, Parsed, add_mirror, add_settings, settings_of


def add_commands(commands: Commands) -> None:
    """Add ``fetch`` and ``prepare``."""
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
    add_settings(parser)


def fetch(options: Parsed) -> int:
    """Verified files of a corpus, and a JSON file that says where they lie."""
    from bench.base.files import write_json
    from bench.base.outputs import claim_file, is_json, is_listing
    from bench.catalog.catalog import load_catalog
    from bench.corpora.fetch import fetch

    claim_file(options.out, "the list of files", is_json(is_listing))
    paths = fetch(load_catalog().corpus(options.corpus), mirror=options.mirror)
    write_json(options.out, {name: str(path) for name, path in paths.items()})
    return 0


def prepare(options: Parsed) -> int:
    """A vocabulary and id tensors from the files of a corpus."""
    from bench.base.files import read_json
    from bench.catalog.catalog import load_catalog
    from bench.corpora.prepare import prepare
    from bench.planning.resolve import text_rules

    catalog = load_catalog()
    rules = text_rules(catalog, options.paper, options.corpus, settings_of(options))
    sources = read_json(options.sources)
    if not isinstance(sources, dict) or not all(isinstance(path, str) for path in sources.values()):
        remedy = f"first: bench fetch {options.corpus}"
        raise BenchError("not a mapping of files to paths", where=options.sources, remedy=remedy)
    paths = {name: Path(path) for name, path in sources.items()}
    prepare(catalog.corpus(options.corpus), paths, rules, options.out)
    return 0
