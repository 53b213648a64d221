"""Every command of the command line: its help, what it writes, what it prints and how it ends."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from bench import __version__
from bench.base.errors import BenchError
from bench.base.files import read_json, write_json
from bench.base.outputs import STATE
from bench.catalog.catalog import load_catalog
from bench.cli.main import main, parser
from bench.cli.options import request_of
from bench.store.freshness import MEASUREMENTS
from bench.store.seal import changed_since
from bench.training.loop import Interrupted
from tests.cli.conftest import CPU, ROOT, RUN, SETTINGS, python
from tests.conftest import CORPUS


def commands() -> list[str]:
    found = next(a for a in parser()._actions if isinstance(a, argparse._SubParsersAction))
    return list(found.choices)


def test_starting_is_light() -> None:
    heavy = "print({'torch', 'pandas', 'numpy', 'pydantic', 'matplotlib'} & set(sys.modules))"
    for code in (
        "import bench, bench.cli.main",
        "from bench.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: pass",
    ):
        done = python("-c", f"import sys\n{code}\n{heavy}")
        assert done.stdout.splitlines()[-1] == "set()", done.stderr


@pytest.mark.parametrize("command", commands())
def test_every_command_helps(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert left.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: bench {command} ")
    assert len(text.splitlines()) > 4


def test_the_installed_command_is_there() -> None:
    """Each as installed: what setuptools writes imports the name and calls it."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    assert set(declared) == {"bench"}
    for entry in declared.values():
        module, _, name = entry.partition(":")
        done = python(
            "-c", f"import sys; from {module} import {name}; sys.argv = ['bench', '--version']; {name}()"
        )
        assert (done.returncode, done.stdout.strip()) == (0, __version__), done.stderr
    installed = Path(sys.executable).with_name("bench")
    if installed.exists():  # of another tree, where that was installed
        done = subprocess.run([installed, "--version"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_the_module_runs_and_knows_its_version() -> None:
    done = python("-m", "bench", "--version")
    assert (done.returncode, done.stdout.strip()) == (0, __version__)
    done = python("-m", "bench", "--help")
    assert done.returncode == 0
    assert set(commands()) <= set(done.stdout.split())


def test_the_whole_way_leaves_what_it_says(made: Path) -> None:
    folder = made / "results" / "runs" / RUN
    run, measured = read_json(folder / "run.json"), read_json(folder / "measurements.json")
    assert (run["name"], run["state"], run["steps"]) == (RUN, "finished", 10)
    assert run["identity"] == measured["identity"]
    assert {"nll", "kl", "mi", "bleu1", "dist1"} <= {number["metric"] for number in measured["measurements"]}
    assert [path.name for path in (made / "results" / "state").iterdir()] == [STATE.mark]
    assert not list(made.rglob("*.part"))


def test_a_short_run_is_measured_where_it_was_trained(here: Path) -> None:
    record = here / "results" / "runs" / RUN / MEASUREMENTS
    before = read_json(record)
    record.unlink()
    assert main(["train", RUN, *CPU, "--settings", SETTINGS, "--evaluate-short"]) == 0
    after = read_json(record)
    assert after["measurements"] == before["measurements"]
    left = {path: path.read_bytes() for path in record.parent.iterdir() if path.is_file()}
    arguments = ["evaluate", RUN, *CPU, "--settings", SETTINGS]
    code = f"import sys; from bench.cli.main import main; main({arguments}); print('torch' in sys.modules)"
    os.utime(record, (0, 0))
    done = python("-c", code)
    assert done.stdout.split() == ["False"], done.stderr
    assert "is measured" in done.stderr
    assert record.stat().st_mtime > 0  # the workflow goes by it
    assert {path: path.read_bytes() for path in left} == left  # nothing else is new


@pytest.mark.parametrize(("file", "text"), [(MEASUREMENTS, "{"), ("sentences.parquet", "nonsense")])
def test_what_was_changed_is_measured_again(here: Path, file: str, text: str) -> None:
    folder = here / "results" / "runs" / RUN
    before = read_json(folder / MEASUREMENTS)["measurements"]
    (folder / file).write_text(text, encoding="utf-8")
    assert main(["evaluate", RUN, *CPU, "--settings", SETTINGS]) == 0
    assert read_json(folder / MEASUREMENTS)["measurements"] == before
    assert not changed_since(read_json(folder / MEASUREMENTS), folder)


def test_a_short_run_that_cannot_be_measured_is_trained(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise BenchError("no room")

    (here / "results" / "runs" / RUN / MEASUREMENTS).unlink()
    monkeypatch.setattr("bench.metrics.evaluate.evaluate_run", fail)
    assert main(["train", RUN, *CPU, "--settings", SETTINGS, "--evaluate-short"]) == 0
    assert "not measured: no room" in capsys.readouterr().err
    assert main(["train", RUN, *CPU, "--settings", SETTINGS, "--evaluate"]) == 2


def test_training_into_a_log_file_writes_no_codes_of_a_terminal(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", RUN, *CPU, "--settings", SETTINGS, "--again"]) == 0
    printed = capsys.readouterr()
    assert "\x1b" not in printed.err
    assert "step 10/10" in printed.err
    assert f"{RUN}: finished, with the weights of step 10: validation nll " in printed.err


def test_the_report_is_built_and_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    request = {
        "papers": ["coupled-vae"],
        "systems": ["vae"],
        "corpora": [CORPUS],
        "settings": json.loads(SETTINGS),
    }
    assert main(["report", "--request", json.dumps(request), "--out", "site", "--partial"]) == 0
    assert capsys.readouterr().out == "site/index.html\n"
    assert (here / "site" / "index.html").stat().st_size > 1000


def test_a_request_is_made_of_json_and_of_options() -> None:
    as_json = ["--request", json.dumps({"tier": "quick", "systems": ["vae", "dae"], "seeds": [0, 1]})]
    options = ["--tier", "quick", "--systems", "vae, dae", "--seeds", "0,1"]
    both = ["--request", '{"tier": "demo", "systems": "vae,dae"}', "--tier", "quick", "--seeds", "0,1"]
    requests = [
        request_of(parser().parse_args(["plan", *words]), load_catalog())
        for words in (as_json, options, both)
    ]
    assert requests[0] == requests[1] == requests[2]
    with_settings = parser().parse_args(["report", "--settings", '{"latent": 3}'])
    assert request_of(with_settings, load_catalog()).settings == {"latent": 3}


def test_a_plan_is_costed_in_a_line_for_each_system(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    request = [
        "--papers",
        "coupled-vae",
        "--systems",
        "gru-lm,vae",
        "--corpora",
        CORPUS,
        "--seeds",
        "0,1",
        "--settings",
        SETTINGS,
    ]
    assert main(["plan", *request, *CPU]) == 0
    header, first, second, summary, left = capsys.readouterr().out.splitlines()
    times = ["train", "validate", "evaluate", "left", "times are"]
    assert header.split("\t") == ["run", "seeds", "steps", *times]
    assert (first.split("\t")[-1], second.split("\t")[-1]) == ("timed", "recorded")
    assert left.startswith("Left: 3 of 4 runs, ")  # one of the VAE's two is done
    assert first.split("\t")[:3] == [f"coupled-vae/{CORPUS}/gru-lm", "2", "10"]
    assert second.split("\t")[:3] == [f"coupled-vae/{CORPUS}/vae", "2", "10"]
    assert summary.startswith("Tier demo: 4 runs, 11 jobs, 40 steps; ")
    assert summary.endswith(" 0.0 MB to download.")


def test_what_is_not_prepared_is_costed_by_assumed_sizes(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(here / "results" / "corpora")
    assert main(["plan", "--systems", "gru-lm", "--corpora", CORPUS, "--settings", SETTINGS, *CPU]) == 0
    _, row, _, _, note = capsys.readouterr().out.splitlines()
    assert row.startswith(f"coupled-vae/{CORPUS}/gru-lm*\t")
    assert note.startswith("* The corpus is not prepared yet")


@pytest.mark.parametrize(
    ("what", "line"),
    [
        (
            "systems",
            "coupled-vae/coupled-vae-rq-1\tCoupled-VAE, RQ, λm 1\tAs coupled-vae, but objective matching weight 1.0.",
        ),
        ("systems", "vae\tVAE\tA variational autoencoder"),
        ("systems", "coupled-vae/sa-vae\tSA-VAE\tSemi-amortised inference, in the model"),
        ("corpora", "ptb\tPenn Treebank\tSentences of the Wall Street Journal"),
        ("papers", "coupled-vae\tCoupled-VAE (ACL 2020)\tOn the Encoder-Decoder"),
        ("tiers", "paper\t\tThe paper's own budget."),
        ("parts", "encoder gru\thidden, bidirectional=True, dropout=0.2\tOne GRU layer"),
    ],
)
def test_what_is_declared_is_listed_a_line_each(
    what: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["list", what]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(found.startswith(line) for found in lines)
    assert not any("\x1b" in found or found.count("\t") != 2 for found in lines)


def test_a_reader_that_has_seen_enough_is_no_fault() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench", "list", "systems"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert (process.stderr.read(), process.wait()) == ("", 0)
    process.stderr.close()


def test_the_status_counts_and_tells_failures(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status"]) == 0
    assert capsys.readouterr().out == "1 trained and measured, 0 in progress or failed\n"
    write_json(here / "results/state/a/status.json", {"name": RUN, "state": "failed", "reason": "no\n luck"})
    (here / "results" / "runs" / RUN / "measurements.json").unlink()
    assert main(["status"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        f"{RUN}\tfailed\tno luck",
        "0 trained and measured, 1 trained but not measured, 1 in progress or failed",
    ]


def test_the_doctor_looks_and_says(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) in (0, 1)
    found = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert ["ok", "corpus generated-styles-tiny", "made when needed", ""] in found  # whole, in a pipe
    (unread,) = (line for line in found if line[1:2] == ["corpus wikilarge"])
    assert unread[0] == "warn"


@pytest.mark.parametrize(
    ("stop", "code"), [(Interrupted(15), 143), (Interrupted(2), 130), (KeyboardInterrupt(), 130)]
)
def test_a_stop_is_told_by_the_exit_code(
    stop: BaseException, code: int, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise stop

    monkeypatch.setattr("bench.training.run.train_run", stopped)
    assert main(["train", RUN]) == code


def test_a_fault_of_the_code_is_not_hidden(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("bench.training.run.train_run", broken)
    with pytest.raises(ZeroDivisionError):
        main(["train", RUN])


def test_a_system_that_cannot_be_built_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "systems.yaml").write_text("new-vae: {title: New, missing: nobody wrote it}\n")
    monkeypatch.setenv("BENCH_CATALOG", str(tmp_path))
    assert main(["list", "systems"]) == 0
    assert "new-vae\tNew\tCannot be built yet: nobody wrote it." in capsys.readouterr().out.splitlines()
    assert main(["settings", "demo/coupled-vae/generated-tiny/new-vae/seed0"]) == 2
    assert "system 'new-vae' cannot be built: nobody wrote it" in capsys.readouterr().err
