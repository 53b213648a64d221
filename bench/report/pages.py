"""What the overview and the pages of papers, systems and runs show, as plain values for their templates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bench.analysis.age import told
from bench.analysis.numbers import decimals_of, fixed, metric_name, significant
from bench.analysis.pairs import Setting
from bench.metrics.definitions import TextKind
from bench.metrics.measures import kinds, on_list
from bench.report import budgets, curves, describe, formulas, papers, rundata
from bench.report.context import Group, Material, slug
from bench.store.provenance import code_version
from bench.store.records import RunRecord
from bench.store.shown import Shown

UNDONE = ("failed", "diverged", "damaged", "stale")


def index(material: Material) -> dict[str, Any]:
    """The overview: what was run, what failed, where each paper stands."""
    own = [run for run in material.records.runs if run.origin == "own"]
    published = [run for run in material.records.runs if run.origin == "published"]
    return {
        "plan": material.plan,
        "short": budgets.in_short(material),
        "states": Counter(sorted(run.state for run in own)),
        "own": own,
        "more": sum(run.name not in material.plan.runs for run in own),
        "published": published,
        "ran": _ran(own),
        "ran_published": _ran(published),
        "undone": [(run, describe.again(material.catalog, run)) for run in own if run.state in UNDONE],
        "waiting": [run for run in own if run.state in ("running", "not evaluated", "not run")],
        "faulty": [run for run in material.records.runs if run.faults],
        "papers": [papers.standing(material, paper) for paper in material.papers],
        "known": material.known,
        "older": _older(material.records.runs),
        "version": code_version(),
        "noise": material.noise,
    }


def _older(runs: Sequence[RunRecord]) -> dict[str, list[RunRecord]]:
    """Runs of older versions, by what of them is older."""
    found: dict[str, list[RunRecord]] = {}
    for run in runs:
        if age := told(run):
            found.setdefault(age, []).append(run)
    return found


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
        "tiers": {
            tier: budgets.steps([run for run in runs if run.parts[0] == tier])
            for tier in sorted({run.parts[0] for run in runs})
        },
        "corpora": list(dict.fromkeys(run.parts[2] for run in runs)),
        "seeds": sorted({run.seed for run in runs}),
    }


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
        "texts": [(kind, one) for kind, one in _kinds_of(papers.shown_texts(runs))],
    }


def _kinds_of(shown: Mapping[str, Shown]) -> list[tuple[TextKind, Shown]]:
    """Shown texts with how their kind is presented; a kind that this version does not know is named as it is."""
    known = kinds()
    order = [*known, *(name for name in shown if name not in known)]
    return [(known.get(name, TextKind(name, name)), shown[name]) for name in order if name in shown]


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
    return {
        "choices": [(setting, found[setting]) for setting in settings],
        "pair": _first_pair(material, settings),
    }


def _first_pair(material: Material, settings: Sequence[Setting]) -> list[str]:
    """The runs with which the page opens: a baseline and its twin, the first of which both were run on one seed."""
    runs = rundata.choices(material.records.runs)
    for setting in settings:
        found = {(run.parts[3], run.seed): run for run in runs if run.group[:4] == setting}
        pairs = material.catalog.compared(setting[2]) if setting[2] in material.papers else ()
        for baseline, other in pairs:
            for seed in sorted(seed for system, seed in found if system == baseline):
                if (other, seed) in found:
                    return [run_slug(found[baseline, seed]), run_slug(found[other, seed])]
    return [run_slug(run) for run in runs[:2]]


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
        shown = [end for m in row["values"].values() for end in (m.value, m.low, m.high)]
        row["name"] = metric_name(row["first"].name)
        decimals = quantities[metric].decimals + 1 if known else None
        row["text"] = _counted if row["first"].unit == "count" else _same_decimals(shown, decimals)
    order = list(dict.fromkeys(name for name, _ in rows))
    return sorted(rows.values(), key=lambda row: order.index(row["first"].name))


def _counted(value: float | None) -> str:
    """A count is whole; a mean of counts has a decimal."""
    return fixed(value, 0 if value is None or float(value).is_integer() else 1)


def _same_decimals(values: Sequence[float | None], least: int | None) -> Callable[[float | None], str]:
    """How numbers of one row are written: with the same decimals, unless any is very large or very small."""
    decimals = decimals_of(values, 2 if least is None else least)
    plain = all(v is None or v == 0 or 1e-6 <= abs(v) < 1e6 for v in values)
    return lambda value: fixed(value, decimals) if plain else significant(value)
