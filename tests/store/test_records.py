"""The state of every run, and that nothing damaged passes in silence."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

from bench.planning.plan import Plan, Request, make_plan
from bench.store.records import RunRecord, load_records
from tests.conftest import raise_version

RUN = "paper/coupled-vae/ptb/vae/seed0"


@pytest.fixture
def plan(catalog: Any) -> Plan:
    return make_plan(
        catalog, Request.model_validate({"tier": "paper", "corpora": ("ptb",), "systems": ("vae",)})
    )


def load(results: Any, plan: Plan) -> RunRecord:
    return load_records(results.root, plan.runs).runs[0]


def edit(path: Path, **fields: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_a_finished_run(results: Any, plan: Plan) -> None:
    results.corpus()
    results.run(RUN)
    record = load(results, plan)
    assert (record.state, record.faults) == ("finished", [])
    found = record.find("kl", None)
    assert found is not None
    assert found.estimator == "monte-carlo"  # the main one
    assert record.find("kl", "analytic") is not None
    assert record.find("kl", "magic") is None
    assert set(record.tables) == {"training.parquet", "validation.parquet", "sentences.parquet"}


def test_states_without_a_result(results: Any, plan: Plan) -> None:
    assert load(results, plan).reason == "the corpus ptb is not prepared"
    results.corpus()
    record = load(results, plan)
    assert (record.state, record.reason) == ("not run", "not started")
    results.status(RUN, step=300, steps=60000, state="running")
    record = load(results, plan)
    assert record.state == "running"
    assert "step 300 of 60000" in record.reason
    results.status(RUN, step=400, steps=60000, state="stopped")
    reason = load(results, plan).reason
    assert reason == "stopped at step 400 of 60000 and saved: the same command goes on from there"
    results.status(RUN, state="failed", reason="MemoryError: no room")
    results.log(RUN, "first\nlast words\n")
    record = load(results, plan)
    assert (record.state, record.reason) == ("failed", "MemoryError: no room")
    assert record.log_tail.endswith("last words")


def test_a_state_that_no_training_goes_on_from_is_told_as_such(
    results: Any, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    results.corpus()
    stopped = {"steps": 60000, "state": "stopped"}
    results.status(RUN, data_hash="e" * 64, step=400, **stopped)
    other = "a training under other settings, data or code came to step 400 of 60000"
    record = load(results, plan)
    assert (record.state, record.reason) == (
        "not run",
        f"{other}: the same command begins with the first step",
    )
    own = results.status(RUN, step=300, **stopped) / "status.json"
    os.utime(own, (0, 0))  # older than the other
    record = load(results, plan)
    assert (record.state, record.reason[:26]) == ("running", "stopped at step 300 of 600")
    raise_version(monkeypatch, "posterior", "gaussian")
    assert load(results, plan).reason.startswith(other)


def test_the_logs_are_read_through_once_for_all_runs(
    results: Any, catalog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"paper/coupled-vae/ptb/{system}/seed{seed}" for system in ("vae", "dae") for seed in range(4)]
    for name in names:
        results.log(name, f"of {name}")
    other = results.root / "logs" / "elsewhere" / names[0] / "train.log"
    other.parent.mkdir(parents=True)
    other.write_text("of another place")
    read: list[str] = []
    scandir = os.scandir

    def counted(path: Any) -> Any:
        read.append(str(path))
        return scandir(path)

    monkeypatch.setattr("os.scandir", counted)
    folders = []
    for seeds in (1, 4):
        read.clear()
        asked = {
            "tier": "paper",
            "corpora": ("ptb",),
            "systems": ("vae", "dae"),
            "seeds": tuple(range(seeds)),
        }
        runs = load_records(results.root, make_plan(catalog, Request.model_validate(asked)).runs).runs
        assert len(runs) == 2 * seeds
        for record in runs:
            assert record.logs[0] == results.root / "logs" / "train" / f"{record.name}.log"
            assert record.logs[1:] == ([other] if record.name == names[0] else [])
        folders.append([path for path in read if path.startswith(str(results.root / "logs"))])
    assert folders[0] == folders[1] != []


def test_a_diverged_run(results: Any, plan: Plan) -> None:
    results.corpus()
    results.run(RUN, state="diverged", reason="loss became NaN at step 312")
    record = load(results, plan)
    assert (record.state, record.reason, record.measurements) == (
        "diverged",
        "loss became NaN at step 312",
        [],
    )


def test_a_run_that_diverged_before_anything_was_recorded_is_not_damaged(results: Any, plan: Plan) -> None:
    results.corpus()
    folder = results.run(RUN, state="diverged", reason="NaN at step 1", files={"model.safetensors": "w"})
    for name in ("training.parquet", "validation.parquet"):
        pandas.DataFrame([]).to_parquet(folder / name)
    assert load(results, plan).faults == []


def test_a_run_of_another_configuration_is_not_used(results: Any, plan: Plan) -> None:
    results.corpus()
    folder = results.run(RUN)
    settings = results.settings(RUN).model_dump(mode="json") | {"latent": 31}
    edit(folder / "run.json", settings=settings)
    record = load(results, plan)
    assert (record.state, record.measurements) == ("stale", [])
    assert "another configuration (latent 31, now 32): run it again" in record.reason


@pytest.mark.parametrize("change", [{"weights_sha256": "other"}, {"identity": "other"}])
def test_measurements_of_other_weights_or_settings_are_not_used(
    results: Any, plan: Plan, change: dict[str, str]
) -> None:
    results.corpus()
    edit(results.run(RUN) / "measurements.json", **change)
    record = load(results, plan)
    assert (record.state, record.measurements) == ("stale", [])
    assert "evaluate it again" in record.reason


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("run.json", "damaged"),
        ("measurements.json", "damaged"),
        ("training.parquet", "finished"),
        ("sentences.parquet", "finished"),
        ("texts.json", "finished"),
    ],
)
def test_a_truncated_file_is_reported(results: Any, plan: Plan, name: str, state: str) -> None:
    results.corpus()
    path = results.run(RUN) / name
    path.write_bytes(path.read_bytes()[:40])
    record = load(results, plan)
    assert record.state == state
    assert len(record.faults) == 1
    assert record.faults[0].startswith(f"{name}: ")


def test_an_unreadable_table_without_a_listed_hash_is_reported(results: Any, plan: Plan) -> None:
    results.corpus()
    folder = results.run(RUN)
    edit(folder / "run.json", files={"model.safetensors": "w"})
    (folder / "training.parquet").write_bytes(b"PAR1 nonsense")
    assert load(results, plan).faults[0].startswith("training.parquet: cannot be read")


def test_a_failed_evaluation_is_a_failure_with_its_reason(results: Any, plan: Plan) -> None:
    results.corpus()
    folder = results.run(RUN)
    (folder / "measurements.json").unlink()
    (folder / "status.json").write_text('{"name": "a", "state": "failed", "reason": "KeyError: 1"}')
    record = load(results, plan)
    assert (record.state, record.reason) == ("failed", "in its evaluation: KeyError: 1")


def test_a_missing_file_is_reported(results: Any, plan: Plan) -> None:
    results.corpus()
    (results.run(RUN) / "histograms.json").unlink()
    assert load(results, plan).faults == ["histograms.json: missing"]


def test_a_measurement_without_a_value_key_is_damage(results: Any, plan: Plan) -> None:
    results.corpus()
    edit(results.run(RUN) / "measurements.json", measurements=[{"metric": "nll"}])
    assert load(results, plan).state == "damaged"


Change = Callable[[dict[str, Any]], None]


def first(**fields: Any) -> Change:
    return lambda content: content["measurements"][0].update(fields)


def put(**fields: Any) -> Change:
    return lambda content: content.update(fields)


@pytest.mark.parametrize(
    ("name", "change", "state", "told"),
    [
        ("measurements.json", first(value=math.nan), "damaged", "value"),
        ("measurements.json", first(low=math.inf), "damaged", "low"),
        ("measurements.json", put(measurements="none"), "damaged", "measurements"),
        ("measurements.json", put(provenance=["a"]), "damaged", "provenance"),
        ("measurements.json", put(files=["a"]), "damaged", "files"),
        (
            "measurements.json",
            first(value=97.18, low=26.31, high=28.05),
            "finished",
            "is 97.18, outside its own interval [26.31, 28.05]",
        ),
        ("run.json", put(cost="dear"), "damaged", "cost"),
        ("run.json", put(provenance=["a"]), "damaged", "provenance"),
        ("run.json", put(files=["a"]), "damaged", "files"),
        ("run.json", put(steps="many"), "damaged", "steps"),
        ("run.json", put(best={"step": 1}), "damaged", "best.criterion"),
        ("texts.json", put(samples=[1]), "finished", "samples.0"),
        ("texts.json", put(reconstructions={"index": 0}), "finished", "reconstructions"),
        ("texts.json", put(interpolations=[{"steps": "a"}]), "finished", "interpolations.0.steps"),
        ("histograms.json", put(sigma={"edges": [0.0], "counts": [1]}), "finished", "sigma"),
    ],
)
def test_content_of_another_kind_is_damage_and_named(
    results: Any, plan: Plan, name: str, change: Change, state: str, told: str
) -> None:
    results.corpus()
    folder = results.run(RUN)
    edit(folder / "run.json", files={"model.safetensors": "w"})
    content = json.loads((folder / name).read_text())
    change(content)
    (folder / name).write_text(json.dumps(content))
    record = load(results, plan)
    assert record.state == state
    (fault,) = record.faults
    assert fault.startswith(f"{name}: ")
    assert told in fault
    assert name not in record.documents
    assert bool(record.measurements) == (state == "finished")


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("sentences.parquet", lambda t: t[:100], "of 100 texts, but nll was measured on 200"),
        ("sentences.parquet", lambda t: t[:0], "of 0 texts, but nll was measured on 200"),
        ("sentences.parquet", lambda t: t.drop(columns="index"), "without the column index"),
        ("sentences.parquet", lambda t: t.drop(columns="words"), "without the column words"),
        ("sentences.parquet", lambda t: t.drop(columns="nll"), "without the column nll"),
        ("sentences.parquet", lambda t: t.assign(words=np.nan), "column words does not hold whole numbers"),
        ("sentences.parquet", lambda t: t.assign(index=0), "a text is there twice"),
        ("sentences.parquet", lambda t: t.assign(nll=np.nan), "nll of 0 texts, but nll was measured on 200"),
        ("sentences.parquet", lambda t: t.assign(nll="a"), "the column nll does not hold numbers"),
        ("validation.parquet", lambda t: t.drop(columns="step"), "without the column step"),
        ("training.parquet", lambda t: t.assign(total="a"), "the column total does not hold numbers"),
    ],
)
def test_a_table_that_is_not_what_was_measured_is_reported(
    results: Any, plan: Plan, name: str, change: Callable[[pandas.DataFrame], pandas.DataFrame], told: str
) -> None:
    results.corpus()
    folder = results.run(RUN)
    edit(folder / "run.json", files={"model.safetensors": "w"})
    change(pandas.read_parquet(folder / name)).to_parquet(folder / name)
    record = load(results, plan)
    assert record.state == "finished"
    assert name not in record.tables
    (fault,) = record.faults
    assert fault.startswith(f"{name}: ")
    assert told in fault


def test_a_folder_that_is_named_like_no_run_is_reported(results: Any, plan: Plan) -> None:
    results.corpus()
    for root in ("runs", "published/runs"):
        (results.root / root / "paper/coupled-vae/ptb/vae/seedabc").mkdir(parents=True)
    records = load_records(results.root, plan.runs)
    assert [run.name for run in records.runs] == [RUN]
    assert [fault.split(": ")[0] for fault in records.faults] == [
        "runs/paper/coupled-vae/ptb/vae/seedabc",
        "published/runs/paper/coupled-vae/ptb/vae/seedabc",
    ]


def test_data_that_changed_since_is_reported(results: Any, plan: Plan) -> None:
    results.corpus(data_hash="e" * 64)
    results.run(RUN)
    assert "the prepared corpus now differs" in load(results, plan).faults[0]


def test_a_damaged_status_and_runs_outside_the_plan(results: Any, plan: Plan) -> None:
    results.corpus()
    results.run("paper/coupled-vae/ptb/gru-lm/seed0")
    folder = results.root / "state" / "abc"
    folder.mkdir(parents=True)
    (folder / "status.json").write_text("{")
    records = load_records(results.root, plan.runs)
    assert records.unplanned == ["paper/coupled-vae/ptb/gru-lm/seed0"]
    assert records.faults[0].startswith("state/abc/status.json: damaged")


def test_published_runs_stand_apart(results: Any, plan: Plan) -> None:
    results.corpus()
    results.run(RUN, origin="published/runs")
    records = load_records(results.root, plan.runs)
    assert [(r.origin, r.state) for r in records.runs] == [("own", "not run"), ("published", "finished")]
