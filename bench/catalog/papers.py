"""A paper: a folder with its protocol, its systems, what it prints, and what is asked of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, RootModel

from bench.base.errors import BenchError
from bench.base.settings import EvaluatorField, Model, Name
from bench.base.validation import read_yaml, validated
from bench.catalog.audits import Audit, Audits
from bench.catalog.claims import Claim, Claims
from bench.catalog.reported import PrintedNumber, read_reported
from bench.catalog.tables import Printed
from bench.catalog.tiers import PaperTier, PaperTiers

FILE, TABLES, BIBTEX = "paper.yaml", "tables.yaml", "paper.bib"


class StandIn(Model):
    """A corpus in place of another: it has the differences of that one, and ``scale`` times its schedules."""

    of: Name
    scale: float = Field(gt=0, le=1)


class Protocol(Model):
    """The content of a ``paper.yaml``: the paper's title and authors, and what it holds fixed for all systems."""

    title: str
    short: str
    authors: str
    year: int
    venue: str
    corpora: tuple[Name, ...]
    protocol: dict[str, Any]
    by_corpus: dict[Name, dict[str, Any]] = Field(default_factory=dict)
    by_system: dict[Name, dict[str, Any]] = Field(default_factory=dict)
    stand_ins: dict[Name, StandIn] = Field(default_factory=dict)
    evaluators: dict[Name, EvaluatorField] = Field(
        default_factory=dict,
        description="models that measure others, by the names under which measures need them",
    )

    def differences(self, corpus: str) -> tuple[str, ...]:
        """The corpora whose differences hold for ``corpus``, itself last."""
        stand_in = self.stand_ins.get(corpus)
        return (stand_in.of, corpus) if stand_in else (corpus,)


class Paper(Protocol, Printed):
    """A paper with all of its files."""

    audits: dict[Name, Audit] = Field(default_factory=dict)
    claims: dict[Name, Claim] = Field(default_factory=dict)
    tiers: dict[Name, PaperTier] = Field(default_factory=dict)
    reported: tuple[PrintedNumber, ...] = ()
    bibtex: str = ""

    @property
    def reference_system(self) -> str:
        """The system that others are held against."""
        rows = self.tables[0].rows
        return self.reference or next((row.system for row in rows if not row.of_corpus), rows[0].system)


OPTIONAL: dict[str, type[RootModel[Any]]] = {"audits": Audits, "claims": Claims, "tiers": PaperTiers}


def read_paper(folder: Path) -> Paper:
    """The paper in a folder, but for its printed numbers. Raises :class:`BenchError` for a missing or wrong file.

    Names of systems, corpora, tables and tiers are not checked here, see :mod:`bench.catalog.names`.
    """
    parts = dict(validated(Protocol, _protocol(folder / FILE), folder / FILE))
    parts |= dict(validated(Printed, read_yaml(folder / TABLES), folder / TABLES))
    for key, model in OPTIONAL.items():
        path = folder / f"{key}.yaml"
        parts[key] = validated(model, read_yaml(path), path).root if path.exists() else {}
    return Paper.model_construct(**parts, bibtex=_bibtex(folder / BIBTEX))


def _protocol(path: Path) -> dict[str, Any]:
    content = read_yaml(path)
    if "citation" in content:
        what = f"citation: {str(content['citation'])[:80]!r}, which is no key any more"
        raise BenchError(what, where=path, remedy=f"put the entry as BibTeX into {BIBTEX} beside it")
    return content


def _bibtex(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise BenchError(f"cannot read this file: {error}", where=path) from error


def with_reported(paper: Paper, folder: Path) -> Paper:
    """The paper with its printed numbers. Raises :class:`BenchError`, see :func:`read_reported`."""
    return paper.model_copy(update={"reported": read_reported(folder / "reported.csv", paper)})


def paper_folders(catalog: Path) -> list[Path]:
    """The folders of papers in a catalog folder.

    A folder that holds a ``systems.yaml`` alone adds systems to a paper of another catalog folder. Raises
    :class:`BenchError` for one that holds neither this nor a ``paper.yaml``.
    """
    found = sorted(path for path in catalog.glob("papers/*") if path.is_dir() and path.name[0] not in "._")
    for folder in found:
        if not (folder / FILE).exists() and not (folder / "systems.yaml").exists():
            raise BenchError(f"a paper without {FILE}", where=folder, allowed=[FILE, TABLES, "reported.csv"])
    return found
