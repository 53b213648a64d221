# The plan, and the functions that say what a run or a corpus needs. Torch is never imported here.

import atexit
import contextlib
import functools
import json
import os
import shlex
import sys
from pathlib import Path

import yaml
from snakemake.exceptions import WorkflowError

sys.path.insert(0, workflow.basedir)

from bench.planning import plan, resolve
from bench.corpora.entry import SAID
from bench.base.own import VARIABLE
from bench.catalog.catalog import load_catalog
from bench.catalog.systems import SHOWN
from bench.base.errors import BenchError
from bench.base.files import locked, stable_hash
from bench.store.provenance import code_hash
from bench.planning.resources import evaluation_needs, sizes_of, training_needs
from bench.planning.targets import ALL, check_keys, request_of, targets, typed
from bench.cli.show import recorded_summary
from bench.base.outputs import REPORT, RESULTS, check, claim

SCHEMA = Path(workflow.basedir, "workflow/schemas/config.schema.yaml")
WHERE = "the workflow's configuration (workflow/config/config.yaml, --configfile, --config)"


def read_configuration():
    config.update(typed(config))
    check_keys(config, yaml.safe_load(SCHEMA.read_text())["properties"], WHERE)
    validate(config, str(SCHEMA))
    named = [config["catalog"]] if isinstance(config["catalog"], str) else config["catalog"]
    folders = [str(Path(folder).absolute()) for folder in named]
    os.environ[VARIABLE] = os.pathsep.join([*folders, os.environ.get(VARIABLE, "")])  # jobs see the same folders
    catalog = load_catalog()
    request = request_of(config, catalog, WHERE)
    plan.make_plan(catalog, request)  # every name in it is known
    return catalog, targets(catalog, request)


try:
    CATALOG, REQUESTS = read_configuration()
except BenchError as error:
    sys.exit(str(error))


def explained(function):
    """Show the message of a mistake as it was written."""

    @functools.wraps(function)
    def call(*arguments):
        try:
            return function(*arguments)
        except BenchError as error:
            raise WorkflowError(str(error)) from None

    return call


# The commands run with the interpreter that runs Snakemake and with the package beside the Snakefile. A prefix
# replaces Snakemake's own, so strict mode is repeated.
BIN, TREE = shlex.quote(str(Path(sys.executable).parent)), shlex.quote(workflow.basedir)
OWN = shlex.quote(os.environ[VARIABLE])
shell.prefix(
    f"set -euo pipefail; export PATH={BIN}:$PATH PYTHONPATH={TREE}:${{{{PYTHONPATH:-}}}} "
    f"{VARIABLE}={OWN}; "
)

# Arguments that change no number, or whose effect is tracked as the identity of each run: not params.
ROOT = shlex.quote(config["results"])
SETTINGS = shlex.quote(json.dumps(config["settings"]))
MIRROR = f"--mirror {shlex.quote(config['mirror'])}" if config["mirror"] else ""
COMPUTE = f"--settings {SETTINGS} --device {config['device']}"
ON_GPU = int(config["device"] == "cuda")  # a machine's profile says how many there are


@functools.cache
@explained
def runs_of(target):
    return plan.make_plan(CATALOG, REQUESTS[target]).runs


@functools.cache
@explained
def run_of(name):
    return resolve.find_run(CATALOG, name, config["settings"])


def report_folder(target):
    """A target that plans the same runs as ``all`` shares its report."""
    return "report" if runs_of(target) == runs_of(ALL) else f"report-{target}"


def measurements_of(target):
    return [f"<results>/runs/{run}/measurements.json" for run in runs_of(target)]


def results_of(target):
    """An input function: the report, and the measurements, so that a failed run is tried again by the next call."""

    def files(wildcards):
        return [f"<results>/{report_folder(target)}/index.html", *measurements_of(target)]

    return files


def cost_of(target):
    """A function for params: in a dry run, what is known of the cost of a target and what of it is left."""

    @explained
    def cost(wildcards):
        if not workflow.dryrun:
            return f"The results of {target} are complete."
        wanted = plan.make_plan(CATALOG, REQUESTS[target])
        found = recorded_summary(CATALOG, wanted, Path(config["results"]), config["device"])
        return f"{target}: {found}"

    return cost


def target_of_report(wildcards):
    return wildcards.report.removeprefix("report-") if wildcards.report != "report" else ALL


def measurements_of_report(wildcards):
    return measurements_of(target_of_report(wildcards))


def request_of_report(wildcards):
    return as_json(REQUESTS[target_of_report(wildcards)])


def as_json(request):
    return json.dumps(request.model_dump(mode="json", exclude_none=True), sort_keys=True)


def declared_of_report(wildcards):
    """What the report shows of the catalog: titles, tables, reported numbers."""
    target = target_of_report(wildcards)
    papers, runs = REQUESTS[target].papers, runs_of(target).values()
    systems = {(paper, name) for paper in papers for name in plan.systems_of(CATALOG, paper)} | {
        (r.paper, r.system) for r in runs
    }
    corpora = {name for paper in papers for name in CATALOG.paper(paper).corpora} | {r.corpus for r in runs}
    shown = [
        *(CATALOG.paper(paper).model_dump(mode="json") for paper in papers),
        *(CATALOG.system(*name).model_dump(mode="json", include=SHOWN) for name in sorted(systems)),
        *(CATALOG.corpus(name).model_dump(mode="json", include=set(SAID)) for name in sorted(corpora)),
    ]
    return stable_hash(shown)


@explained
def source_identity(wildcards):
    """Of a user's own files, which are read where they lie, only the names: nothing of them is fetched."""
    entry = CATALOG.corpus(wildcards.corpus)
    own = entry.own_paths()
    return stable_hash([file["path"] if file["path"] in own else file for file in entry.content()["files"]])


@explained
def corpus_identity(wildcards):
    entry = CATALOG.corpus(wildcards.corpus)
    rules = resolve.text_rules(CATALOG, wildcards.paper, wildcards.corpus, config["settings"])
    return stable_hash([entry.content(), rules.model_dump(mode="json")])


def corpus_code(wildcards):
    return code_hash("prepare", corpus=CATALOG.corpus(wildcards.corpus))


def corpus_of_run(wildcards):
    run = run_of(wildcards.run)
    return f"<results>/corpora/{run.paper}/{run.corpus}/corpus.json"


def start_of_run(wildcards):
    """The run whose weights this one begins with."""
    start = run_of(wildcards.run).start
    return [f"<results>/runs/{start}/run.json"] if start else []


def training_identity(wildcards):
    return run_of(wildcards.run).training_identity


def training_code(wildcards):
    return code_hash("train", run=run_of(wildcards.run))


def needed(needs, key):
    """A resource function: what a run needs on a cluster, from its settings and its corpus, once that is prepared."""

    def resource(wildcards, attempt):
        run = run_of(wildcards.run)
        card = Path(config["results"], "corpora", run.paper, run.corpus, "card.json")
        return getattr(needs(run, sizes_of(card), config["device"], attempt), key)

    return resource


def run_identity(wildcards):
    return run_of(wildcards.run).identity


def evaluation_code(wildcards):
    return code_hash("evaluate", run=run_of(wildcards.run))


HELD = contextlib.ExitStack()
atexit.register(HELD.close)


@explained
def hold_results():
    """One workflow at a time works on a results folder, from wherever it was started; killed, it lets go.

    Snakemake removes the outputs of a job before it starts: whether they are ours is asked before."""
    results = Path(config["results"])
    claim(results, RESULTS)
    HELD.enter_context(locked(results, "these results"))
    for name in ("report", *(f"report-{target}" for target in REQUESTS)):
        if (results / name).exists():
            check(results / name, REPORT)


def partial_report():
    """The command after a failure. Its path is none that a rule declares, else the next call would find that report,
    say "nothing to be done" and never try the failed run again."""
    asked = [target for target in workflow.dag_settings.targets if target in REQUESTS]
    request = shlex.quote(as_json(REQUESTS[asked[0] if asked else ALL]))
    command = (
        f"python -m bench report --results {ROOT} --out {ROOT}/report-partial --request {request} --partial"
    )
    message = f"echo What there is, and what failed: {ROOT}/report-partial/index.html >&2"
    return f"{command} && {message}".replace("{", "{{").replace("}", "}}")
