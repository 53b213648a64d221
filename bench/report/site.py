"""The static site: pages from templates, figures and tables as files, put in place once all are written."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import ChainableUndefined, Environment, PackageLoader, Undefined
from markupsafe import Markup

from bench.analysis import audits, claims, findings, numbers, shapes
from bench.analysis.questions import Answered
from bench.analysis.statistics import RESAMPLES
from bench.analysis.tables import CLAIM_SIGNS, SIGNS, TableView, legend
from bench.analysis.verdict import GROUPS
from bench.base.errors import BenchError
from bench.base.files import write_text
from bench.base.outputs import REPORT, SUMMARY, renewing
from bench.base.parallel import Task, run_all
from bench.catalog.catalog import Catalog
from bench.planning.plan import Plan
from bench.report import marked, pages, papers, questions, reference, rundata
from bench.report.context import Group, Material, gather, slug
from bench.report.data import write_data
from bench.report.export import write_cells, write_rows
from bench.report.figures import Picture, variables
from bench.report.latex import latex_table
from bench.report.summary import summary
from bench.store.records import RunRecord

BIBTEX = Path("data/papers.bib")
FILES = Path("files")  # copies of what the pages link of the results folder
COPIED = 2**19  # bytes; of a larger file the pages name the path alone
ASSETS = Path(__file__).parent / "assets"


def build_report(
    results: Path, out: Path, catalog: Catalog, plan: Plan, *, partial: bool = False, workers: int = 1
) -> Path:
    """Build the report of ``results`` into ``out``; returns its ``index.html``.

    It shows the runs of ``plan`` and all others that are current. No link leads out of the folder.

    A build that fails or is killed leaves the old report, and what is not ours stays in any case: see
    :func:`renewing`. ``partial`` marks a report made after a failure; ``workers`` processes draw the pages. Raises
    :class:`BenchError` when there is no results folder, when ``out`` holds it or something else that is not ours, and
    when it cannot be written.
    """
    results, out = Path(results), Path(out)
    if not results.is_dir():
        raise BenchError(
            "results folder not found", where=results, remedy="run something first, or name another"
        )
    if Path(os.path.realpath(results)).is_relative_to(os.path.realpath(out)):
        raise BenchError(
            "this folder holds the results", where=out, remedy="name a folder for the report alone"
        )
    with renewing(out, REPORT) as site:
        Site(gather(catalog, plan, results, partial=partial), site).build(workers)
    return out / "index.html"


def exports(csv: str) -> dict[str, str]:
    """The files beside a table, by format."""
    stem = csv.removesuffix(".csv")
    return {"CSV": csv, "JSON": f"{stem}.json", "LaTeX": f"{stem}.tex", "BibTeX": BIBTEX.as_posix()}


def _known(filter_: Callable[..., str]) -> Callable[..., str]:
    """The filter, told None for what a file does not hold."""

    def tolerant(value: Any, *arguments: Any, **options: Any) -> str:
        return filter_(None if isinstance(value, Undefined) else value, *arguments, **options)

    return tolerant


class Site:
    """Writes the pages of one report into ``folder``, with a copy of each small file that they link."""

    def __init__(self, material: Material, folder: Path) -> None:
        self.material, self.folder = material, folder
        self.environment = Environment(
            loader=PackageLoader("bench.report"),
            autoescape=True,
            undefined=ChainableUndefined,  # a fact that a file lacks is shown as not known
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.environment.filters |= {
            "fixed": _known(numbers.fixed),
            "visible": _known(numbers.visible),
            "significant": _known(numbers.significant),
            "count": _known(numbers.count),
            "duration": _known(numbers.duration),
            "metric": numbers.metric_name,
            "sentence": numbers.sentence,
            "setting": numbers.setting,
            "folded": marked.folded,
        }
        self.environment.globals |= {
            "signs": {str(word): sign for signs in (SIGNS, CLAIM_SIGNS) for word, sign in signs.items()},
            "legend": legend,
            "claim_meanings": findings.MEANINGS,
            "tolerance": shapes.TOLERANCE,
            "resamples": RESAMPLES,
            "slug": slug,
            "definition": reference.definition,
            "marked": marked.marked,
            "provenance_of": lambda run: f"{reference.provenance_page(run.group)}#{run.origin}-{run.name}",
            "exports": exports,
            "groups": GROUPS,
        }

    def build(self, workers: int = 1) -> None:
        """Write everything; pages are drawn by ``workers`` processes."""
        self._assets()
        self.files()
        write_text(self.folder / SUMMARY, summary(self.material))
        run_all([*self._pages()], workers)

    def _pages(self) -> Iterator[Task]:
        """What writes each page, those that take longest first."""
        material = self.material
        for name in material.papers:
            yield functools.partial(self._paper, name)
        yield self._compare
        for group, runs in material.groups.items():
            yield functools.partial(self._system, group, runs)
        for found in material.questions:
            yield functools.partial(self._question, found)
        yield self._reference
        yield lambda: self._page("index.html", "index.html.j2", pages.index(material))

    def _system(self, group: Group, runs: Sequence[RunRecord]) -> None:
        context = pages.system(self.material, group, runs)
        self._page(f"systems/{slug(group)}.html", "system.html.j2", context)

    def _reference(self) -> None:
        """The lists of systems and corpora, a page for each corpus, the methods, the origin of all numbers."""
        material = self.material
        for record, context in reference.corpora(material):
            self._page(f"corpora/{record.paper}-{record.corpus}.html", "corpus.html.j2", context)
        self._page("systems.html", "systems.html.j2", reference.all_systems(material))
        self._page("corpora.html", "corpora.html.j2", {"corpora": list(material.corpora.values())})
        self._page("methods.html", "methods.html.j2", reference.methods(material))
        self._page("provenance.html", "provenance.html.j2", reference.provenance(material))
        for group, context in reference.origins(material):
            self._page(reference.provenance_page(group), "origin.html.j2", context)

    def files(self) -> None:
        """Write what stands beside the pages for other programs: tables, claims, all data, the papers."""
        material = self.material
        for view in papers.tables(material):
            self._table(view)
        for paper in material.papers:
            ledger = papers.ledger(material, paper)
            rows, path = claims.rows_of(material.claims[paper]), self.folder / ledger["csv"]
            write_rows(rows, path, material.results, claims.COLUMNS)
        write_data(material, self.folder)
        entries = (material.catalog.papers[name].bibtex for name in material.papers)
        write_text(self.folder / BIBTEX, "\n".join(filter(None, entries)))

    def _compare(self) -> None:
        """The compare page, with a script of data for each run and for each corpus whose texts may be shown."""
        material = self.material
        for run in rundata.choices(material.records.runs):
            name, title = pages.run_slug(run), material.title(run.parts[1], run.parts[3])
            data = rundata.run_data(run, title)
            write_text(self.folder / "compare" / f"{name}.js", rundata.script("benchRun", name, data))
        shown = []
        for record in material.records.corpora:
            texts = rundata.shown_texts(record)
            if texts is not None:
                name = str(record.summary["data_hash"])[:12]
                write_text(
                    self.folder / "compare" / f"texts-{name}.js", rundata.script("benchTexts", name, texts)
                )
                shown.append(name)
        self._page("compare.html", "compare.html.j2", pages.compare_runs(material) | {"shown": shown})

    def _assets(self) -> None:
        style = (ASSETS / "style.css").read_text(encoding="utf-8")
        write_text(self.folder / "assets" / "style.css", f"{variables()}\n{style}")
        for name in ("script.js", "compare.js"):
            shutil.copyfile(ASSETS / name, self.folder / "assets" / name)

    def _paper(self, name: str) -> None:
        """A paper's first page, and one for each table, each other corpus, and each kind of finding."""
        context, below = papers.paper(self.material, name), f"papers/{name}"
        self._page(f"{below}.html", "paper.html.j2", context)
        for view in context["printed"]:
            self._page(f"{below}/{view.id}.html", "table.html.j2", context | {"view": view})
        for found in context["elsewhere"]:
            address = f"{below}/{slug(found['setting'])}.html"
            self._page(address, "elsewhere.html.j2", context | {"found": found})
        for part in ("texts", "audits", "pairs", "figures"):
            if context[part]:
                self._page(f"{below}/{part}.html", f"{part}.html.j2", context)
        self._page(f"{below}/claims.html", "claims.html.j2", context)
        tests = reference.statistics(self.material, name)
        self._page(f"{below}/statistics.html", "statistics.html.j2", context | tests)
        for audited in self.material.audits[name]:
            self._audit(context, audited)

    def _table(self, view: TableView) -> None:
        """The files beside a table: the same cells as CSV, JSON and LaTeX."""
        path = self.folder / view.csv
        write_cells(view.cells, path, self.material.results)
        titles = {corpus: self.material.corpus_title(corpus) for corpus in view.corpora}
        write_text(path.with_suffix(".tex"), latex_table(view, titles))

    def _audit(self, of_paper: Mapping[str, Any], found: audits.Audited) -> None:
        name = of_paper["name"]
        context = {**of_paper, **papers.audit(self.material, name, found)}
        for path, rows in context["csv"].items():
            write_rows(rows, self.folder / path, self.material.results)
        self._page(f"papers/{name}/audit-{found.key}.html", "audit.html.j2", context)

    def _question(self, found: Answered) -> None:
        context = questions.question(self.material, found)
        for path, rows in context["csv"].items():
            write_rows(rows, self.folder / path, self.material.results)
        self._page(questions.path_of(found.key), "question.html.j2", context)

    def _page(self, path: str, template: str, context: Mapping[str, Any]) -> None:
        """Render one page; the figures that it shows are written as files too."""
        here = Path(path).parent
        root = os.path.relpath(".", here) + "/" if str(here) != "." else ""

        def figure(picture: Picture) -> Markup:
            write_text(self.folder / "figures" / f"{picture.name}.svg", picture.standalone())
            return Markup(picture.svg)

        text = self.environment.get_template(template).render(
            **context,
            material=self.material,
            root=root,
            page=path,
            figure=figure,
            source=lambda file: self._copy(Path(file), here),
            system_page=self._system_page,
            corpus_page=self._corpus_page,
        )
        write_text(self.folder / path, text)

    def _copy(self, file: Path, here: Path) -> str | None:
        """The address, as seen from a page, of the report's copy of a file of the results folder; None if too large."""
        results = self.material.results
        if not file.is_relative_to(results) or not file.is_file() or file.stat().st_size > COPIED:
            return None
        copy = FILES / file.relative_to(results)
        if not (self.folder / copy).exists():
            (self.folder / copy).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, self.folder / copy)
        return quote(os.path.relpath(copy, here))

    def _system_page(self, *group: str) -> str | None:
        """The page of (origin, tier, paper, corpus, system), if it has one."""
        known: Sequence[Group] = list(self.material.groups)
        return f"systems/{slug(group)}.html" if group in known else None

    def _corpus_page(self, paper: str, corpus: str) -> str | None:
        """The page of a corpus under a paper's protocol, if it has one."""
        known = (paper, corpus) in self.material.corpora
        return f"corpora/{paper}-{corpus}.html" if known else None
