"""All that the report is made of, and what is worked out of it once for several pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.analysis import audits, claims
from bench.analysis.audits import Audited
from bench.analysis.compare import ORIGINS, PAPER_TIER, Cell, compare, measured_elsewhere
from bench.analysis.external import all_records
from bench.analysis.known import ATTRIBUTE, Known, known
from bench.analysis.noise import NoiseFloors, noise_of
from bench.analysis.pairs import Pairing, Setting
from bench.analysis.questions import Answered, answered
from bench.analysis.tables import table_view
from bench.base.run_names import run_names
from bench.catalog.catalog import Catalog
from bench.planning.plan import Plan, others, systems_of
from bench.report import describe
from bench.store.records import CorpusRecord, Origin, Records, RunRecord

Group = tuple[Origin, str, str, str, str]  # origin, tier, paper, corpus, system


def gather(catalog: Catalog, plan: Plan, results: Path, *, partial: bool = False) -> Material:
    """What lies in a results folder: the runs of the plan, and those others that are what the catalog asks for now.

    A report of one slice so keeps the runs of an earlier one. Runs of other settings or versions are not shown.
    """
    more = others(catalog, plan, run_names(results / "runs"))
    records = all_records(catalog, results, {**plan.runs, **more})
    left = {
        run.name for run in records.runs if run.name in more and run.origin == "own" and not _current(run)
    }
    runs = in_order(catalog, [run for run in records.runs if run.origin != "own" or run.name not in left])
    places = {run.parts[1:3] for run in runs}
    corpora = [corpus for corpus in records.corpora if (corpus.paper, corpus.corpus) in places]
    unplanned = [*records.unplanned, *sorted(left)]
    found = replace(records, runs=runs, corpora=corpora, unplanned=unplanned)
    return Material(catalog, plan, found, results, partial)


def in_order(catalog: Catalog, runs: Sequence[RunRecord]) -> list[RunRecord]:
    """Runs of a setting in the order of their paper's tables, so that a baseline stands before its twin."""
    settings = list(dict.fromkeys(run.group[:4] for run in runs))
    return sorted(
        runs, key=lambda run: (settings.index(run.group[:4]), place(catalog, run.parts[1], run.parts[3]))
    )


def place(catalog: Catalog, paper: str, system: str) -> int:
    """Where a system first stands in the tables of a paper; at the end if it does not."""
    printed = systems_of(catalog, paper) if paper in catalog.papers else []
    return printed.index(system) if system in printed else len(printed)


def _current(run: RunRecord) -> bool:
    return run.state in ("finished", "diverged", "failed")


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
        """(origin, tier, paper, corpus) of which there are runs."""
        return list(dict.fromkeys(run.group[:4] for run in self.records.runs))

    @cached_property
    def unknown_papers(self) -> list[str]:
        """Papers of which there are runs, but which the catalog does not know: nothing can be said of those runs."""
        named = dict.fromkeys(paper for _, _, paper, _ in self.settings)
        return [name for name in named if name not in self.catalog.papers]

    @cached_property
    def papers(self) -> list[str]:
        """Papers that the plan or a published run names."""
        names = (*self.plan.request.papers, *(paper for _, _, paper, _ in self.settings))
        return [name for name in dict.fromkeys(names) if name in self.catalog.papers]

    @cached_property
    def comparisons(self) -> dict[str, list[Cell]]:
        """The cells of each paper's printed tables."""
        return {paper: compare(self.catalog, self.records, paper) for paper in self.papers}

    @cached_property
    def corpora(self) -> dict[tuple[str, str], CorpusRecord]:
        """The corpora that have a page, by (paper, corpus): the user's own if it is sound, else the published card."""
        found: dict[tuple[str, str], CorpusRecord] = {}
        for record in sorted(self.records.corpora, key=lambda c: bool(c.fault)):
            if record.origin == "own" or not record.fault:
                found.setdefault((record.paper, record.corpus), record)
        return found

    @cached_property
    def noise(self) -> NoiseFloors:
        """How far repeated runs lie apart."""
        return noise_of(self.records)

    @property
    def all_cells(self) -> Iterator[tuple[str, list[Cell]]]:
        """(paper, cells) of every table, on the printed corpora and on others."""
        yield from self.comparisons.items()
        for setting, found in self.elsewhere.items():
            yield setting[2], found["cells"]

    @cached_property
    def elsewhere(self) -> dict[Setting, dict[str, Any]]:
        """The tables on corpora that their paper did not print."""
        named = [setting for setting in self.settings if setting[2] in self.papers]
        return {s: elsewhere(self, s) for s in named if not_printed(self, s, s[2])}

    @cached_property
    def pairings(self) -> dict[Setting, Pairing]:
        """What was measured in each setting, the most expensive tier first, the user's own before published."""
        ours = [s for s in self.settings if s[0] != "external" and s[2] in self.papers]
        found = {s: Pairing(self.catalog, self.records, s) for s in ours}
        finished = {setting: pairing for setting, pairing in found.items() if pairing.runs}
        return {setting: finished[setting] for setting in sorted(finished, key=self.cost)}

    def cost(self, setting: Setting) -> tuple[float, str, int, int]:
        """What settings are sorted by: the most expensive tier first, own runs first, corpora as in the paper."""
        origin, tier, paper, corpus = setting
        declared = self.catalog.tiers.tiers.get(tier)
        known = self.catalog.papers.get(paper)
        printed = known.corpora if known else ()
        place = printed.index(corpus) if corpus in printed else len(printed)
        return -(declared.scale if declared else 0.0), tier, ORIGINS.index(origin), place

    @cached_property
    def known(self) -> list[Known]:
        """What the user's own runs show on corpora whose entropy is known, by tier and corpus."""
        groups: dict[tuple[str, str], list[Pairing]] = {}
        for (origin, tier, _, corpus), pairing in self.pairings.items():
            if origin == "own":
                groups.setdefault((tier, corpus), []).append(pairing)
        found = []
        for pairings in groups.values():
            record = self.records.corpus(*pairings[0].setting[2:])
            if record and (exact := record.summary.get("exact")):
                found.append(known(exact, pairings))
        return found

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

    @cached_property
    def questions(self) -> list[Answered]:
        """The questions of the catalog that a paper of this report can answer."""
        return answered(self.catalog, self.papers, self.pairings)

    def of_paper(self, paper: str) -> dict[Setting, Pairing]:
        """What was measured under a paper's protocol."""
        return {setting: pairing for setting, pairing in self.pairings.items() if setting[2] == paper}

    def runs_of(self, origin: Origin, tier: str, paper: str, corpus: str, system: str) -> list[RunRecord]:
        """The runs of a group, whatever became of them."""
        return self.attempts.get((origin, tier, paper, corpus, system), [])

    def commands_of(self, paper: str, corpus: str, system: str, runs: Sequence[RunRecord]) -> list[str]:
        """What makes a number again: its first unfinished run, else all its runs, else the protocol's own."""
        if runs and runs[0].origin == "external":
            return []
        undone = next((run for run in runs if run.state != "finished"), None)
        if undone is not None:
            return describe.again(self.catalog, undone)
        declared = self.catalog.find_system(paper, system)
        if declared is None or declared.missing:
            return []
        tier = runs[0].parts[0] if runs else PAPER_TIER
        seeds = ",".join(str(run.seed) for run in runs)
        asked = f"tier={tier} papers={paper} corpora={corpus} systems={system}"
        forced = f" seeds={seeds} --forcerun train" if runs else ""
        return [f"snakemake --cores 4 --config {asked}{forced}"]

    def title(self, paper: str, system: str) -> str:
        """The title of a system of a paper, or its name where the catalog does not know it."""
        return self.catalog.title(paper, system)

    def corpus_title(self, corpus: str) -> str:
        """A corpus's title, or its name where the catalog does not know it."""
        entry = self.catalog.corpora.get(corpus)
        return entry.title if entry else corpus


def slug(group: Sequence[str]) -> str:
    """The file name of a group's page: those that are not the user's own say so."""
    origin, *names = group
    return "-".join(([] if origin == "own" else [origin]) + names)


def not_printed(material: Material, setting: Setting, paper: str) -> bool:
    """Whether these runs stand on a corpus that none of the paper's tables printed."""
    printed = {corpus for table in material.catalog.paper(paper).tables for corpus in table.corpora}
    return setting[2] == paper and setting[3] not in printed


def elsewhere(material: Material, setting: Setting) -> dict[str, Any]:
    """The tables of a paper, measured on a corpus that it did not print."""
    origin, tier, paper_name, corpus = setting
    declared = material.catalog.paper(paper_name)
    record = material.records.corpus(paper_name, corpus, origin)
    exact = dict(record.summary.get("exact") or {}) if record else {}
    cells = measured_elsewhere(material.catalog, material.records, paper_name, corpus, (origin, tier))
    views = [
        table_view(declared, table, cells, f"tables/{slug(setting)}-{table.id}.csv", exact, printed=False)
        for table in declared.tables
        if table.id in _asked(material, setting) and _says_something(table.id, cells)
    ]
    attributes = _attributes(material, setting)
    return {"setting": setting, "cells": cells, "views": views, "exact": exact, "attributes": attributes}


def _attributes(material: Material, setting: Setting) -> dict[str, dict[str, float]]:
    """Information about each known attribute in nats, by system (mean over seeds) and attribute."""
    found: dict[str, dict[str, float]] = {}
    for group, runs in material.groups.items():
        if group[:4] != setting:
            continue
        values: dict[str, list[float]] = {}
        for measured in (m for run in runs for m in run.measurements if m.main and m.value is not None):
            if measured.metric == ATTRIBUTE and measured.part:
                values.setdefault(measured.part, []).append(float(measured.value or 0.0))
        if values:
            found[material.title(group[2], group[4])] = {name: sum(v) / len(v) for name, v in values.items()}
    return found


def _asked(material: Material, setting: Setting) -> Sequence[str]:
    """The tables that a user asked for, or that the tier names, or all."""
    origin, tier, paper, _ = setting
    named = material.plan.request.tables if origin == "own" else None
    known = tier in material.catalog.tiers.tiers
    of_tier = material.catalog.budget(tier, paper).tables if known else None
    return named or of_tier or [table.id for table in material.catalog.paper(paper).tables]


def _says_something(table: str, cells: Sequence[Cell]) -> bool:
    """Whether anything was measured of a table, or a run failed in it."""
    return any(c.measured is not None or c.verdict == "failed" for c in cells if c.table == table)
