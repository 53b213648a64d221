"""Ctrl-C leaves a report of what there is, and of what was stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.base.files import read_json
from tests.conftest import CORPUS, TINY, tiny_settings
from tests.workflow.conftest import ROOT

PATIENCE = 300  # seconds until the training has begun, or the workflow has ended: far more than it takes


def test_ctrl_c_leaves_a_partial_report(tmp_path: Path) -> None:
    endless = {**TINY, "training": {**TINY["training"], "steps": 10_000_000}}
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("BENCH_", "SNAKEMAKE_", "PYTHONPATH"))}
    where = ["-s", str(ROOT / "Snakefile"), "-d", str(tmp_path), "--cores", "1"]
    asked = [
        "--config",
        f"corpora={CORPUS}",
        "papers=coupled-vae",
        "systems=gru-lm",
        f"settings={json.dumps(endless)}",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "snakemake", *where, *asked],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=tmp_path,
        env=kept,
        start_new_session=True,
    )
    try:
        wait_until_training(tmp_path, process)
        for _ in range(3):  # an impatient user
            os.killpg(process.pid, signal.SIGINT)  # what a terminal does: to the workflow and all of its jobs
            time.sleep(0.5)
        output, _ = process.communicate(timeout=PATIENCE)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode != 0
    assert "Traceback" not in output
    index = tmp_path / "results" / "report-partial" / "index.html"
    assert index.exists(), output
    text = index.read_text()
    assert "Partial report." in text
    assert tiny_settings("gru-lm").name in text
    assert "and saved: the same command goes on from there" in text
    assert not (tmp_path / "results" / "report").exists()


def wait_until_training(folder: Path, process: subprocess.Popen[str]) -> None:
    """Until the run says so, and has made some steps."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        found = list((folder / "results" / "state").glob("*/status.json"))
        if found and read_json(found[0])["state"] == "running":
            time.sleep(1)
            return
        time.sleep(0.2)
    pytest.fail(
        f"the training did not begin: {process.communicate()[0] if process.poll() is not None else ''}"
    )
