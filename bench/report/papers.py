"""What the pages of a paper show: its tables, the same systems elsewhere, claims, audits, figures and texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.analysis import audits
from bench.analysis.answers import answers
from bench.analysis.audits import Audited
from bench.analysis.cells import of_their_own
from bench.analysis.pairs import paired
from bench.analysis.tables import TableView, table_view
from bench.analysis.verdict import DECIDED, ERROR, GROUPS, JUDGED, MEANINGS
from bench.catalog.tables import PrintedFigure, PrintedTexts
from bench.planning.targets import audit_target
from bench.report import curves
from bench.report.budgets import steps_of
from bench.report.context import Material, slug
from bench.report.export import relative
from bench.store.records import RunRecord
from bench.store.shown import Shown

SAMPLES = 3  # of each system beside the others, as many as the paper prints


def standing(material: Material, name: str) -> dict[str, Any]:
    """The verdicts of a paper's printed cells by table and corpus; corpora without runs are one line."""
    paper = material.catalog.paper(name)
    views = _printed(material, name)
    lines = []
    for view in (view for view in views if view.counts):  # a table of ours alone has nothing to stand beside
        groups = [(part, [corpus]) for part in view.parts if not part.idle for corpus in part.corpora]
        groups += [(part, part.corpora) for part in view.parts if part.idle]
        for part, corpora in groups:
            cells = [c[0] for row in part.rows for c in row.cells if c[0].corpus in corpora]
            lines.append((view, corpora, [c for c in cells if c.reported is not None]))
    totals: Counter[str] = Counter()
    for view in views:
        totals.update(view.counts)
    judged = [cell for _, _, cells in lines for cell in cells if cell.verdict in JUDGED]
    return {
        "name": name,
        "paper": paper,
        "views": views,
        "lines": lines,
        "judged": len(judged),
        "own": of_their_own(judged),
        "wrong": ERROR * of_their_own([cell for cell in judged if cell.verdict in DECIDED]),
        "error": 100 * ERROR,
        "totals": {word: totals[word] for word in MEANINGS if totals[word]},
        "counts": {name: sum(totals[word] for word in words) for name, words in GROUPS.items()},
        "printed": sum(totals.values()),
        "measured": sum(
            c[0].measured is not None and c[0].reported is not None
            for view in views
            for row in view.rows
            for c in row.cells
        ),
        "ledger": ledger(material, name),
        "answers": [(a, steps_of(material, a.source, name)) for a in answers(material.claims[name])],
    }


def _printed(material: Material, paper: str) -> list[TableView]:
    declared = material.catalog.paper(paper)
    cells = material.comparisons[paper]
    return [
        table_view(declared, table, cells, f"tables/{paper}-{table.id}.csv", printed=True)
        for table in declared.tables
    ]


def tables(material: Material) -> Iterator[TableView]:
    """Every table: the printed ones, and those on other corpora."""
    for name in material.papers:
        yield from _printed(material, name)
    for found in material.elsewhere.values():
        yield from found["views"]


def paper(material: Material, name: str) -> dict[str, Any]:
    """A paper's pages: its tables, the same systems elsewhere, claims, audits, paired differences, figures, texts."""
    declared, stands = material.catalog.paper(name), standing(material, name)
    context: dict[str, Any] = {
        "name": name,
        "paper": declared,
        "standing": stands,
        "printed": stands["views"],
        "elsewhere": [found for setting, found in material.elsewhere.items() if setting[2] == name],
        "pairs": [(s, pairs) for s, p in material.of_paper(name).items() if (pairs := paired(p))],
        "ledger": stands["ledger"],
        "audits": material.audits[name],
        "figures": _figures(material, name),
        "texts": [_side_by_side(material, name, texts) for texts in declared.texts],
    }
    return context | {"sections": list(_sections(material, name, context))}


def _sections(material: Material, name: str, context: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Address and title of each page of a paper."""
    below = f"papers/{name}"
    yield f"{below}.html", "What was found"
    shared = Counter(_short(view) for view in context["printed"])
    for view in context["printed"]:
        yield f"{below}/{view.id}.html", view.heading if shared[_short(view)] > 1 else _short(view)
    for found in context["elsewhere"]:
        origin, tier, _, corpus = found["setting"]
        whose = tier if origin == "own" else f"{tier}, {origin}"
        where = f"{material.corpus_title(corpus)} ({whose})"
        yield f"{below}/{slug(found['setting'])}.html", f"Measured on {where}"
    yield f"{below}/claims.html", "Claims"
    titles = {"audits": "Audits", "pairs": "Baseline and twin", "figures": "Figures", "texts": "Texts"}
    yield from ((f"{below}/{part}.html", title) for part, title in titles.items() if context[part])
    yield f"{below}/statistics.html", "Over all systems and corpora"


def _short(view: TableView) -> str:
    """``Table 2``: what a paper may print in parts, on several corpora."""
    return view.heading.split(".")[0]


def ledger(material: Material, name: str) -> dict[str, Any]:
    """The claims of a paper, and the sources that judge any of them, the most expensive first."""
    judged = material.claims[name]
    sources = dict.fromkeys((s[0], s[1]) for s in material.of_paper(name))
    of_claim = {claim.key: {ruling.source: ruling for ruling in claim.rulings} for claim in judged}
    speaking = [source for source in sources if any(source in rulings for rulings in of_claim.values())]
    return {
        "claims": judged,
        "sources": speaking,
        "rulings": of_claim,
        "counts": {
            source: Counter(r[source].word if source in r else "not run" for r in of_claim.values())
            for source in speaking
        },
        "csv": f"tables/{name}-claims.csv",
    }


def audit(material: Material, name: str, found: Audited) -> dict[str, Any]:
    """The page of one audit; ``csv`` holds the rows of its files."""
    files = {"differences": list(audits.differences_of(found)), "values": list(audits.values_of(found))}
    return {
        "name": name,
        "paper": material.catalog.paper(name),
        "found": found,
        "command_line": f"snakemake --cores 4 {audit_target(name, found.key)} --config tier=paper seeds=0,1,2",
        "evidence": [(f, relative(f, material.results)) for group in found.groups for f in group.files],
        "csv": {f"tables/{name}-audit-{found.key}-{what}.csv": rows for what, rows in files.items() if rows},
    }


def _figures(material: Material, name: str) -> list[dict[str, Any]]:
    """The printed figures of curves and histograms, those of the same systems and panels together."""
    alike: dict[tuple[Any, ...], list[PrintedFigure]] = {}
    for figure in material.catalog.paper(name).figures:
        drawn = (figure.systems, figure.beside, figure.panels, figure.histograms, tuple(figure.bars.items()))
        alike.setdefault(drawn, []).append(figure)
    return [_figure(material, name, figures) for figures in alike.values()]


def _figure(material: Material, name: str, figures: Sequence[PrintedFigure]) -> dict[str, Any]:
    first, drawn = figures[0], []
    for setting in sorted((s for s in material.settings if s[2] == name), key=material.cost):
        runs = {s: material.groups.get((*setting, s), []) for s in (*first.systems, *first.beside)}
        named = {material.title(name, system): found for system, found in runs.items()}
        stem = f"{slug(setting)}-{first.id}"
        panels = curves.panel_figures(stem, named, first.panels)
        for histogram in first.histograms:
            panels += curves.HISTOGRAMS[histogram](stem, named)
        if first.bars:
            panels += curves.bar_figures(stem, named, first.bars, first.title)
        if panels:
            drawn.append(
                {
                    "setting": setting,
                    "printed": [figure.printed for figure in figures if setting[3] in figure.corpora],
                    "lacks": [material.title(name, system) for system in first.systems if not runs[system]],
                    "panels": panels,
                    "more": curves.overlaid_figures(f"{stem}-more", named) if first.panels else [],
                }
            )
    ran = {part["setting"][3] for part in drawn}
    lacking = {f.printed: [c for c in f.corpora if c not in ran] for f in figures}
    return {
        "ids": [figure.id for figure in figures],
        "heading": f"{' and '.join(figure.printed for figure in figures)}. {first.title}",
        "drawn": drawn,
        "lacking": {printed: corpora for printed, corpora in lacking.items() if corpora},
        "commands": [f"snakemake --cores 4 {name}_{figure.id} --config tier=paper" for figure in figures],
    }


def _side_by_side(material: Material, name: str, texts: PrintedTexts) -> dict[str, Any]:
    """A printed table of texts: what each system decoded, in each setting that has any."""
    parts = []
    for setting in material.of_paper(name):
        groups = {system: material.groups.get((*setting, system), []) for system in texts.systems}
        shown = {system: shown_texts(runs).get(texts.shows) for system, runs in groups.items()}
        if any(one and one.rows for one in shown.values()):
            parts.append({"setting": setting, "blocks": _blocks(shown)})
    return {
        "declared": texts,
        "parts": parts,
        "command": f"snakemake --cores 4 {name}_{texts.id} --config tier=paper",
    }


def shown_texts(runs: Sequence[RunRecord]) -> dict[str, Shown]:
    """The shown texts of the first run that has any, by kind."""
    return next((run.shown for run in runs if run.shown), {})


def _blocks(shown: Mapping[str, Shown | None]) -> list[dict[str, Any]]:
    """Rows of one text per system (None where there is none).

    One block where a text stands alone, else one for each row of shown texts, under its sentences of the corpus.
    """
    found = {system: [] if one is None else one.rows for system, one in shown.items()}
    known = next(one for one in shown.values() if one and one.rows)
    if len(known.names("decoded")) == 1 and not known.names("corpus"):
        texts = {
            system: [cell for row in one.rows for cell in one.cells(row, "decoded")] if one else []
            for system, one in shown.items()
        }
        return [{"ends": None, "rows": _rows(texts, SAMPLES)}]
    blocks = []
    for index in range(max(map(len, found.values()))):
        steps = {
            system: one.cells(one.rows[index], "decoded") if one and index < len(one.rows) else []
            for system, one in shown.items()
        }
        first = next(one for one in shown.values() if one and index < len(one.rows))
        ends = dict(zip(first.names("corpus"), first.cells(first.rows[index], "corpus"), strict=True))
        blocks.append({"ends": ends, "rows": _rows(steps, max(map(len, steps.values())))})
    return blocks


def _rows(columns: Mapping[str, list[Any]], count: int) -> list[list[Any]]:
    return [
        [column[row] if row < len(column) else None for column in columns.values()] for row in range(count)
    ]
