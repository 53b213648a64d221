"""What the pages that one looks things up in show: corpora, statistics, methods, provenance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bench.analysis.age import ages
from bench.analysis.aggregate import Aggregates, aggregates
from bench.analysis.compare import EXCESS
from bench.analysis.numbers import MINUS
from bench.analysis.signs import sign_tests
from bench.analysis.statistics import mean_interval
from bench.analysis.verdict import MOST_SEEDS
from bench.corpora.entry import SAID
from bench.metrics.definitions import base
from bench.metrics.measures import definitions, on_list
from bench.report import curves, describe, estimators
from bench.report.context import Group, Material, place, slug
from bench.report.export import relative
from bench.report.figures import SERIES, Line, Picture, dot_figure, line_figure
from bench.store.changes import flat
from bench.store.records import CorpusRecord, RunRecord

SENT = ("run.json", "measurements.json")  # what a report holds of a run's folder


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
                    "title": material.title(paper_name, system),
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
                + (" Around each dot, in another colour, how far repeated runs differ." if floors else "")
            )
            picture = dot_figure(
                f"{slug(setting)}-above-entropy",
                [(row["title"], row["mean"], row["low"], row["high"]) for row in rows],
                caption,
                "nats per text above the entropy",
                floor=max(floors, default=None),
            )
            yield {"setting": setting, "rows": rows, "figure": picture}


def all_systems(material: Material) -> dict[str, Any]:
    """The pages of systems by paper and title, with the number of seeds: in the order of the paper's tables."""
    found: dict[str, dict[str, list[tuple[Group, int]]]] = {}
    for group in sorted(material.groups, key=lambda g: _declared(material, g)):
        of_paper = found.setdefault(group[2], {})
        of_paper.setdefault(material.title(group[2], group[4]), []).append(
            (group, len(material.groups[group]))
        )
    return {"systems": found}


def _declared(material: Material, group: Group) -> tuple[Any, ...]:
    """Papers as they were asked for, then systems as their tables print them, then what is most expensive."""
    papers = [*material.papers, *material.unknown_papers]
    return papers.index(group[2]), place(material.catalog, group[2], group[4]), material.cost(group[:4])


def definition(metric: str, estimator: str) -> str:
    """What an estimator is, in words; without a metric, where all metrics that have it agree. Empty if not known."""
    known = definitions()
    found = [
        d.definition for (of, name), d in known.items() if name == base(estimator) and metric in ("", of)
    ]
    return found[0] if len(set(found)) == 1 else ""


def statistics(material: Material, name: str) -> dict[str, Any]:
    """A paper's tests over systems and corpora, and its systems over all corpora and seeds."""
    pairings = material.of_paper(name)
    declared = material.catalog.paper(name)
    reference = declared.reference_system
    found = aggregates(pairings, reference)
    return {
        "name": name,
        "paper": declared,
        "tests": sign_tests(pairings, on_list("sign tests")),
        "reference": reference,
        "aggregates": [(one, _profiles(material, name, one)) for one in found],
    }


def _profiles(material: Material, paper: str, found: Aggregates) -> Picture | None:
    """The performance profiles of the best systems with more than one run, as many as can be told apart."""
    several = [one for one in found.systems if one.runs > 1][: len(SERIES)]
    below = [sum(share == 0 for share in found.profiles[one.system]) for one in several]
    start = max(min(below, default=0) - 1, 0)  # the multiples that only systems of one run reach are left out
    lines = [
        Line(
            material.title(paper, one.system),
            found.thresholds[start:],
            found.profiles[one.system][start:],
            style,
        )
        for style, one in enumerate(several)
    ]
    caption = (
        "Share of runs (corpora weigh the same) whose perplexity is at most that multiple of the perplexity of "
        f"{material.title(paper, found.reference)}: the further left, the better. Shown are those systems with "
        f"more than one run whose interquartile mean is lowest, at most {len(SERIES)}."
    )
    name = f"{'-'.join(found.source)}-profiles"
    across = "multiple of the reference's perplexity"
    return line_figure(name, lines, caption, across, "share of runs", legend="below", steps=True)


def methods(material: Material) -> dict[str, Any]:
    """Each estimator that was met, with all that it said of itself, its measured error and its cost."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for run in material.records.runs:
        for m in run.measurements:
            entry = found.setdefault(
                (m.metric, m.estimator), {"first": m, "said": {}, "systems": {}, "of": dict[str, None]()}
            )
            entry["said"][m.definition, m.validity, m.bias or ""] = None
            entry["systems"][run.parts[3]] = material.title(run.parts[1], run.parts[3])
            entry["of"][m.name] = None
    drawn: set[str] = set()
    found = {key: found[key] for key in sorted(found, key=_place)}
    for (metric, estimator), entry in found.items():
        known = definitions().get((metric, base(estimator)))
        entry["cost"] = known.cost if known else ""
        picture = estimators.figure(metric, estimator)
        entry["figure"] = picture if picture is None or picture.name not in drawn else None
        entry["drawn_above"] = picture is not None and entry["figure"] is None
        drawn |= {picture.name} if picture else set()
        entry["without"] = estimators.without_figure(metric, estimator, entry["first"].validity)
    return {
        "estimators": found,
        "quantities": _quantities(material),
        "noise": material.noise,
        "calibration": estimators.measured()["provenance"],
        "operating": estimators.operating_characteristics(),
        "dual": estimators.dual_network(),
        "dual_game": estimators.dual_game(),
        "most_seeds": MOST_SEEDS,
    }


def _place(key: tuple[str, str]) -> tuple[int, str]:
    """Where an estimator stands among the definitions; one that this version does not know at the end."""
    order = list(definitions())
    plain = (key[0], base(key[1]))
    return order.index(plain) if plain in order else len(order), key[1]


def _quantities(material: Material) -> list[tuple[str, str, Any]]:
    """(paper, printed quantity, how it is measured here)."""
    return [
        (material.catalog.paper(name).short, column, quantity)
        for name in material.papers
        for column, quantity in material.catalog.paper(name).quantities.items()
    ]


def provenance(material: Material) -> dict[str, Any]:
    """Every run in one table, with the page that tells all of it."""
    ours = [run for run in material.records.runs if run.origin != "external"]
    entries = [{"run": run, "page": provenance_page(run.group), "ages": ages(run)} for run in ours]
    return {"entries": entries}


def provenance_page(group: Sequence[str]) -> str:
    """Where the provenance of the runs of a system is told."""
    return f"provenance/{slug(group)}.html"


def origins(material: Material) -> Iterator[tuple[Group, dict[str, Any]]]:
    """The provenance of each system on each corpus: identity, configuration, versions, cost, commands."""
    groups: dict[Group, list[RunRecord]] = {}
    for run in material.records.runs:
        if run.origin != "external":
            groups.setdefault(run.group, []).append(run)
    for group, runs in groups.items():
        yield (
            group,
            {
                "group": group,
                "title": material.title(group[2], group[4]),
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
        "files": [path for name in SENT if (path := run.folder / name).is_file()],
        "ages": ages(run),
    }
