"""What the workflow plans: exactly the runs of the plan, and a clear message for every mistake."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.catalog.catalog import load_catalog
from bench.planning.plan import make_plan, request_of, with_starts

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("arguments", "target", "request_"),
    [
        ([], "all", {}),
        (
            ["tier=quick", "papers=coupled-vae", "corpora=ptb", "seeds=[0,1]"],
            "all",
            {"tier": "quick", "papers": "coupled-vae", "corpora": "ptb", "seeds": (0, 1)},
        ),
        (["tier=paper"], "coupled-vae", {"tier": "paper", "papers": "coupled-vae"}),
        (
            ["tier=paper"],
            "coupled-vae_table4",
            {"tier": "paper", "papers": "coupled-vae", "tables": ("table4",), "corpora": ("ptb", "yelp13")},
        ),
        (["tier=paper"], "demo", {"tier": "demo"}),
    ],
)
def test_the_jobs_are_those_of_the_plan(
    arguments: list[str], target: str, request_: dict[str, Any], snakemake: Any, counts: Any, tmp_path: Path
) -> None:
    config = ["--config", *arguments] if arguments else []
    done = snakemake(tmp_path, "--dry-run", *([] if target == "all" else [target]), *config)
    assert done.returncode == 0, done.stderr
    catalog = load_catalog()
    plan = make_plan(catalog, request_of(request_, catalog, "a test"))
    trained = with_starts(catalog, plan).runs
    assert f"{target}: {len(trained)} runs, " in done.stdout + done.stderr  # and what is known of their cost
    corpora = {corpus for _, corpus in plan.corpora}
    jobs = {
        "fetch": len(corpora),
        "prepare": len(plan.corpora),
        "train": len(trained),
        "evaluate": len(plan.runs),
    }
    assert counts(done) == {**jobs, "report": 1, target: 1}


def test_a_run_that_begins_with_anothers_weights_waits_for_it(
    snakemake: Any, counts: Any, tmp_path: Path
) -> None:
    done = snakemake(tmp_path, "--dry-run", "--config", "systems=prefb-vae")
    assert counts(done) == {"fetch": 1, "prepare": 1, "train": 2, "evaluate": 1, "report": 1, "all": 1}
    trained = re.search(
        r"rule train:\n +input: (.*)\n +output: .*/prefb-vae/seed0/", done.stdout + done.stderr
    )
    assert trained is not None
    assert "results/runs/demo/coupled-vae/generated-clear/dae/seed0/run.json" in trained[1]


def test_a_dry_run_imports_neither_torch_nor_the_downloader(tmp_path: Path) -> None:
    arguments = ["-n", "-q", "-s", str(ROOT / "Snakefile"), "-d", str(tmp_path), "--cores", "1"]
    code = (
        "import sys; from snakemake.cli import main\n"
        f"try: main({arguments})\n"
        "except SystemExit as done: assert not done.code, done.code\n"
        "assert 'bench.planning.plan' in sys.modules\n"
        "print({'torch', 'pooch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stdout.strip().splitlines()[-1] == "set()", done.stderr


def test_the_profile_of_a_gpu_machine_gives_each_run_a_card(snakemake: Any, tmp_path: Path) -> None:
    profile = str(ROOT / "workflow" / "profiles" / "gpu")
    default, gpu = (
        snakemake(tmp_path, "-n", "--config", "papers=coupled-vae", "systems=vae", *arguments).stdout
        for arguments in ((), ("--profile", profile))
    )
    assert (default.count("gpu=0"), default.count("gpu=1")) == (2, 0)
    assert (gpu.count("gpu=0"), gpu.count("gpu=1")) == (0, 2)


@pytest.mark.parametrize(
    ("mistake", "found", "nearest"),
    [
        ("tire=quick", "unknown configuration key 'tire'", "'tier'"),
        ("systems=[vae,coupled-vea]", "unknown system 'coupled-vea'", "'coupled-vae'"),
        ("device=gpu", "device is 'gpu'", "auto, cpu, cuda"),
        ("seeds=1:5", "'1:5' is no seed", "a range as 0-4"),
        ("results=2024_01", "which Snakemake reads as 202401", 'results="2024_01"'),
    ],
)
def test_a_mistake_in_the_configuration_is_explained(
    mistake: str, found: str, nearest: str, snakemake: Any, tmp_path: Path
) -> None:
    done = snakemake(tmp_path, "--dry-run", "--config", mistake)
    output = done.stdout + done.stderr
    assert done.returncode == 1
    assert found in output
    assert nearest in output
    assert "Traceback" not in output


def test_a_run_outside_the_plan_can_be_named_by_its_path(snakemake: Any, counts: Any, tmp_path: Path) -> None:
    path = "results/runs/quick/coupled-vae/generated-tiny/{}/seed7/run.json"
    done = snakemake(tmp_path, "--dry-run", path.format("vae"))
    assert counts(done) == {"fetch": 1, "prepare": 1, "train": 1}
    done = snakemake(tmp_path, "--dry-run", path.format("vea"))
    assert done.returncode == 1
    assert "did you mean 'vae'?" in done.stderr + done.stdout
