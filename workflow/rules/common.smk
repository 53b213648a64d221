# The workflow as bench/planning/workflow.py answers it, and how its answers reach the rules. Torch is never imported.

import sys
from pathlib import Path

from snakemake.cli import get_argument_parser
from snakemake.exceptions import WorkflowError

sys.path.insert(0, workflow.basedir)

from bench.base import environment
from bench.base.errors import BenchError
from bench.base.signals import stop_once
from bench.planning.workflow import read_workflow

environment.name_user()
try:
    ASKED = read_workflow(config, sys.argv[1:])
    if workflow.is_main_process:  # and no job of it, which parses this file too
        ASKED.interpreter(Path(sys.executable))
        ASKED.begin(get_argument_parser().parse_known_args()[0].targets)
except BenchError as error:
    sys.exit(str(error))


def answered(answer, *given):
    """What ``answer`` says, or the message of a mistake as it was written."""
    try:
        return answer(*given)
    except BenchError as error:
        raise WorkflowError(str(error)) from None


def of(answer, *names, **fixed):
    """A function of wildcards: ``answer`` to ``fixed`` and to the values of the wildcards that are named."""

    def call(wildcards):
        return answered(answer, *fixed.values(), *(wildcards[name] for name in names))

    return call


def cost_of(target):
    """A function for params: the message of a target, which is another one in a dry run."""

    def call(wildcards):
        return answered(ASKED.cost_of, target, workflow.dryrun)

    return call


def needed(stage, key):
    """A function for resources: the minutes or the memory that a stage of a run needs at its attempt."""

    def call(wildcards, attempt):
        return getattr(answered(ASKED.needs, stage, wildcards.run, attempt), key)

    return call


shell.prefix(ASKED.prefix(Path(sys.executable), Path(workflow.basedir)))
SETTINGS, COMPUTE, MIRROR = ASKED.settings_option(), ASKED.compute_options(), ASKED.mirror_option()
ON_GPU = int(config["device"] == "cuda")  # a machine's profile says how many there are
