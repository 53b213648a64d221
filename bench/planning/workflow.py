"""What the rules of the workflow ask: targets, inputs, parameters, resources, and the commands around them.

Paths begin with ``<results>``, for which Snakemake puts the results folder.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shlex
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

from bench.base import environment
from bench.base.errors import BenchError, unknown
from bench.base.files import stable_hash
from bench.base.identity import STAGES
from bench.base.locks import locked
from bench.base.outputs import REPORT, RESULTS, SUMMARY, check, claim
from bench.base.own import VARIABLE
from bench.base.run_names import external_files
from bench.base.settings import RunSettings
from bench.catalog.catalog import Catalog, load_catalog
from bench.catalog.systems import SHOWN
from bench.corpora.entry import SAID
from bench.metrics.needs import asked, wanted
from bench.planning.configuration import Compute, compute_of, configured, typed
from bench.planning.copied import put_in_order
from bench.planning.plan import Plan, Request, make_plan, systems_of
from bench.planning.remembered import remember
from bench.planning.resolve import find_run, text_rules
from bench.planning.resources import Needs, evaluation_needs, sizes_of, training_needs
from bench.planning.summary import recorded_summary
from bench.planning.targets import ALL, targets
from bench.store import freshness
from bench.store.freshness import Stage


def read_workflow(config: MutableMapping[str, Any], arguments: Sequence[str]) -> Workflow:
    """The workflow that ``config`` asks for; its values are replaced by those that were read.

    ``arguments`` are those of the command line. Raises :class:`BenchError` for every mistake in it.
    """
    environment.check()
    values = typed(config, arguments)
    compute = compute_of(values)
    if compute.mirror:
        environment.given_mirror(compute.mirror)
    folders = [str(Path(folder).absolute()) for folder in compute.catalog]
    before = os.environ.get(VARIABLE, "")
    os.environ[VARIABLE] = os.pathsep.join(filter(None, [*folders, before]))  # jobs see the same folders
    catalog = load_catalog()
    workflow = Workflow(catalog, targets(catalog, configured(values, catalog)), compute)
    config.update(values)
    return workflow


class Workflow:
    """The answers to the rules. Methods raise :class:`BenchError` for names that are not known."""

    def __init__(self, catalog: Catalog, requests: Mapping[str, Request], compute: Compute) -> None:
        """``requests``: what each target stands for."""
        self.catalog, self.requests, self.compute = catalog, requests, compute
        self.results = Path(compute.results)
        self._plans: dict[str, Plan] = {}
        self._runs: dict[str, RunSettings] = {}

    # Targets and reports

    def begin(self, asked: Sequence[str]) -> None:
        """What a call of Snakemake begins with, before it looks at files; ``asked`` are its targets.

        Raises :class:`BenchError` for one that is none, and for a name in the configuration that is not known. A job,
        which parses the workflow too, plans none of it again.
        """
        if mirror := environment.mirror():
            environment.given_mirror(mirror)
        self.plan_of(ALL)
        self.check_targets(asked)
        for target in self._targets(asked):
            put_in_order(self.catalog, self.plan_of(target).runs.values(), self.results, wanted)

    def check_targets(self, asked: Iterable[str]) -> None:
        """Raise :class:`BenchError` with the nearest name for a target that is none, and no path of a file either."""
        for name in asked:
            if name not in self.requests and "/" not in name:
                raise unknown("target", name, self.requests)

    def plan_of(self, target: str) -> Plan:
        """The plan of a target."""
        if target not in self._plans:
            self._plans[target] = make_plan(self.catalog, self.requests[target])
            self._runs |= self._plans[target].runs
        return self._plans[target]

    def files_of(self, target: str) -> list[str]:
        """The report, and the measurements, so that a failed run is tried again by the next call."""
        return [f"<results>/{self.report_of(target)}/index.html", *self.measurements_of(target)]

    def measurements_of(self, target: str) -> list[str]:
        """The measurement files of a target's runs."""
        return [f"<results>/runs/{run}/measurements.json" for run in self.plan_of(target).runs]

    def cost_of(self, target: str, dry: bool) -> str:
        """In a dry run, what is known of the cost of a target and of what is left of it."""
        if not dry:
            return f"The results of {target} are complete."
        found = recorded_summary(self.catalog, self.plan_of(target), self.results, self.compute.device)
        return f"{target}: {found}"

    def report_of(self, target: str) -> str:
        """The name of a target's report; targets that plan the same runs as ``all`` share its."""
        return "report" if self.plan_of(target).runs == self.plan_of(ALL).runs else f"report-{target}"

    def report_names(self) -> list[str]:
        """The names that a report may have."""
        return ["report", *(f"report-{target}" for target in self.requests)]

    def measurements_of_report(self, report: str) -> list[str]:
        """The measurement files that a report reads or names, those of external runs among them."""
        return [
            *self.measurements_of(_target(report)),
            *(
                f"<results>/{path.relative_to(self.results).as_posix()}"
                for path in external_files(self.results)
            ),
        ]

    def request_of_report(self, report: str) -> str:
        """The request of a report as JSON, for ``bench report --request``."""
        request = self.requests[_target(report)]
        return json.dumps(request.model_dump(mode="json", exclude_none=True), sort_keys=True)

    def declared_of_report(self, report: str) -> str:
        """A hash of what the report shows of the catalog: titles, tables, reported numbers."""
        plan = self.plan_of(_target(report))
        papers, runs = plan.request.papers, plan.runs.values()
        systems = {(paper, name) for paper in papers for name in systems_of(self.catalog, paper)}
        systems |= {(run.paper, run.system) for run in runs}
        corpora = {name for paper in papers for name in self.catalog.paper(paper).corpora}
        corpora |= {run.corpus for run in runs}
        system, entry = self.catalog.system, self.catalog.corpus
        shown = [
            *(self.catalog.paper(paper).model_dump(mode="json") for paper in papers),
            *(system(*name).model_dump(mode="json", include=SHOWN) for name in sorted(systems)),
            *(entry(name).model_dump(mode="json", include=set(SAID)) for name in sorted(corpora)),
            *(question.model_dump(mode="json") for question in self.catalog.questions.values()),
        ]
        return stable_hash(shown)

    def report_version(self) -> int:
        """The version of the stage that writes reports."""
        return STAGES["report"]

    # Corpora

    def source_identity(self, corpus: str) -> str:
        """A hash of what the catalog says of the files of a corpus.

        Of a user's own files, which are read where they lie, only the names: nothing of them is fetched.
        """
        entry = self.catalog.corpus(corpus)
        own = entry.own_paths()
        return stable_hash(
            [file["path"] if file["path"] in own else file for file in entry.content()["files"]]
        )

    def corpus_identity(self, paper: str, corpus: str) -> str:
        """What the preparation of a corpus for a paper depends on."""
        rules = text_rules(self.catalog, paper, corpus, self.requests[ALL].settings)
        folder = self.results / "corpora" / paper / corpus
        return freshness.corpus_mark(self.catalog.corpus(corpus), rules, folder)

    # Runs

    def run_of(self, name: str) -> RunSettings:
        """The settings of a run, which need not be planned."""
        if name not in self._runs:
            self._runs[name] = find_run(self.catalog, name, self.requests[ALL].settings)
        return self._runs[name]

    def corpus_of(self, run: str) -> str:
        """The prepared corpus of a run."""
        found = self.run_of(run)
        return f"<results>/corpora/{found.paper}/{found.corpus}/corpus.json"

    def start_of(self, run: str) -> list[str]:
        """The run whose weights a run begins with, if there is one."""
        start = self.run_of(run).start
        return [f"<results>/runs/{start}/run.json"] if start else []

    def training_identity(self, run: str) -> str:
        """What the training of a run depends on."""
        return freshness.training_mark(self.run_of(run), self.results)

    def evaluation_identity(self, run: str) -> str:
        """What the evaluation of a run depends on, its measures among it."""
        found = self.run_of(run)
        return freshness.evaluation_mark(found, self.results, wanted, asked(found))

    def needs(self, stage: Stage, run: str, attempt: int) -> Needs:
        """What a stage of a run needs on a cluster, by its settings and its corpus, once that is prepared."""
        found = self.run_of(run)
        card = self.results / "corpora" / found.paper / found.corpus / "card.json"
        needed = training_needs if stage == "train" else evaluation_needs
        return needed(found, sizes_of(card), self.compute.device, attempt)

    # Around the rules

    @staticmethod
    def interpreter(python: Path) -> Path:
        """``python``, if jobs can call it. Raises :class:`BenchError` where its folder has no command ``python``: they
        would find another, or none, as with the Python of a system that calls it ``python3`` alone."""
        if not (python.parent / "python").exists():
            remedy = "use that of a virtual environment (make setup) or of conda"
            raise BenchError(
                "jobs call `python`, and beside this one there is no such command",
                where=python,
                remedy=remedy,
            )
        return python

    def prefix(self, python: Path, tree: Path) -> str:
        """What stands before each shell command: the commands of ``python``, the package in ``tree``.

        A prefix replaces Snakemake's own, so strict mode is repeated.
        """
        paths, package = shlex.quote(str(python.parent)), shlex.quote(str(tree))
        own = shlex.quote(os.environ.get(VARIABLE, ""))
        return (
            f"set -euo pipefail; export PATH={_plain(paths)}:$PATH "
            f"PYTHONPATH={_plain(package)}:${{{{PYTHONPATH:-}}}} "
            f"{VARIABLE}={_plain(own)}; "
        )

    def settings_option(self) -> str:
        """The option that hands on the overrides; their effect is in the identity of each run."""
        return f"--settings {shlex.quote(json.dumps(self.requests[ALL].settings))}"

    def compute_options(self) -> str:
        """The options that say where a run is computed."""
        return f"--device {self.compute.device}"

    def mirror_option(self) -> str:
        """The option that names the mirror, if there is one."""
        return f"--mirror {shlex.quote(self.compute.mirror)}" if self.compute.mirror else ""

    def partial_report(self, asked: Sequence[str]) -> str:
        """The command after a failure, of which ``asked`` are the targets.

        Its path is none that a rule declares, else the next call would find that report, say "nothing to be done"
        and never try the failed run again.
        """
        request = self.request_of_report(f"report-{self._targets(asked)[0]}")
        out = f"{self.compute.results}/report-partial"
        command = ["python", "-m", "bench", "report", "--results", self.compute.results, "--out", out]
        command += ["--request", request, "--partial"]
        message = ["echo", f"What there is, and what failed: {out}/index.html"]
        patient = "trap '' INT"  # whoever presses Ctrl-C again and again still gets the report
        return _plain(f"{patient}; {shlex.join(command)} && {shlex.join(message)} >&2")

    def summary(self, asked: Sequence[str]) -> str:
        """What the report says in a few lines, and where it lies; ``asked`` are the targets of the call."""
        files_alone = asked and not any(name in self.requests for name in asked)
        targets = [] if files_alone else self._targets(asked)
        folders = [(self.results / self.report_of(target)).absolute() for target in targets]
        texts = [folder / SUMMARY for folder in folders]
        found = [text.read_text(encoding="utf-8") for text in texts if text.is_file()]
        return "\n".join([*found, *(f"The report: {folder / 'index.html'}" for folder in folders)])

    def hold_results(self, asked: Sequence[str] = ()) -> None:
        """Lock the results folder until the process ends: one workflow at a time works on it.

        What is ``asked`` for is left there for ``bench status``.

        Raises :class:`BenchError` if another does, from wherever that was started, and where a folder is not ours:
        Snakemake removes the outputs of a job before it starts.
        """
        claim(self.results, RESULTS)
        held = contextlib.ExitStack()
        held.enter_context(locked(self.results, "these results"))
        atexit.register(held.close)
        for name in self.report_names():
            if (self.results / name).exists():
                check(self.results / name, REPORT)
        remember(self.results, [self.requests[name] for name in self._targets(asked)], self.compute.device)

    def _targets(self, asked: Sequence[str]) -> list[str]:
        """Those of ``asked`` that are targets, which may be files instead; ``all`` where none is."""
        return [name for name in asked if name in self.requests] or [ALL]


def _target(report: str) -> str:
    return ALL if report == "report" else report.removeprefix("report-")


def _plain(text: str) -> str:
    """``text`` as Snakemake's shell passes it on: no brace stands for a value."""
    return text.replace("{", "{{").replace("}", "}}")
