"""What the overview and the pages of papers, systems and runs show, as plain values for their templates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.analysis import audits
from bench.analysis.age import ages
from bench.analysis.answers import answers
from bench.analysis.audits import Audited
from bench.analysis.compare import of_their_own
from bench.analysis.numbers import metric_name, significant, visible
from bench.analysis.pairs import Setting, paired
from bench.analysis.tables import TableView, table_view
from bench.analysis.verdict import DECIDED, ERROR, GROUPS, JUDGED, MEANINGS
from bench.catalog.tables import PrintedFigure, PrintedTexts
from bench.metrics.definitions import Kind
from bench.metrics.measures import kinds, on_list
from bench.planning.targets import audit_target
from bench.report import curves, describe, formulas, rundata
from bench.report.context import Group, Material, not_printed, slug
from bench.report.export import relative
from bench.store.provenance import code_version
from bench.store.records import RunRecord
from bench.store.shown import Shown

SAMPLES = 3  # of each system beside the others, as many as the paper prints
UNDONE = ("failed", "diverged", "damaged", "stale")


def index(material: Material) -> dict[str, Any]:
    """The overview: what was run, what failed, where each paper stands."""
    own = [run for run in material.records.runs if run.origin == "own"]
    published = [run for run in material.records.runs if run.origin == "published"]
    return {
        "plan": material.plan,
        "states": Counter(run.state for run in own),
        "own": own,
        "published": published,
        "ran": _ran(own),
        "ran_published": _ran(published),
        "undone": [(run, describe.again(material.catalog, run)) for run in own if run.state in UNDONE],
        "waiting": [run for run in own if run.state in ("running", "not evaluated", "not run")],
        "faulty": [run for run in material.records.runs if run.faults],
        "papers": [_standing(material, paper) for paper in material.papers],
        "known": material.known,
        "older": [(run, found) for run in material.records.runs if (found := ages(run))],
        "version": code_version(),
        "noise": material.noise,
    }


def _ran(runs: Sequence[RunRecord]) -> dict[str, Any]:
    """Devices, versions, dates and time of runs that ran; versions are those that trained or measured any."""
    sources = [dict(run.run.get("provenance") or {}) for run in runs]
    measured = [dict(run.evaluation.get("provenance") or {}) for run in runs]

    def distinct(key: str, of: Sequence[Mapping[str, Any]] = sources) -> list[str]:
        return sorted({str(source[key]) for source in of if source.get(key)})

    seconds = [float((run.run.get("cost") or {}).get("seconds") or 0) for run in runs]
    return {
        "devices": distinct("device"),
        "versions": distinct("code_version", [*sources, *measured]),
        "dirty": any(source.get("dirty") for source in [*sources, *measured]),
        "started": min(distinct("started"), default=None),
        "finished": max(distinct("finished"), default=None),
        "seconds": sum(seconds),
        "tiers": sorted({run.parts[0] for run in runs}),
        "corpora": list(dict.fromkeys(run.parts[2] for run in runs)),
        "seeds": sorted({run.seed for run in runs}),
    }


def _standing(material: Material, name: str) -> dict[str, Any]:
    """The verdicts of a paper's printed cells, table by table and corpus by corpus."""
    paper = material.catalog.paper(name)
    views = _printed(material, name)
    lines = []
    for view in (view for view in views if view.counts):  # a table of ours alone has nothing to stand beside
        for corpus in view.corpora:
            cells = [c[0] for row in view.rows for c in row.cells if c[0].corpus == corpus]
            lines.append((view, corpus, [c for c in cells if c.reported is not None]))
    totals: Counter[str] = Counter()
    for view in views:
        totals.update(view.counts)
    judged = [cell for _, _, cells in lines for cell in cells if cell.verdict in JUDGED]
    return {
        "name": name,
        "paper": paper,
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
        "answers": answers(material.claims[name]),
        "elsewhere": [found for setting, found in material.elsewhere.items() if setting[2] == name],
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
    """A paper's page: its tables, the same systems elsewhere, claims, audits, paired differences, figures."""
    declared = material.catalog.paper(name)
    own = [setting for setting in material.settings if setting[0] == "own" and setting[2] == name]
    return {
        "name": name,
        "paper": declared,
        "printed": _printed(material, name),
        "elsewhere": [found for setting, found in material.elsewhere.items() if setting[2] == name],
        "pairs": [(s, pairs) for s, p in material.of_paper(name).items() if (pairs := paired(p))],
        "ledger": ledger(material, name),
        "audits": material.audits[name],
        "figures": _figures(material, name),
        "texts": [_side_by_side(material, name, texts) for texts in declared.texts],
        "printed_first": not own or any(not not_printed(material, s, name) for s in own),
    }


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
        alike.setdefault((figure.systems, figure.beside, figure.panels, figure.histograms), []).append(figure)
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
        shown = {system: _shown(runs).get(texts.shows) for system, runs in groups.items()}
        if any(one and one.rows for one in shown.values()):
            parts.append({"setting": setting, "blocks": _blocks(shown)})
    return {
        "declared": texts,
        "parts": parts,
        "command": f"snakemake --cores 4 {name}_{texts.id} --config tier=paper",
    }


def _shown(runs: Sequence[RunRecord]) -> dict[str, Shown]:
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


def system(material: Material, group: Group, runs: Sequence[RunRecord]) -> dict[str, Any]:
    """A system's page: what it is, every number, curves, texts, cost."""
    name = group[4]
    settings = runs[0].settings
    return {
        "group": group,
        "runs": runs,
        "declared": material.catalog.find_system(group[2], name),
        "title": material.title(group[2], name),
        "baseline": material.catalog.baseline(group[2], name),
        "objective": formulas.objective(settings) if settings else None,
        "parts": describe.parts(settings) if settings else [],
        "numbers": numbers(material, group[2], runs),
        "across": across(material, group[2], name),
        "choices": [run_slug(run) for run in rundata.choices(runs)],
        "figures": curves.system_figures(slug(group), runs),
        "texts": [(kind, one) for kind, one in _kinds_of(_shown(runs))],
    }


def _kinds_of(shown: Mapping[str, Shown]) -> list[tuple[Kind, Shown]]:
    """Shown texts with how their kind is presented; a kind that this version does not know is named as it is."""
    known = kinds()
    order = [*known, *(name for name in shown if name not in known)]
    return [(known.get(name, Kind(name, name)), shown[name]) for name in order if name in shown]


def across(material: Material, paper: str, system: str) -> dict[str, Any]:
    """How a system does wherever it was run: means over seeds of the quantities that a reader looks for."""
    lines: list[dict[str, Any]] = []
    looked_for = on_list("overview")
    for group in sorted(material.groups, key=lambda g: material.cost(g[:4])):
        if not _same(material, (paper, system), (group[2], group[4])):
            continue
        runs = [run for run in material.groups[group] if run.state == "finished"]
        found: dict[str, str] = {}
        for row in numbers(material, group[2], runs):
            values = [m.value for m in row["values"].values() if m.value is not None]
            if row["first"].main and row["first"].metric in looked_for and values:
                found.setdefault(row["first"].metric, row["text"](sum(values) / len(values)))
        if found:
            lines.append({"group": group, "seeds": len(runs), "found": found})
    known = {metric for line in lines for metric in line["found"]}
    return {"metrics": [metric for metric in looked_for if metric in known], "lines": lines}


def _same(material: Material, one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Whether two papers call the same system by these names."""
    known = material.catalog.systems.known
    return other[0] in material.catalog.papers and (
        one == other or (one[1] == other[1] and known(one[0]).get(one[1]) == known(other[0]).get(other[1]))
    )


def run_slug(run: RunRecord) -> str:
    """The name of a run in addresses."""
    return f"{slug(run.group)}-seed{run.seed}"


def compare_runs(material: Material) -> dict[str, Any]:
    """The page on which a reader chooses runs to compare: those that there are, by setting."""
    found: dict[Setting, list[tuple[str, str]]] = {}
    for run in rundata.choices(material.records.runs):
        entry = (run_slug(run), f"{material.title(run.parts[1], run.parts[3])}, seed {run.seed}")
        found.setdefault(run.group[:4], []).append(entry)
    known = sorted((s for s in found if s[2] in material.catalog.papers), key=material.cost)
    settings = [*known, *(s for s in found if s not in known)]
    return {"choices": [(setting, found[setting]) for setting in settings]}


def numbers(material: Material, paper_name: str, runs: Sequence[RunRecord]) -> list[dict[str, Any]]:
    """Every measurement by metric and estimator, one value per seed."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for run in runs:
        for found in run.measurements:
            row = rows.setdefault((found.name, found.estimator), {"first": found, "values": {}})
            row["values"][run.seed] = found
    known_paper = material.catalog.papers.get(paper_name)
    quantities = known_paper.quantities if known_paper else {}
    for row in rows.values():
        metric = row["first"].metric
        known = metric in quantities and row["first"].unit != "ratio"
        decimals = quantities[metric].decimals + 1 if known else None
        row["name"] = metric_name(row["first"].name)
        row["text"] = lambda v, d=decimals: significant(v) if d is None else visible(v, d)
    order = list(dict.fromkeys(name for name, _ in rows))
    return sorted(rows.values(), key=lambda row: order.index(row["first"].name))
