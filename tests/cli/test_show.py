"""What is printed on terminals of any width and into a pipe."""

from __future__ import annotations

import io
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from bench.base.errors import BenchError
from bench.base.files import write_json
from bench.catalog.catalog import load_catalog
from bench.cli.console import print_grid, print_line, print_rows, span
from bench.cli.show import check_results, counts, plan_rows, plan_summary, progress
from bench.planning.plan import Request, make_plan
from bench.planning.resolve import find_run
from bench.store.costs import Cost
from bench.store.freshness import state_folder

LONG = "A text that is longer than a narrow terminal is wide, and so has to be broken into lines."
ROWS = [("first", "One [b]title[/b]", LONG), ("second", "", "Short\n and   broken.")]
NUMBERS = [["coupled-vae/generated-small/coupled-beta-0.8-vae*", "2", "1,800", "3 min", "45 s", "41 s"]]
HEADER = ("run", "seeds", "steps", "train", "validate", "evaluate")


def printed(width: int, *, terminal: bool, numbers: bool = False) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)
    print_rows(console, NUMBERS if numbers else ROWS, HEADER if numbers else (), numbers=numbers)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [20, 80, 200])
def test_a_pipe_gets_a_line_for_each_row_whatever_the_width(width: int) -> None:
    assert printed(width, terminal=False) == f"first\tOne [b]title[/b]\t{LONG}\nsecond\t\tShort and broken.\n"
    assert (
        printed(width, terminal=False, numbers=True)
        == "\t".join(HEADER) + "\n" + "\t".join(NUMBERS[0]) + "\n"
    )


@pytest.mark.parametrize("width", [30, 60, 100, 140])
def test_a_terminal_is_not_exceeded_and_no_word_is_lost(width: int) -> None:
    text = printed(width, terminal=True)
    assert max(map(len, text.splitlines())) <= width
    if width < 90:
        assert text.splitlines()[0] == "first"
    words = set(" ".join(word for row in ROWS for word in row).split())
    assert words <= set(text.split())


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("width", [40, 120])
def test_no_text_moves_the_cursor(width: int, terminal: bool) -> None:
    console = Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)
    print_rows(console, [("a\x1b[2J", "failed", "no\rsuch \x07file")])
    print_grid(console, [("a\x1b[2J", "no\rsuch \x07file")])
    print_line(console, "a\x1b[2J", "no\rsuch \x07file")
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert text.count("a[2J") == text.count("no such file") == 3
    assert all(character.isprintable() for line in text.split("\n") for character in line.replace("\t", ""))


@pytest.mark.parametrize("width", [50, 80, 120])
def test_numbers_stay_whole(width: int) -> None:
    text = printed(width, terminal=True, numbers=True)
    assert max(map(len, text.splitlines())) <= width
    assert all(number in text for number in NUMBERS[0][1:])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (89, "89 s"), (100, "2 min"), (5_000, "83 min"), (9_000, "2.5 h"), (864_000, "10.0 days")],
)
def test_a_time_is_told_in_one_unit(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_the_cost_of_a_plan_adds_up_over_its_seeds() -> None:
    plan = make_plan(load_catalog(), Request(systems=("vae", "dae"), seeds=(0, 1), corpora=("ptb", "yahoo")))
    costs = [
        Cost(name, 1_800, 3_600.0, 60.0, 0.0, 10**6, run.corpus == "ptb") for name, run in plan.runs.items()
    ]
    rows = list(plan_rows(costs, plan))
    assert rows[0] == ["coupled-vae/ptb/vae*", "2", "1,800", "2.0 h", "2 min", "0 s", "2.0 h", "timed"]
    assert [row[0] for row in rows[2:]] == ["coupled-vae/yahoo/vae", "coupled-vae/yahoo/dae"]
    first, left, note = plan_summary(costs, plan, (1_500_000, 1))
    assert left == "Left: 8 of 8 runs, 8.1 h of one process."
    assert first == (
        "Tier demo: 8 runs, 21 jobs, 14,400 steps; 8.1 h of one process on this device, 8 MB on disk, "
        "1.5 MB to download and 1 file of unknown size."
    )
    assert note.startswith("*")


def test_what_is_left_of_a_plan_and_what_its_runs_begin_with() -> None:
    plan = make_plan(load_catalog(), Request(systems=("prefb-vae",), corpora=("ptb",), seeds=(0, 1)))
    first, second = plan.runs
    dae = first.replace("prefb-vae", "dae")
    whole = Cost(first, 1_800, 3_600.0, 600.0, 60.0, 10**6, basis="recorded", trained=1.0, measured=True)
    costs = [
        whole,
        replace(whole, name=second, trained=0.5, measured=False),
        replace(whole, name=dae, evaluation=0.0, measured=False),
    ]
    assert [cost.left for cost in costs] == [0.0, 2_160.0, 0.0]
    rows = list(plan_rows(costs, plan))
    assert [row[0] for row in rows] == ["coupled-vae/ptb/prefb-vae", "coupled-vae/ptb/dae"]
    assert [row[-2:] for row in rows] == [["36 min", "recorded"], ["0 s", "recorded"]]
    summary, left, extra = plan_summary(costs, plan, (0, 0))
    assert summary.startswith("Tier demo: 3 runs, 8 jobs, 5,400 steps; 3.5 h of one process")
    assert left == "Left: 1 of 3 runs, 36 min of one process."
    assert extra == f"Other runs begin with these, which are trained and not measured: {dae}."


NAME = "demo/coupled-vae/ptb/vae/seed0"
STATUS = {"name": NAME, "state": "running", "step": 50, "steps": 200, "seconds": 100.0, "data_hash": "d"}
STEPS = {"training": {"steps": 200}}


def states(results: Path) -> list[list[str]]:
    return list(progress(results, load_catalog(), STEPS))


def test_a_training_that_is_silent_is_told_from_one_that_runs(tmp_path: Path) -> None:
    own = state_folder(tmp_path / "state", find_run(load_catalog(), NAME, STEPS), "d")
    for folder, age in ((tmp_path / "state" / "0", 10), (own, 3 * 3600)):
        write_json(folder / "status.json", STATUS)
        then = time.time() - age
        os.utime(folder / "status.json", (then, then))
    write_json(
        tmp_path / "state" / "worse" / "status.json", {"name": "b/run", "state": "failed", "reason": "x"}
    )
    (tmp_path / "state" / "worst").mkdir()
    (tmp_path / "state" / "worst" / "status.json").write_text("{")
    running, silent, failed, damaged = states(tmp_path)
    assert running == [NAME, "running", "step 50 of 200 (25%), about 5 min left"]
    assert silent[1] == "silent"
    assert silent[2].endswith("nothing heard for 3.0 h; the same command goes on from there")
    assert failed == ["b/run", "failed", "x"]
    assert damaged[:2] == [str(tmp_path / "state/worst/status.json"), "damaged"]


def test_only_what_a_command_goes_on_from_is_said_to_go_on(tmp_path: Path) -> None:
    run = find_run(load_catalog(), NAME, STEPS)
    stopped = STATUS | {"state": "stopped"}
    corpus = tmp_path / "corpora" / run.paper / run.corpus / "corpus.json"
    goes_on, begins = (
        "goes on from there",
        "of other settings, data or code: the same command begins with the first",
    )
    write_json(state_folder(tmp_path / "state", run, "d") / "status.json", stopped)
    for data_hash, said in ((None, goes_on), ("d", goes_on), ("e", begins)):
        if data_hash is not None:
            write_json(corpus, {"data_hash": data_hash})
        assert said in states(tmp_path)[0][2]
    write_json(corpus, {"data_hash": "d"})
    ((_, state, said),) = progress(tmp_path, load_catalog(), {})  # 1,800 steps
    assert state == "stopped"
    assert begins in said
    write_json(
        state_folder(tmp_path / "state", run, "d") / "status.json",
        stopped | {"name": NAME.replace("vae/s", "v/s")},
    )
    assert "unknown system 'v'" in states(tmp_path)[0][2]


def test_what_is_finished_is_counted(tmp_path: Path) -> None:
    for seed, files in enumerate([("run.json",), ("run.json", "measurements.json"), ()]):
        folder = tmp_path / "runs/demo/paper/corpus/system" / f"seed{seed}"
        folder.mkdir(parents=True)
        for file in files:
            (folder / file).write_text("{}")
    assert counts(tmp_path) == "1 trained and measured, 1 trained but not measured"


def test_results_that_are_not_there_are_told(tmp_path: Path) -> None:
    check_results(tmp_path)
    with pytest.raises(BenchError, match="results folder not found"):
        check_results(tmp_path / "absent")
