"""What each page of the site shows, as plain values for its template."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas

from bench.corpora.entry import SAID
from bench.declarations import Catalog, Figure, Texts
from bench.metrics.definitions import DEFINITIONS
from bench.plan import Plan
from bench.provenance import code_version
from bench.report import audits, claims, curves, describe, estimators, rundata
from bench.report.age import ages
from bench.report.aggregate import Aggregates, aggregates
from bench.report.audits import Audited
from bench.report.changes import flat
from bench.report.compare import EXCESS, PAPER_TIER, compare, measured_elsewhere
from bench.report.export import relative
from bench.report.figures import SERIES, Line, Picture, dot_figure, line_figure
from bench.report.noise import Noise, noise_of
from bench.report.numbers import MINUS, metric_name, significant, visible
from bench.report.pairs import Pairing, Setting, paired
from bench.report.records import CorpusRecord, Records, RunRecord
from bench.report.signs import sign_tests
from bench.report.statistics import mean_interval
from bench.report.tables import TableView, table_view
from bench.report.verdict import GROUPS, MEANINGS
from bench.scopes import audit_target

Group = tuple[str, str, str, str, str]  # origin, tier, paper, corpus, system
# What a reader looks for first, in this order
ACROSS = ("nll", "ppl", "excess_nll", "reconstruction", "kl", "mi", "active_units", "bleu1", "bleu2", "dist2")
SAMPLES = 3  # of each system beside the others, as many as the paper prints
ATTRIBUTE = "attribute_information"  # metrics ``attribute_information:<name>``, on generated corpora
SIGNED = (
    "nll",
    "ppl",
    "kl",
    "mi",
    "bleu1",
    "dist2",
)  # what twins and baselines are tested on, system by system
UNDONE = ("failed", "diverged", "damaged", "stale")


@dataclass(frozen=True)
class Material:
    """All that the report is made of."""

    catalog: Catalog
    plan: Plan
    records: Records
    results: Path
    partial: bool

    @cached_property
    def groups(self) -> dict[Group, list[RunRecord]]:
        """Runs that left something to show, by what their seeds share."""
        found: dict[Group, list[RunRecord]] = {}
        for run in self.records.runs:
            if run.run and run.state != "stale":
                found.setdefault(run.group, []).append(run)
        return found

    @cached_property
    def attempts(self) -> dict[Group, list[RunRecord]]:
        """All runs, those that left nothing too, by what their seeds share."""
        found: dict[Group, list[RunRecord]] = {}
        for run in self.records.runs:
            found.setdefault(run.group, []).append(run)
        return found

    @cached_property
    def settings(self) -> list[Setting]:
        """(origin, tier, paper, corpus) of which there are runs, planned or published."""
        return list(dict.fromkeys(run.group[:4] for run in self.records.runs))

    @cached_property
    def papers(self) -> list[str]:
        """Papers that the plan or a published run names."""
        names = (*self.plan.request.papers, *(paper for _, _, paper, _ in self.settings))
        return [name for name in dict.fromkeys(names) if name in self.catalog.papers]

    @cached_property
    def comparisons(self) -> dict[str, pandas.DataFrame]:
        """The comparison with each paper's printed tables."""
        return {paper: compare(self.catalog, self.records, paper) for paper in self.papers}

    @cached_property
    def corpora(self) -> dict[tuple[str, str], CorpusRecord]:
        """The corpora that have a page, by (paper, corpus): the user's own, else the published card."""
        found: dict[tuple[str, str], CorpusRecord] = {}
        for record in self.records.corpora:
            if record.origin == "own" or not record.fault:
                found.setdefault((record.paper, record.corpus), record)
        return found

    @cached_property
    def noise(self) -> Noise:
        """How far repeated runs lie apart."""
        return noise_of(self.records)

    @property
    def all_cells(self) -> Iterator[tuple[str, pandas.DataFrame]]:
        """(paper, cells) of every table, on the printed corpora and on others."""
        yield from self.comparisons.items()
        for setting, found in self.elsewhere.items():
            yield setting[2], found["frame"]

    @cached_property
    def elsewhere(self) -> dict[Setting, dict[str, Any]]:
        """The tables on corpora that their paper did not print."""
        named = [setting for setting in self.settings if setting[2] in self.papers]
        return {s: elsewhere(self, s) for s in named if _elsewhere(self, s, s[2])}

    @cached_property
    def pairings(self) -> dict[Setting, Pairing]:
        """What was measured in each setting, the most expensive tier first, the user's own before published."""
        found = {s: Pairing(self.catalog, self.records, s) for s in self.settings if s[2] in self.papers}
        finished = {setting: pairing for setting, pairing in found.items() if pairing.runs}
        return {setting: finished[setting] for setting in sorted(finished, key=self.cost)}

    def cost(self, setting: Setting) -> tuple[float, str, int, int]:
        """What settings are sorted by: the most expensive tier first, own runs first, corpora as in the paper."""
        origin, tier, paper, corpus = setting
        declared = self.catalog.tiers.tiers.get(tier)
        printed = self.catalog.paper(paper).corpora
        place = printed.index(corpus) if corpus in printed else len(printed)
        return -(declared.scale if declared else 0.0), tier, ("own", "published").index(origin), place

    @cached_property
    def claims(self) -> dict[str, list[claims.Judged]]:
        """The claims of each paper, judged."""
        return {
            paper: claims.judge_claims(self.catalog, paper, self.of_paper(paper)) for paper in self.papers
        }

    @cached_property
    def audits(self) -> dict[str, list[Audited]]:
        """The audits of each paper."""
        return {paper: audits.audited(self.catalog, paper, self.of_paper(paper)) for paper in self.papers}

    def of_paper(self, paper: str) -> dict[Setting, Pairing]:
        """What was measured under a paper's protocol."""
        return {setting: pairing for setting, pairing in self.pairings.items() if setting[2] == paper}

    def runs_of(self, origin: str, tier: str, paper: str, corpus: str, system: str) -> list[RunRecord]:
        """The runs of a group, whatever became of them."""
        return self.attempts.get((origin, tier, paper, corpus, system), [])

    def commands_of(self, paper: str, corpus: str, system: str, runs: Sequence[RunRecord]) -> list[str]:
        """What makes a cell again: its first unfinished run, else all its runs, else the protocol's own."""
        undone = next((run for run in runs if run.state != "finished"), None)
        if undone is not None:
            return describe.again(self.catalog, undone)
        declared = self.catalog.systems.get(system)
        if declared is None or declared.missing:
            return []
        tier = runs[0].parts[0] if runs else PAPER_TIER
        seeds = ",".join(str(run.seed) for run in runs)
        asked = f"tier={tier} papers={paper} corpora={corpus} systems={system}"
        forced = f" seeds={seeds} --forcerun train" if runs else ""
        return [f"snakemake --cores 4 --config {asked}{forced}"]

    def title(self, system: str) -> str:
        """A system's title, or its name where the catalog does not know it."""
        declared = self.catalog.systems.get(system)
        return declared.title if declared else system

    def corpus_title(self, corpus: str) -> str:
        """A corpus's title, or its name where the catalog does not know it."""
        entry = self.catalog.corpora.get(corpus)
        return entry.title if entry else corpus


def slug(group: Sequence[str]) -> str:
    """The file name of a group's page: published ones say so."""
    origin, *names = group
    return "-".join((["published"] if origin == "published" else []) + names)


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
        "older": [(run, found) for run in material.records.runs if (found := ages(run))],
        "version": code_version(),
        "noise": material.noise,
    }


def _ran(runs: Sequence[RunRecord]) -> dict[str, Any]:
    """Devices, versions, dates and time of runs that ran."""
    sources = [dict(run.run.get("provenance") or {}) for run in runs]

    def distinct(key: str) -> list[str]:
        return sorted({str(source[key]) for source in sources if source.get(key)})

    seconds = [float((run.run.get("cost") or {}).get("seconds") or 0) for run in runs]
    return {
        "devices": distinct("device"),
        "versions": distinct("code_version"),
        "dirty": any(source.get("dirty") for source in sources),
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
            cells = [c[0] for row in view.rows for c in row.cells if c[0]["corpus"] == corpus]
            lines.append((view, corpus, [c for c in cells if c["reported"] is not None]))
    totals: Counter[str] = Counter()
    for view in views:
        totals.update(view.counts)
    return {
        "name": name,
        "paper": paper,
        "lines": lines,
        "totals": {word: totals[word] for word in MEANINGS if totals[word]},
        "counts": {name: sum(totals[word] for word in words) for name, words in GROUPS.items()},
        "printed": sum(totals.values()),
        "measured": sum(
            c[0]["measured"] is not None and c[0]["reported"] is not None
            for view in views
            for row in view.rows
            for c in row.cells
        ),
        "ledger": ledger(material, name),
        "elsewhere": [found for setting, found in material.elsewhere.items() if setting[2] == name],
    }


def _printed(material: Material, paper: str) -> list[TableView]:
    declared = material.catalog.paper(paper)
    frame = material.comparisons[paper]
    return [
        table_view(declared, table, frame, f"tables/{paper}-{table.id}.csv", printed=True)
        for table in declared.tables
    ]


def tables(material: Material) -> Iterator[tuple[TableView, pandas.DataFrame]]:
    """Every table with the frame that holds its cells: the printed ones, and those on other corpora."""
    for name in material.papers:
        yield from ((view, material.comparisons[name]) for view in _printed(material, name))
    for found in material.elsewhere.values():
        yield from ((view, found["frame"]) for view in found["views"])


def _elsewhere(material: Material, setting: Setting, paper: str) -> bool:
    """Whether these runs stand on a corpus that none of the paper's tables printed."""
    printed = {corpus for table in material.catalog.paper(paper).tables for corpus in table.corpora}
    return setting[2] == paper and setting[3] not in printed


def paper(material: Material, name: str) -> dict[str, Any]:
    """A paper's page: its tables, the same systems elsewhere, claims, audits, paired differences, figures."""
    declared = material.catalog.paper(name)
    settings = [setting for setting in material.settings if setting[2] == name]
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
        "printed_first": any(s[0] == "own" and not _elsewhere(material, s, name) for s in settings),
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
    """The printed figures of curves, those of the same systems and panels together."""
    alike: dict[tuple[Any, ...], list[Figure]] = {}
    for figure in material.catalog.paper(name).figures:
        alike.setdefault((figure.systems, figure.beside, figure.panels), []).append(figure)
    return [_figure(material, name, figures) for figures in alike.values()]


def _figure(material: Material, name: str, figures: Sequence[Figure]) -> dict[str, Any]:
    first, drawn = figures[0], []
    for setting in sorted((s for s in material.settings if s[2] == name), key=material.cost):
        runs = {s: material.groups.get((*setting, s), []) for s in (*first.systems, *first.beside)}
        named = {material.title(system): found for system, found in runs.items()}
        panels = curves.panel_figures(f"{slug(setting)}-{first.id}", named, first.panels)
        if panels:
            drawn.append(
                {
                    "setting": setting,
                    "printed": [figure.printed for figure in figures if setting[3] in figure.corpora],
                    "lacks": [material.title(system) for system in first.systems if not runs[system]],
                    "panels": panels,
                    "more": curves.overlaid_figures(slug(setting), named),
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


def _side_by_side(material: Material, name: str, texts: Texts) -> dict[str, Any]:
    """A printed table of texts: what each system decoded, in each setting that has any."""
    parts = []
    for setting in material.of_paper(name):
        groups = {system: material.groups.get((*setting, system), []) for system in texts.systems}
        found: dict[str, dict[str, Any]] = {
            system: next((r.documents["texts.json"] for r in runs if "texts.json" in r.documents), {})
            for system, runs in groups.items()
        }
        shown = {system: list(said.get(texts.shows) or []) for system, said in found.items()}
        if any(shown.values()):
            parts.append({"setting": setting, "blocks": _blocks(texts, shown)})
    return {
        "declared": texts,
        "parts": parts,
        "command": f"snakemake --cores 4 {name}_{texts.id} --config tier=paper",
    }


def _blocks(texts: Texts, shown: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    """Rows of one text per system (None where there is none): one block, or one for each pair of ends."""
    if texts.shows == "samples":
        return [{"ends": None, "rows": _rows(shown, SAMPLES)}]
    blocks = []
    for index in range(max(map(len, shown.values()))):
        paths = {system: found[index] if index < len(found) else {} for system, found in shown.items()}
        ends: dict[str, Any] = next((path for path in paths.values() if path), {})
        steps = {system: list(path.get("steps") or []) for system, path in paths.items()}
        rows = _rows(steps, max(map(len, steps.values())))
        blocks.append({"ends": (ends.get("from"), ends.get("to")), "rows": rows})
    return blocks


def _rows(columns: Mapping[str, list[Any]], count: int) -> list[list[Any]]:
    return [
        [column[row] if row < len(column) else None for column in columns.values()] for row in range(count)
    ]


def elsewhere(material: Material, setting: Setting) -> dict[str, Any]:
    """The tables of a paper, measured on a corpus that it did not print."""
    origin, tier, paper_name, corpus = setting
    declared = material.catalog.paper(paper_name)
    record = material.records.corpus(paper_name, corpus, "own" if origin == "own" else "published")
    exact = dict(record.summary.get("exact") or {}) if record else {}
    source = ("own" if origin == "own" else "published", tier)
    frame = measured_elsewhere(material.catalog, material.records, paper_name, corpus, source)  # type: ignore[arg-type]
    views = [
        table_view(declared, table, frame, f"tables/{slug(setting)}-{table.id}.csv", exact, printed=False)
        for table in declared.tables
        if table.id in _asked(material, setting) and _says_something(frame[frame["table"] == table.id])
    ]
    attributes = _attributes(material, setting)
    return {"setting": setting, "frame": frame, "views": views, "exact": exact, "attributes": attributes}


def _attributes(material: Material, setting: Setting) -> dict[str, dict[str, float]]:
    """Information about each known attribute in nats, by system (mean over seeds) and attribute."""
    found: dict[str, dict[str, float]] = {}
    for group, runs in material.groups.items():
        if group[:4] != setting:
            continue
        values: dict[str, list[float]] = {}
        for measured in (m for run in runs for m in run.measurements if m.main and m.value is not None):
            metric, _, attribute = measured.metric.partition(":")
            if metric == ATTRIBUTE and attribute:
                values.setdefault(attribute, []).append(float(measured.value or 0.0))
        if values:
            found[material.title(group[4])] = {name: sum(v) / len(v) for name, v in values.items()}
    return found


def _asked(material: Material, setting: Setting) -> Sequence[str]:
    """The tables that a user asked for, or that the tier names, or all."""
    request, tiers = material.plan.request, material.catalog.tiers.tiers
    named = request.tables if setting[0] == "own" else None
    of_tier = tiers[setting[1]].tables if setting[1] in tiers else None
    return named or of_tier or [table.id for table in material.catalog.paper(setting[2]).tables]


def _says_something(frame: pandas.DataFrame) -> bool:
    """A table of which nothing was measured is shown only if a run failed in it."""
    return bool(frame["measured"].notna().any() or (frame["verdict"] == "failed").any())


def system(material: Material, group: Group, runs: Sequence[RunRecord]) -> dict[str, Any]:
    """A system's page: what it is, every number, curves, texts, cost."""
    name = group[4]
    settings = runs[0].settings
    texts: Mapping[str, Any] = next(
        (r.documents["texts.json"] for r in runs if "texts.json" in r.documents), {}
    )
    return {
        "group": group,
        "runs": runs,
        "declared": material.catalog.systems.get(name),
        "title": material.title(name),
        "baseline": material.catalog.baseline(name) if name in material.catalog.systems else None,
        "objective": describe.objective(settings) if settings else None,
        "parts": describe.parts(settings) if settings else [],
        "numbers": numbers(material, group[2], runs),
        "across": across(material, name),
        "choices": [run_slug(run) for run in rundata.choices(runs)],
        "figures": curves.system_figures(slug(group), runs),
        "texts": texts,
    }


def across(material: Material, system: str) -> dict[str, Any]:
    """How a system does wherever it was run: means over seeds of the quantities that a reader looks for."""
    lines: list[dict[str, Any]] = []
    for group in sorted(material.groups, key=lambda g: material.cost(g[:4])):
        if group[4] != system or group[2] not in material.catalog.papers:
            continue
        runs = [run for run in material.groups[group] if run.state == "finished"]
        found: dict[str, str] = {}
        for row in numbers(material, group[2], runs):
            values = [m.value for m in row["values"].values() if m.value is not None]
            if row["first"].main and row["first"].metric in ACROSS and values:
                found.setdefault(row["first"].metric, row["text"](sum(values) / len(values)))
        if found:
            lines.append({"group": group, "seeds": len(runs), "found": found})
    known = {metric for line in lines for metric in line["found"]}
    return {"metrics": [metric for metric in ACROSS if metric in known], "lines": lines}


def run_slug(run: RunRecord) -> str:
    """The name of a run in addresses."""
    return f"{slug(run.group)}-seed{run.seed}"


def compare_runs(material: Material) -> dict[str, Any]:
    """The page on which a reader chooses runs to compare: those that there are, by setting."""
    found: dict[Setting, list[tuple[str, str]]] = {}
    for run in rundata.choices(material.records.runs):
        entry = (run_slug(run), f"{material.title(run.parts[3])}, seed {run.seed}")
        found.setdefault(run.group[:4], []).append(entry)
    known = sorted((s for s in found if s[2] in material.catalog.papers), key=material.cost)
    settings = [*known, *(s for s in found if s not in known)]
    return {"choices": [(setting, found[setting]) for setting in settings]}


def numbers(material: Material, paper_name: str, runs: Sequence[RunRecord]) -> list[dict[str, Any]]:
    """Every measurement by metric and estimator, one value per seed."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for run in runs:
        for found in run.measurements:
            row = rows.setdefault((found.metric, found.estimator), {"first": found, "values": {}})
            row["values"][run.seed] = found
    measures = material.catalog.paper(paper_name).measures if paper_name in material.catalog.papers else {}
    for row in rows.values():
        metric = row["first"].metric
        known = metric in measures and row["first"].unit not in ("ratio", "fraction")
        decimals = measures[metric].decimals + 1 if known else None
        row["name"] = metric_name(metric)
        row["text"] = lambda v, d=decimals: significant(v) if d is None else visible(v, d)
    order = list(dict.fromkeys(metric for metric, _ in rows))
    return sorted(rows.values(), key=lambda row: order.index(row["first"].metric))


def corpora(material: Material) -> Iterator[tuple[CorpusRecord, dict[str, Any]]]:
    """Each corpus that has a page, with what the page shows."""
    for (paper_name, name), record in material.corpora.items():
        pictures = [] if record.fault else curves.corpus_figures(f"{paper_name}-{name}", record)
        above = [] if record.fault else list(_above_entropy(material, paper_name, name))
        entry = material.catalog.corpora.get(name)
        said = {} if entry is None else {key: getattr(entry, key) for key in SAID}
        shown = {"record": record, "card": record.card | said, "figures": pictures, "above": above}
        yield record, shown


def _above_entropy(material: Material, paper_name: str, corpus: str) -> Iterator[dict[str, Any]]:
    """Where each system stands above the true entropy of a generated corpus, by source, the nearest first."""
    for setting, pairing in material.of_paper(paper_name).items():
        if setting[3] != corpus:
            continue
        rows: list[dict[str, Any]] = []
        floors = []
        for system, runs in pairing.runs.items():
            found = [m for run in runs if (m := run.find(EXCESS, None)) and m.value is not None]
            if not found:
                continue
            floor = material.noise.of(runs[0].parts[:3], EXCESS, found[0].estimator)
            floors += [floor.value] if floor else []
            values = [float(m.value or 0.0) for m in found]
            low, high = (found[0].low, found[0].high) if len(values) == 1 else mean_interval(values)
            rows.append(
                {
                    "system": system,
                    "title": material.title(system),
                    "mean": sum(values) / len(values),
                    "low": low,
                    "high": high,
                    "seeds": len(values),
                    "texts": found[0].texts,
                    "validity": found[0].validity,
                }
            )
        if rows:
            rows.sort(key=lambda row: row["mean"])
            caption = (
                f"NLL {MINUS} entropy, {'95 % over texts' if all(r['seeds'] == 1 for r in rows) else '95 %'}; "
                "0 is the best that any model can reach."
                + (" Around each dot, in another colour, the noise floor." if floors else "")
            )
            picture = dot_figure(
                f"{slug(setting)}-above-entropy",
                [(row["title"], row["mean"], row["low"], row["high"]) for row in rows],
                caption,
                "nats per text above the entropy",
                floor=max(floors, default=None),
            )
            yield {"setting": setting, "rows": rows, "figure": picture}


def statistics(material: Material, name: str) -> dict[str, Any]:
    """A paper's tests over systems and corpora, and its systems over all corpora and seeds."""
    pairings = material.of_paper(name)
    declared = material.catalog.paper(name)
    reference = declared.tables[0].rows[0].system
    found = aggregates(pairings, reference)
    return {
        "name": name,
        "paper": declared,
        "tests": sign_tests(pairings, SIGNED),
        "reference": reference,
        "aggregates": [(one, _profiles(material, one)) for one in found],
    }


def _profiles(material: Material, found: Aggregates) -> Picture | None:
    """The performance profiles of the best systems with more than one run, as many as can be told apart."""
    several = [one for one in found.systems if one.runs > 1][: len(SERIES)]
    lines = [
        Line(material.title(one.system), found.thresholds, found.profiles[one.system], style)
        for style, one in enumerate(several)
    ]
    caption = (
        "Share of runs (corpora weigh the same) whose perplexity is at most that multiple of the perplexity of "
        f"{material.title(found.reference)}: the further left, the better. Shown are those systems with more than "
        f"one run whose interquartile mean is lowest, at most {len(SERIES)}."
    )
    name = f"{'-'.join(found.source)}-profiles"
    across = "multiple of the reference's perplexity"
    return line_figure(name, lines, caption, across, "share of runs", legend="below", steps=True)


def methods(material: Material) -> dict[str, Any]:
    """Each estimator that was met, with all that it said of itself, its measured error and its cost."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for run in material.records.runs:
        for m in run.measurements:
            named = m.metric.partition(":")[0]
            entry = found.setdefault(
                (named, m.estimator), {"first": m, "said": {}, "systems": {}, "of": dict[str, None]()}
            )
            entry["said"][m.definition, m.validity, m.bias or ""] = None
            entry["systems"][run.parts[3]] = material.title(run.parts[3])
            entry["of"][m.metric] = None
    drawn: set[str] = set()
    found = {key: found[key] for key in sorted(found, key=_place)}
    for (metric, estimator), entry in found.items():
        entry["cost"] = estimators.cost(metric, estimator)
        picture = estimators.figure(metric, estimator)
        entry["figure"] = picture if picture is None or picture.name not in drawn else None
        entry["drawn_above"] = picture is not None and entry["figure"] is None
        drawn |= {picture.name} if picture else set()
        entry["without"] = estimators.without_figure(metric, estimator, entry["first"].validity)
    return {
        "estimators": found,
        "measures": _measures(material),
        "noise": material.noise,
        "calibration": estimators.measured()["provenance"],
    }


def _place(key: tuple[str, str]) -> tuple[int, str]:
    """Where an estimator stands among the definitions; one that this version does not know at the end."""
    order = list(DEFINITIONS)
    plain = (key[0], estimators.base(key[1]))
    return order.index(plain) if plain in order else len(order), key[1]


def _measures(material: Material) -> list[tuple[str, str, Any]]:
    """(paper, printed quantity, how it is measured here)."""
    return [
        (material.catalog.paper(name).short, column, measure)
        for name in material.papers
        for column, measure in material.catalog.paper(name).measures.items()
    ]


def provenance(material: Material) -> dict[str, Any]:
    """Every run in one table, with the page that tells all of it."""
    entries = [
        {"run": run, "page": provenance_page(run.group), "ages": ages(run)} for run in material.records.runs
    ]
    return {"entries": entries}


def provenance_page(group: Sequence[str]) -> str:
    """Where the provenance of the runs of a system is told."""
    return f"provenance/{slug(group)}.html"


def origins(material: Material) -> Iterator[tuple[Group, dict[str, Any]]]:
    """The provenance of each system on each corpus: identity, configuration, versions, cost, commands."""
    groups: dict[Group, list[RunRecord]] = {}
    for run in material.records.runs:
        groups.setdefault(run.group, []).append(run)
    for group, runs in groups.items():
        yield (
            group,
            {
                "group": group,
                "title": material.title(group[4]),
                "entries": [_origin(material, run) for run in runs],
            },
        )


def _origin(material: Material, run: RunRecord) -> dict[str, Any]:
    changes, reason = describe.departures(material.catalog, run) if run.settings else ([], "settings unknown")
    return {
        "run": run,
        "departures": changes,
        "departures_reason": reason,
        "settings": flat(run.settings) if run.settings else {},
        "command": describe.one_command(material.catalog, run),
        "folder": relative(run.folder, material.results),
        "ages": ages(run),
    }
