"""Runs in a results folder, the user's own and the published ones, for the commands that read them.

No plan is asked for, so every run that lies there counts.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from bench.analysis.external import all_records
from bench.base.errors import BenchError, unknown
from bench.base.files import read_json
from bench.base.run_names import parse_name, run_names
from bench.base.settings import RunSettings
from bench.base.text_rules import TEXT
from bench.base.validation import validated
from bench.catalog.catalog import Catalog
from bench.corpora.names import text_file
from bench.planning.plan import Plan, Request
from bench.report.context import Material
from bench.store.records import RunRecord, load_records

PUBLISHED = "published/"  # before the name of a run: the published one, even where there is one of our own


def check_results(results: Path) -> None:
    """Raise :class:`BenchError` when there is no results folder."""
    if not results.is_dir():
        raise BenchError(
            "results folder not found", where=results, remedy="run something first, or name another"
        )


def load(catalog: Catalog, results: Path, papers: Sequence[str]) -> Material:
    """What was run and published under the protocols of ``papers``, as the report has it."""
    check_results(results)
    runs = {}
    for name in run_names(results / "runs"):
        if name.split("/")[1] not in papers or not (results / "runs" / name / "run.json").exists():
            continue
        try:
            runs[name] = settings_of(results / "runs" / name)
        except BenchError as error:
            print(f"left out {name}: {error.what}", file=sys.stderr)
    plan = Plan(Request(papers=tuple(papers)), runs)
    records = all_records(catalog, results, plan.runs)
    for fault in records.faults:
        print(fault, file=sys.stderr)
    return Material(catalog, plan, records, results, partial=False)


def find_run(results: Path, name: str) -> RunRecord:
    """The finished run of that name: the user's own, else the published one, which ``published/`` asks for.

    Raises :class:`BenchError` for an unknown run, and for one that is not trained and measured.
    """
    check_results(results)
    short = name.removeprefix(PUBLISHED)
    parse_name(short)
    own = results / "runs" / short
    runs = {}
    if short == name and (own / "run.json").exists():
        runs[name] = settings_of(own)
    elif not (results / "published" / "runs" / short).is_dir():
        measured = [n for n in run_names(results / "runs") if (results / "runs" / n / "run.json").exists()]
        published = [PUBLISHED + n for n in run_names(results / "published" / "runs")]
        raise unknown("run", name, [*measured, *published], where=results)
    records = load_records(results, runs)
    origin = "own" if runs else "published"
    run = next(run for run in records.runs if (run.origin, run.name) == (origin, short))
    if run.state != "finished":
        remedy = f"first: bench evaluate {short}" if run.state == "not evaluated" else None
        raise BenchError(f"the run is {run.state}: {run.reason}", where=run.folder, remedy=remedy)
    return run


def settings_of(folder: Path) -> RunSettings:
    """The settings that the run in ``folder`` was trained with."""
    path = folder / "run.json"
    content = read_json(path)
    if not isinstance(content, dict):
        raise BenchError("not the record of a run", where=path, remedy="train the run again")
    return validated(RunSettings, content.get("settings"), path)


def split_texts(results: Path, run: RunRecord, split: str) -> dict[int, str]:
    """The texts of a split, if the corpus that the run saw is at hand; the published files hold none."""
    folder = results / "corpora" / run.parts[1] / run.parts[2]
    if not (folder / "corpus.json").exists():
        return {}
    summary = read_json(folder / "corpus.json")
    path = folder / text_file(split, summary.get("decodes", TEXT))
    if not path.exists() or summary.get("data_hash") != run.run.get("data_hash"):
        return {}
    return dict(enumerate(path.read_text(encoding="utf-8").split("\n")[:-1]))
