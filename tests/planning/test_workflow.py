"""What the rules of the workflow ask, without Snakemake."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bench.base.errors import BenchError
from bench.base.files import write_json
from bench.base.locks import locked
from bench.base.own import VARIABLE
from bench.planning.plan import make_plan
from bench.planning.workflow import Workflow, read_workflow

CONFIG: dict[str, Any] = {
    "tier": "demo",
    "papers": ["coupled-vae"],
    "corpora": None,
    "tables": None,
    "systems": "vae,prefb-vae",
    "seeds": "0-1",
    "settings": {},
    "device": "auto",
    "threads_per_run": 1,
    "mirror": None,
    "catalog": [],
    "results": "results",
}
RUN = "demo/coupled-vae/generated-clear/vae/seed0"


def workflow(**changes: Any) -> Workflow:
    return read_workflow(CONFIG | changes, [])


def test_the_values_that_rules_use_are_those_that_were_read() -> None:
    config = CONFIG | {"threads_per_run": "2", "results": 2024}
    assert read_workflow(config, []).results == Path("2024")
    assert config["results"] == "2024"


def test_the_files_of_a_target_are_its_report_and_the_measurements_of_its_plan() -> None:
    asked = workflow()
    report, *measured = asked.files_of("all")
    assert report == "<results>/report/index.html"
    plan = make_plan(asked.catalog, asked.requests["all"])
    assert measured == [f"<results>/runs/{run}/measurements.json" for run in plan.runs]
    assert len(measured) == 4
    assert asked.files_of("coupled-vae_table1")[0] == "<results>/report-coupled-vae_table1/index.html"
    assert workflow(systems=None).report_of("demo") == "report"  # which plans the same runs
    assert {asked.report_of(target) for target in asked.requests} <= set(asked.report_names())


def test_a_mistake_in_what_is_asked_for_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    workflow().check_targets(["all", "coupled-vae_table1", "results/report/index.html"])
    with pytest.raises(BenchError, match="unknown target 'coupled-vea'") as caught:
        workflow().check_targets(["coupled-vea"])
    assert str(caught.value.remedy).startswith("did you mean 'coupled-vae'?")
    with pytest.raises(BenchError, match="the mirror is not there"):
        workflow(mirror="/nope")
    monkeypatch.setenv("BENCH_MIRROR", "/nope")
    with pytest.raises(BenchError, match="the mirror is not there"):
        workflow().begin(["demo"])
    monkeypatch.delenv("BENCH_MIRROR")
    with pytest.raises(BenchError, match="unknown system 'vea'"):
        workflow(systems="vea").begin(["demo"])


def test_a_report_asks_for_what_its_target_stands_for() -> None:
    asked = workflow()
    assert json.loads(asked.request_of_report("report"))["systems"] == ["vae", "prefb-vae"]
    assert json.loads(asked.request_of_report("report-demo"))["tier"] == "demo"
    assert asked.measurements_of_report("report") == asked.measurements_of("all")
    other = workflow(corpora="generated-tiny")
    assert asked.declared_of_report("report") != other.declared_of_report("report")


def test_a_report_is_made_again_for_external_numbers(tmp_path: Path) -> None:
    name = "external/ours/coupled-vae/ptb/vae/seed0/measurements.json"
    (tmp_path / name).parent.mkdir(parents=True)
    write_json(tmp_path / name, {})
    misplaced = "external/ours/ptb/nll.json"  # which the report names
    (tmp_path / misplaced).parent.mkdir(parents=True)
    write_json(tmp_path / misplaced, {})
    asked = workflow(results=str(tmp_path))
    files = [f"<results>/{path}" for path in (name, misplaced)]
    assert asked.measurements_of_report("report") == [*asked.measurements_of("all"), *files]


def test_what_is_asked_is_a_target_or_a_file(tmp_path: Path) -> None:
    asked = workflow(results=str(tmp_path))
    of_demo = f"The report: {tmp_path / asked.report_of('demo') / 'index.html'}"
    assert asked.summary([]) == f"The report: {tmp_path / 'report' / 'index.html'}"
    assert asked.summary(["demo", "results/x/index.html"]) == of_demo
    assert asked.summary(["results/x/index.html"]) == ""


def test_a_run_needs_its_corpus_and_the_run_that_it_begins_with(tmp_path: Path) -> None:
    asked = workflow(results=str(tmp_path))
    assert asked.corpus_of(RUN) == "<results>/corpora/coupled-vae/generated-clear/corpus.json"
    assert asked.start_of(RUN) == []
    (start,) = asked.start_of(RUN.replace("/vae/", "/prefb-vae/"))
    assert start == f"<results>/runs/{RUN.replace('/vae/', '/dae/')}/run.json"
    assert asked.training_identity(RUN) == asked.run_of(RUN).training_identity
    assert asked.evaluation_identity(RUN) != asked.evaluation_identity(RUN.replace("/vae/", "/dae/"))
    first, second = (asked.needs("train", RUN, attempt) for attempt in (1, 2))
    assert second.minutes == 2 * first.minutes
    splits: dict[str, dict[str, Any]] = {split: {"texts": 10**6} for split in ("train", "valid", "test")}
    splits["train"] |= {"length": {"mean": 100.0, "max": 200}}
    card = tmp_path / "corpora" / "coupled-vae" / "generated-clear" / "card.json"
    write_json(card, {"vocabulary_size": 10**6, "splits": splits})
    assert asked.needs("evaluate", RUN, 1).mem_mb > asked.needs("train", "quick" + RUN[4:], 1).mem_mb / 2
    with pytest.raises(BenchError, match="unknown system 'vea'"):
        asked.run_of(RUN.replace("/vae/", "/vea/"))


def test_the_cost_is_told_in_a_dry_run(tmp_path: Path) -> None:
    asked = workflow(results=str(tmp_path))
    assert asked.cost_of("all", dry=True).startswith("all: 6 runs, ")
    assert asked.cost_of("all", dry=False) == "The results of all are complete."


def test_a_corpus_of_the_user_is_read_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "corpora").mkdir()
    entry = "name: mine\ntitle: Mine\nfiles: {train: a.txt, valid: b.txt, test: c.txt}\n"
    (tmp_path / "corpora" / "mine.yaml").write_text(entry)
    asked = workflow(catalog=str(tmp_path), corpora="mine")
    before = asked.corpus_identity("coupled-vae", "mine")
    (tmp_path / "corpora" / "a.txt").write_text("a text\n")
    after = asked.corpus_identity("coupled-vae", "mine")
    assert after != before  # its content counts, not its place
    moved = shutil.copytree(tmp_path, tmp_path / "moved")
    monkeypatch.setenv(VARIABLE, "")  # which the workflow sets for its jobs
    there = workflow(catalog=str(moved), corpora="mine")
    assert there.corpus_identity("coupled-vae", "mine") == after
    assert there.source_identity("mine") == asked.source_identity("mine")
    assert asked.corpus_identity("coupled-vae", "mine") != asked.corpus_identity("coupled-vae", "ptb")


def test_a_python_that_jobs_cannot_call_is_told(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="virtual environment"):
        Workflow.interpreter(tmp_path / "python3")
    (tmp_path / "python").touch()
    assert Workflow.interpreter(tmp_path / "python3") == tmp_path / "python3"


def shell(asked: Workflow, command: str) -> str:
    """What a command prints after the prefix, once Snakemake has put values for braces."""
    prefix = asked.prefix(Path("/a b/bin/python"), Path("/my tree/{x}")).replace("{{", "{").replace("}}", "}")
    done = subprocess.run(["bash", "-c", prefix + command], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_blanks_and_braces_stay_whole_in_every_command(tmp_path: Path) -> None:
    own, held = tmp_path / "my catalog", tmp_path / "my mirror"
    own.mkdir()
    held.mkdir()
    settings = {"training": {"steps": "5"}}
    asked = workflow(results="my results", mirror=str(held), catalog=str(own), settings=settings)
    assert shell(asked, 'echo "${PATH%%:*}"').strip() == "/a b/bin"
    assert shell(asked, 'echo "${PYTHONPATH%%:*}"').strip() == "/my tree/{x}"
    assert shell(asked, 'echo "${BENCH_CATALOG%%:*}"').strip() == str(own)
    assert shlex.split(asked.mirror_option()) == ["--mirror", str(held)]
    assert json.loads(shlex.split(asked.settings_option())[1]) == {"training": {"steps": 5}}
    command = asked.partial_report(["no target", "coupled-vae"]).replace("{{", "{").replace("}}", "}")
    words = shlex.split(command)
    assert words[words.index("--out") + 1] == "my results/report-partial"
    assert words[words.index("--request") + 1] == asked.request_of_report("report-coupled-vae")
    assert "my results/report-partial/index.html" in words[-2]


def test_one_workflow_holds_the_results(tmp_path: Path) -> None:
    asked = workflow(results=str(tmp_path / "results"))
    with locked(tmp_path / "results", "these results"), pytest.raises(BenchError, match="these results"):
        asked.hold_results()
    asked.hold_results()
    with pytest.raises(BenchError, match="these results"), locked(tmp_path / "results", "these results"):
        pass
