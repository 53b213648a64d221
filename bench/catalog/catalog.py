"""The catalog: everything that is declared, in the package and in a user's own folders."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import ConfigDict

from bench.base.errors import BenchError, unknown
from bench.base.own import import_all, own_folders
from bench.base.settings import Model, Name
from bench.base.validation import read_yaml, validated
from bench.catalog.names import check_names
from bench.catalog.papers import FILE, Paper, paper_folders, read_paper, with_reported
from bench.catalog.quantities import Pair
from bench.catalog.questions import Question, read_questions
from bench.catalog.systems import FILE as SYSTEMS
from bench.catalog.systems import SHARED, Key, System, Systems, read_systems
from bench.catalog.tables import PrintedTable
from bench.catalog.tiers import Budget, PaperTier, Tier, Tiers, budget
from bench.catalog.unread import check_file_names
from bench.corpora.entries import load_corpora
from bench.corpora.entry import CorpusEntry

CATALOG = Path(__file__).parent
T = TypeVar("T")


class Catalog(Model):
    """Everything that is declared."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    __hash__, __eq__ = object.__hash__, object.__eq__  # what is worked out of a catalog is remembered for it

    systems: Systems
    papers: dict[Name, Paper]
    corpora: dict[Name, CorpusEntry]
    tiers: Tiers
    questions: dict[Name, Question]

    def paper(self, name: str) -> Paper:
        """The paper of that name. Raises :class:`BenchError`."""
        return _get(self.papers, "paper", name)

    def corpus(self, name: str) -> CorpusEntry:
        """The corpus of that name. Raises :class:`BenchError`, which names a folder here that declares it."""
        if name not in self.corpora and (found := sorted(Path().glob(f"*/corpora/{name}.yaml"))):
            folder = found[0].parents[1]
            remedy = f"name its folder: BENCH_CATALOG={folder}, or snakemake --config catalog={folder}"
            raise BenchError(
                f"the corpus {name!r} is in no catalog that was given", where=found[0], remedy=remedy
            )
        return _get(self.corpora, "corpus", name)

    def tier(self, name: str) -> Tier:
        """The tier of that name. Raises :class:`BenchError`."""
        return _get(self.tiers.tiers, "tier", name)

    def budget(self, tier: str, paper: str) -> Budget:
        """What a tier means for a paper. Raises :class:`BenchError` for unknown names."""
        return budget(self.tier(tier), self.paper(paper).tiers.get(tier, PaperTier()))

    def system(self, paper: str, name: str) -> System:
        """The system that a paper calls so. Raises :class:`BenchError`."""
        return self.systems.declared[self.systems.find(paper, name, f"paper {paper}")]

    def find_system(self, paper: str, name: str) -> System | None:
        """The system that a paper calls so, if the catalog knows it."""
        key = self.systems.known(paper).get(name)
        return None if key is None else self.systems.declared[key]

    def title(self, paper: str, name: str) -> str:
        """A system's title, or its name where the catalog does not know it."""
        declared = self.find_system(paper, name)
        return declared.title if declared else name

    def ancestry(self, paper: str, name: str) -> Sequence[Key]:
        """The system that a paper calls so and those it builds on, the oldest first."""
        return self.systems.ancestry(self.systems.find(paper, name, f"paper {paper}"))

    def missing(self, paper: str, name: str) -> str | None:
        """Why a system cannot be built, if it or one that it builds on cannot."""
        found = (self.systems.declared[key].missing for key in self.ancestry(paper, name))
        return next((reason for reason in found if reason), None)

    def readable(self, paper: str) -> list[str]:
        """The corpora of a paper but for those that this version cannot read."""
        return [name for name in self.paper(paper).corpora if not self.corpus(name).missing]

    def baseline(self, paper: str, name: str) -> str | None:
        """The system of the paper whose coupled twin ``name`` is, if it is one."""
        known = self.systems.known(paper)
        found = self.systems.baseline(known[name]) if name in known else None
        return found[1] if found is not None and found in known.values() else None

    def pairs(self, paper: str, table: PrintedTable) -> list[Pair]:
        """The pairs that a table compares: its own, else those of the paper that it prints both of.

        Where the paper names none, a pair is each baseline that has exactly one coupled twin in the table.
        """
        systems = dict.fromkeys(row.system for row in table.rows)
        declared = self.papers[paper].pairs if table.pairs is None else table.pairs
        if declared is not None:
            return [pair for pair in declared if set(pair) <= systems.keys()]
        twins = [(name, system) for system in systems if (name := self.baseline(paper, system)) in systems]
        baselines = [name for name, _ in twins]
        return [(name, system) for name, system in twins if name and baselines.count(name) == 1]

    def compared(self, paper: str) -> list[Pair]:
        """Every pair that a paper compares, and every coupled twin with its baseline."""
        declared = self.papers[paper]
        pairs = [*(declared.pairs or ()), *(pair for table in declared.tables for pair in table.pairs or ())]
        for name in self.systems.known(paper):
            if (baseline := self.baseline(paper, name)) is not None:
                pairs.append((baseline, name))
        return list(dict.fromkeys(pairs))


def _get(known: Mapping[str, T], noun: str, name: str) -> T:
    if name not in known:
        raise unknown(noun, name, known)
    return known[name]


def load_catalog() -> Catalog:
    """The package's catalog with a user's own folders, those that ``BENCH_CATALOG`` names (``:`` between them).

    A folder may hold ``systems.yaml``, ``questions.yaml``, ``corpora/*.yaml``, ``papers/*/`` and the Python files of
    :mod:`bench.base.own`. Raises :class:`BenchError` for a name that is declared twice, and for every mistake.
    """
    return _load(CATALOG, own_folders())


@functools.cache
def _load(package: Path, own: tuple[Path, ...]) -> Catalog:
    folders = (package, *own)
    for folder in own:
        check_file_names(folder)
    import_all("measures")  # whose metrics papers may name
    of_papers = [path for folder in folders for path in paper_folders(folder)]
    declaring = _declaring(of_papers)
    systems = read_systems(
        [*((SHARED, f / SYSTEMS) for f in folders), *((f.name, f / SYSTEMS) for f in of_papers)]
    )
    corpora = load_corpora(*(f / "corpora" for f in own if (f / "corpora").is_dir()))
    path = package / "tiers.yaml"
    tiers = validated(Tiers, read_yaml(path), path)
    papers: dict[str, Paper] = {}
    for folder in declaring:
        paper = read_paper(folder)
        check_names(paper, folder, systems.known(folder.name), corpora, tiers)
        papers[folder.name] = with_reported(paper, folder)
    questions = read_questions(folders, papers, systems)
    return Catalog.model_construct(
        systems=systems, papers=papers, corpora=corpora, tiers=tiers, questions=questions
    )


def _declaring(folders: Sequence[Path]) -> Sequence[Path]:
    """The folders that declare a paper; the others add systems to one of these."""
    declaring: dict[str, Path] = {}
    for folder in folders:
        if folder.name in declaring and (folder / FILE).exists():
            where = f"{declaring[folder.name]} and {folder}"
            raise BenchError(
                f"two papers are named {folder.name!r}", where=where, remedy="rename one of them"
            )
        if folder.name == SHARED:
            raise BenchError(f"no paper can be named {SHARED!r}", where=folder, remedy="rename it")
        if (folder / FILE).exists():
            declaring[folder.name] = folder
    for folder in folders:
        if folder.name not in declaring:
            raise unknown("paper", folder.name, declaring, where=folder)
    return list(declaring.values())
