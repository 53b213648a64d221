"""Whether a run is what its settings ask for: one answer, and what it makes of versions and of older records."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bench.analysis.age import ages
from bench.base import settings
from bench.base.files import read_json, write_json
from bench.base.identity import STAGES
from bench.base.settings import RunSettings
from bench.catalog.catalog import load_catalog
from bench.metrics.evaluate import evaluate_run
from bench.metrics.needs import asked, wanted
from bench.planning.resolve import find_run
from bench.store.freshness import (
    evaluation_mark,
    is_training_of,
    next_stage,
    to_measure,
    training_mark,
)
from bench.store.records import load_records
from bench.store.seal import is_sealed, sealed
from bench.store.texts import measurements_of, outside
from bench.training.run import train_run
from tests.conftest import first_measures, raise_measure, raise_version, tiny_settings

CATALOG = load_catalog()
ROOT = Path(__file__).parents[2]
PUBLISHED = sorted((ROOT / "results" / "published" / "runs").glob("*/*/*/*/*/run.json"))
RUN = tiny_settings("vae", training={"steps": 4, "validate_every": 4, "log_every": 2})
TABLES = ("sentences.parquet", "texts.json", "histograms.json")


@pytest.fixture(scope="module")
def made(corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with one run, trained and measured."""
    results = tmp_path_factory.mktemp("fresh") / "results"
    train_run(RUN, corpora, results / "runs", results / "state", device="cpu", threads=1)
    evaluate_run(RUN, corpora, results / "runs", device="cpu", threads=1)
    shutil.copytree(corpora, results / "corpora")
    return results


@pytest.fixture
def results(made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(made, tmp_path / "results"))


def edit(path: Path, **changes: Any) -> None:
    """Change a record as if it had been written so."""
    content = {key: v for key, v in (read_json(path) | changes).items() if v is not None}
    write_json(path, sealed(content, path.parent) if is_sealed(content) else content)


def stage(results: Path, run: RunSettings = RUN) -> str | None:
    return next_stage(run, results, wanted)


def to_do(results: Path) -> list[str]:
    """The measures that the run is to be measured by."""
    summary = read_json(results / "corpora" / RUN.paper / RUN.corpus / "corpus.json")
    return to_measure(read_json(results / "runs" / RUN.name / "measurements.json"), wanted(RUN, summary))


def test_a_finished_run_is_left_alone(results: Path) -> None:
    assert stage(results) is None
    edit(results / "runs" / RUN.name / "run.json", provenance={"code_version": "another"})
    assert stage(results) is None


def test_a_raised_version_of_a_part_is_trained_again(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raise_version(monkeypatch, "posterior", "vmf")
    assert stage(results) is None
    raise_version(monkeypatch, "posterior", "gaussian")
    assert stage(results) == "train"


@pytest.mark.parametrize(("name", "then"), [("train", "train"), ("evaluate", "evaluate"), ("report", None)])
def test_a_raised_stage(results: Path, monkeypatch: pytest.MonkeyPatch, name: str, then: str | None) -> None:
    monkeypatch.setitem(STAGES, name, 2)
    assert stage(results) == then


def test_a_record_from_before_versions_counts_as_version_1(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_measures(monkeypatch)
    folder = results / "runs" / RUN.name
    edit(folder / "run.json", identity="old", training_identity=None, versions=None)
    new = dict.fromkeys(("versions", "evaluation", "measures"))
    measured = read_json(folder / "measurements.json")["measurements"]
    old = [{k: v for k, v in m.items() if k not in ("measure", "version", "part")} for m in measured]
    for one, kept in zip(old, measured, strict=True):
        one["metric"] = ":".join(filter(None, (kept["metric"], kept["part"])))
    edit(folder / "measurements.json", identity="old", measurements=old, **new)
    assert stage(results) is None
    edit(folder / "measurements.json", identity="other")  # under which settings is not known
    assert stage(results) == "evaluate"
    edit(folder / "measurements.json", identity="old")
    raise_measure(monkeypatch, "likelihood")
    assert to_do(results) == ["likelihood"]
    raise_version(monkeypatch, "decoder", "gru")
    assert stage(results) == "train"


def test_snakemake_compares_what_is_recorded_as_long_as_it_is_current(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So another way to compute identities plans nothing."""
    folder = results / "runs" / RUN.name
    marks = training_mark(RUN, results), evaluation_mark(RUN, results, wanted, asked(RUN))
    before = training_mark(RUN, results.parent), evaluation_mark(RUN, results.parent, wanted, asked(RUN))
    assert marks == before
    edit(folder / "run.json", training_identity="as in the past")
    assert training_mark(RUN, results) == "as in the past"
    edit(folder / "measurements.json", mark="as in the past")
    assert evaluation_mark(RUN, results, wanted, asked(RUN)) == "as in the past"
    raise_version(monkeypatch, "decoder", "gru")
    assert training_mark(RUN, results) == RUN.training_identity != marks[0]


def test_a_run_that_was_not_made_yet_has_its_identity_computed_for_its_mark_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan asks for the marks of hundreds of runs, and an identity takes longer than all else there."""
    computed: list[str] = []

    def counted(run: RunSettings) -> str:
        computed.append(run.name)
        return "identity"

    monkeypatch.setattr(settings, "training_identity", counted)
    assert training_mark(RUN, tmp_path) == "identity"
    assert computed == [RUN.name]


def test_the_start_of_a_run_counts_as_it_lies_there(corpora: Path, tmp_path: Path) -> None:
    few: dict[str, Any] = {"training": {"steps": 2, "validate_every": 2, "log_every": 1}}
    for system in ("dae", "prefb-vae"):
        run = tiny_settings(system, **few)
        train_run(run, corpora, tmp_path, tmp_path / "state", device="cpu", threads=1)
    path, first = tmp_path / run.name / "run.json", tmp_path / str(run.start) / "run.json"
    record = read_json(path)
    record["settings"]["starts_from"]["identity"] = "computed as in the past"
    assert is_training_of(record, run, tmp_path)
    start = read_json(first)
    write_json(first, start | {"versions": {"train": 7}})
    assert not is_training_of(record, run, tmp_path)
    write_json(first, start | {"files": start["files"] | {"model.safetensors": "other"}})
    assert not is_training_of(record, run, tmp_path)


def test_a_raised_measure_is_measured_again_alone(
    results: Path, corpora: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = results / "runs" / RUN.name
    before = read_json(folder / "measurements.json")
    tables = {name: (folder / name).read_bytes() for name in TABLES}
    assert evaluate_run(RUN, corpora, results / "runs", device="cpu", threads=1) == before
    # So that one can see what is measured again.
    edit(folder / "measurements.json", measurements=[m | {"value": -1.0} for m in before["measurements"]])
    raise_measure(monkeypatch, "gradients")
    assert stage(results) == "evaluate"
    after = evaluate_run(RUN, corpora, results / "runs", device="cpu", threads=1)
    assert stage(results) is None
    again = [m for m in after["measurements"] if m["value"] != -1.0]
    assert again == [
        m | {"version": m["version"] + 1} for m in before["measurements"] if m["measure"] == "gradients"
    ]
    assert len(after["measurements"]) == len(before["measurements"])
    assert after["earlier"] == [before["provenance"]]
    assert [(folder / name).read_bytes() for name in TABLES] == [tables[name] for name in TABLES]


def test_what_cannot_be_read_any_more_is_measured_anew(results: Path, corpora: Path) -> None:
    folder = results / "runs" / RUN.name
    before = read_json(folder / "measurements.json")
    (folder / "sentences.parquet").write_bytes(b"PAR1 nonsense")
    edit(folder / "measurements.json", measures={})
    after = evaluate_run(RUN, corpora, results / "runs", device="cpu", threads=1)
    assert after["measurements"] == before["measurements"]
    assert after["earlier"] == []


# Of how many published runs a measure has been raised since: they are shown with a mark, and no more may join them
# unseen. Their weights were not published, so that they can only be trained and measured anew.
RAISED_SINCE = {"likelihood": 42, "bleu": 40, "gradients": 40, "information": 39, "released-sampler": 2}


def test_the_published_runs_are_current() -> None:
    """Of today's catalog, trained by today's versions, with all measures that they were asked for."""
    assert len(PUBLISHED) == 58
    raised: Counter[str] = Counter()
    for path in PUBLISHED:
        record, measured = read_json(path), read_json(path.with_name("measurements.json"))
        run = find_run(CATALOG, record["name"])
        assert is_training_of(record, run, path.parents[5]), path
        summary = read_json(
            ROOT / "results" / "published" / "corpora" / run.paper / run.corpus / "corpus.json"
        )
        raised.update(to_measure(measured, wanted(run, summary)))
    assert raised == RAISED_SINCE
    shown = load_records(ROOT / "results", {}).runs
    assert len(shown) == len(PUBLISHED)
    assert [run.name for run in shown if run.faults or run.state != "finished"] == []
    assert {(age.stage, age.name) for run in shown for age in ages(run)} <= {
        ("evaluate", name) for name in RAISED_SINCE
    }


def test_published_records_without_a_seal_are_read() -> None:
    for path in PUBLISHED:
        measured, fault = measurements_of(read_json(path.with_name("measurements.json")))
        assert (fault, outside(measured)) == ("", [])


@pytest.mark.parametrize("changed", ["measurements.json", "texts.json"])
def test_what_was_changed_by_hand_is_not_used(changed: str, results: Path) -> None:
    folder = results / "runs" / RUN.name
    before = read_json(folder / "measurements.json")
    content = read_json(folder / changed)
    if changed == "texts.json":
        content[0]["rows"] = content[0]["rows"][1:]
    else:
        content["measurements"][0]["value"] += 70
    write_json(folder / changed, content)
    if changed == "measurements.json":
        (run,) = load_records(results, {RUN.name: RUN}).runs
        assert (run.state, run.measurements) == ("damaged", [])
        assert "changed since it was measured (its digest differs): evaluate the run again" in run.reason
        assert stage(results) == "evaluate"
    evaluate_run(RUN, results / "corpora", results / "runs", device="cpu", threads=1)
    after = read_json(folder / "measurements.json")
    assert after["measurements"] == before["measurements"]
    assert after["files"] == before["files"]
