"""What a plan costs and what of it is left, in rows and sentences."""

from __future__ import annotations

from dataclasses import replace

from bench.catalog.catalog import load_catalog
from bench.planning.plan import Request, make_plan
from bench.planning.summary import plan_rows, plan_summary
from bench.store.costs import Cost


def test_the_cost_of_a_plan_adds_up_over_its_seeds() -> None:
    plan = make_plan(load_catalog(), Request(systems=("vae", "dae"), seeds=(0, 1), corpora=("ptb", "yahoo")))
    costs = [
        Cost(name, 1_800, 3_600.0, 60.0, 0.0, 10**6, run.corpus == "ptb") for name, run in plan.runs.items()
    ]
    rows = list(plan_rows(costs))
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
    rows = list(plan_rows(costs))
    assert [row[0] for row in rows] == ["coupled-vae/ptb/prefb-vae", "coupled-vae/ptb/dae"]
    assert [row[-2:] for row in rows] == [["36 min", "recorded"], ["0 s", "recorded"]]
    summary, left, extra = plan_summary(costs, plan, (0, 0))
    assert summary.startswith("Tier demo: 3 runs, 8 jobs, 5,400 steps; 3.5 h of one process")
    assert left == "Left: 1 of 3 runs, 36 min of one process."
    assert extra == f"Other runs begin with these, which are trained and not measured: {dae}."
