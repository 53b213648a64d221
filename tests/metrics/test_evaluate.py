"""Evaluation end to end: what is written for each system, that it fits together, and what is refused."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from safetensors.torch import load_file, save_file

from bench.base.errors import BenchError
from bench.base.files import read_json, sha256_file, write_json
from bench.base.settings import RunSettings
from bench.corpora.prepared import Prepared
from bench.metrics.evaluate import _Evaluation, evaluate_run
from bench.metrics.measures import Measure
from bench.metrics.ngrams import COUNTS, cumulative_bleu2, precision_times_brevity
from bench.metrics.results import Results
from bench.store.seal import sealed
from bench.store.shown import Shown, read_shown
from tests.conftest import TINY, first_measures, tiny_settings

Measured = dict[str, dict[str, Any]]
SYSTEMS = ["gru-lm", "dae", "vae", "coupled-vae"]
MODES = ("norm-training-mode", "squared-training-mode", "norm-evaluation-mode", "squared-evaluation-mode")
ATTRIBUTES = ("tense", "number", "sentiment", "length", "topic")

EXACT = {("nll", "exact"), ("ppl", "exact"), ("excess_nll", "over-true-probability")}
AUTOENCODER = {
    ("reconstruction", "mean"), ("bleu1", "precision-times-brevity"), ("bleu2", "precision-times-brevity"),
    ("bleu2", "cumulative"), ("bleu1", "precision-times-brevity-unmasked"),
    ("bleu2", "precision-times-brevity-unmasked"), ("bleu2", "cumulative-unmasked"),
    ("bleu", "sacrebleu"), *((f"attribute_information:{name}", "softmax-probe") for name in ATTRIBUTES),
    *((metric, mode) for metric in ("grad_norm_rec", "signal_sensitivity") for mode in MODES),
}  # fmt: skip
VARIATIONAL = AUTOENCODER | {
    ("nll", "importance-sampling-5"), ("ppl", "importance-sampling-5"), ("elbo", "one-bound"),
    ("excess_nll", "over-true-probability"), ("kl", "analytic"), ("kl", "monte-carlo"),
    ("mi", "leave-one-out"), ("mi", "self-included"), ("mi", "aggregate"), ("mi", "like-length"),
    ("active_units", "variance-of-means"),
    ("dist1", "prior-samples"), ("dist2", "prior-samples"), *(("grad_norm_reg", mode) for mode in MODES),
}  # fmt: skip
COUPLED = VARIATIONAL | {(f"grad_norm_rec_{which}", mode) for which in ("coupled", "total") for mode in MODES}
EXPECTED = {"gru-lm": EXACT, "dae": AUTOENCODER, "vae": VARIATIONAL, "coupled-vae": COUPLED}

UNTOUCHED = dict.fromkeys(("bleu", "information", "likelihood"), ("texts.json",))
UNTOUCHED |= dict.fromkeys(("diversity", "traversals"), ("sentences.parquet",))


def folder_of(runs: Path, system: str) -> Path:
    return runs / tiny_settings(system).name


def texts_of(runs: Path, system: str) -> dict[str, Shown]:
    return {one.kind: one for one in read_shown(read_json(folder_of(runs, system) / "texts.json"))}


def table_of(runs: Path, system: str) -> pandas.DataFrame:
    return pandas.read_parquet(folder_of(runs, system) / "sentences.parquet")


def found(content: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(name_of(m), m["estimator"]): m for m in content["measurements"]}


def name_of(measured: dict[str, Any]) -> str:
    return ":".join(filter(None, (measured["metric"], measured["part"])))


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_measurement_and_file_that_the_system_has(system: str, measured: Measured, runs: Path) -> None:
    content, folder = measured[system], folder_of(runs, system)
    assert content == read_json(folder / "measurements.json")
    assert set(found(content)) == EXPECTED[system]
    assert len(content["measurements"]) == len(EXPECTED[system])
    assert all(m["value"] is not None and m["split"] == "test" for m in content["measurements"])
    assert content["weights_sha256"] == sha256_file(folder / "model.safetensors")
    written = {"measurements.json", "sentences.parquet", "texts.json", "histograms.json"}
    written |= set() if system == "gru-lm" else {"latents.safetensors"}
    trained = {"run.json", "model.safetensors", "training.parquet", "validation.parquet"}
    assert {file.name for file in folder.iterdir()} == trained | written


@pytest.mark.parametrize("system", SYSTEMS)
def test_values_are_the_means_of_their_columns(system: str, measured: Measured, runs: Path) -> None:
    table = table_of(runs, system)
    assert len(table) == 100
    for (metric, estimator), one in found(measured[system]).items():
        if one["column"] is None:
            continue
        values = table[one["column"]].dropna().to_numpy(float)
        assert one["texts"] == len(values) == (8 if estimator.endswith("-mode") else 100)
        if metric == "ppl":
            expected = math.exp(values.sum() / (table["words"] + 1).sum())
        else:
            expected = (values ** (2 if estimator.startswith("squared") else 1)).mean()
        assert one["value"] == pytest.approx(expected, rel=1e-5, abs=1e-6), metric  # the table is in float32
        assert one["low"] < one["value"] < one["high"]


@pytest.mark.parametrize("system", ["dae", "vae", "coupled-vae"])
def test_bleu_is_that_of_the_summed_counts(system: str, measured: Measured, runs: Path) -> None:
    table, values = table_of(runs, system), found(measured[system])
    counts = table[[f"bleu_{name}" for name in COUNTS]].to_numpy()
    unmasked = table[[f"bleu_{name}_unmasked" for name in COUNTS]].to_numpy().sum(0)
    together = values["bleu2", "cumulative-unmasked"]["value"]
    assert together == pytest.approx(float(cumulative_bleu2(unmasked)), rel=1e-12)
    copies = 1 if system == "dae" else 2
    np.testing.assert_array_equal(counts[:, COUNTS.index("reference")], table["words"] * copies)
    for n in (1, 2):
        one = values[f"bleu{n}", "precision-times-brevity"]
        assert one["value"] == pytest.approx(float(precision_times_brevity(counts.sum(0), n)), rel=1e-12)
        assert one["samples"] == copies
        assert 0 <= one["low"] <= one["value"] <= one["high"] <= 100


@pytest.mark.parametrize("system", ["vae", "coupled-vae"])
def test_bounds_hold_among_the_measurements(system: str, measured: Measured, runs: Path) -> None:
    values = {key: one["value"] for key, one in found(measured[system]).items()}
    assert values["elbo", "one-bound"] <= -values["nll", "importance-sampling-5"] + 0.01
    mi = {name: values["mi", name] for name in ("leave-one-out", "self-included", "aggregate")}
    assert mi["self-included"] < mi["leave-one-out"]
    assert mi["self-included"] <= math.log(TINY["evaluation"]["information_block"])
    assert mi["aggregate"] <= values["kl", "analytic"]
    table = table_of(runs, system)
    difference = table["kl_monte_carlo"] - table["kl_analytic"]
    assert abs(difference.mean()) < 4 * difference.std() / 10  # 100 texts
    assert found(measured[system])["mi", "aggregate"]["samples"] == 5


def test_a_linear_probe_finds_no_more_than_a_code_can_carry(measured: Measured, corpus: Prepared) -> None:
    assert corpus.exact is not None
    for system in ("dae", "vae", "coupled-vae"):
        for name, exact in corpus.exact["attributes"].items():
            one = found(measured[system])[f"attribute_information:{name}", "softmax-probe"]
            assert one["value"] < exact["information"] + 0.1  # sampling of 100 test texts


@pytest.mark.parametrize("system", ["gru-lm", "vae", "coupled-vae"])
def test_a_model_cannot_beat_the_true_probability(
    system: str, measured: Measured, runs: Path, corpus: Prepared
) -> None:
    one = found(measured[system])["excess_nll", "over-true-probability"]
    assert 0 < one["low"] < one["value"]
    truth = corpus.attributes("test")
    assert truth is not None
    table = table_of(runs, system)
    expected = table["nll"] + truth["log_probability"]
    np.testing.assert_allclose(table["excess_nll"], expected, rtol=1e-5, atol=1e-4)


def test_texts_and_codes_that_are_shown(measured: Measured, runs: Path, corpus: Prepared) -> None:
    folder, raw = folder_of(runs, "vae"), corpus.raw("test")
    shown = texts_of(runs, "vae")
    assert len(shown["samples"].rows) == len(shown["reconstructions"].rows) == 3
    columns = [column.name for column in shown["reconstructions"].columns]
    assert columns == ["index", "input", "centre", "sample 1", "sample 2"]
    for row in shown["reconstructions"].rows:
        assert row[1] == " ".join(raw[int(str(row[0]))])
    paths = shown["interpolations"]
    assert [len(paths.cells(row, "decoded")) for row in paths.rows] == [7, 7, 7]
    traversals = shown["traversals"]
    steps = [traversals.cells(row, "decoded") for row in traversals.rows]
    assert [len(line) for line in steps] == [5] * 4
    keys = [traversals.cells(row, "key") for row in traversals.rows]
    assert len({dimension for dimension, _ in keys}) == 4
    assert len({line[2] for line in steps}) == 1  # all pass through the same centre
    assert all(float(str(step)) > 0 for _, step in keys)
    other = texts_of(runs, "coupled-vae")["reconstructions"]
    assert [row[:2] for row in other.rows] == [row[:2] for row in shown["reconstructions"].rows]
    latents = load_file(folder / "latents.safetensors")
    assert {name: tuple(value.shape) for name, value in latents.items()} == {
        "mean": (100, 4),
        "log_std": (100, 4),
    }
    units = read_json(folder / "histograms.json")["units"]
    assert sum(units["kl"]) == pytest.approx(found(measured["vae"])["kl", "analytic"]["value"], rel=1e-5)


@pytest.fixture
def copied(measured: Measured, runs: Path, tmp_path: Path) -> Path:
    """A copy of the measured run of the VAE."""
    shutil.copytree(folder_of(runs, "vae"), folder_of(tmp_path, "vae"))
    return tmp_path


def evaluate(copied: Path, corpora: Path, settings: RunSettings | None = None) -> dict[str, Any]:
    return evaluate_run(settings or tiny_settings("vae"), corpora, copied, device="cpu", threads=1)


def test_measuring_again_gives_identical_numbers(
    copied: Path, corpora: Path, measured: Measured, runs: Path
) -> None:
    (folder_of(copied, "vae") / "measurements.json").unlink()
    again = evaluate(copied, corpora)
    assert again["provenance"] != measured["vae"]["provenance"]
    assert again["measurements"] == measured["vae"]["measurements"]
    pandas.testing.assert_frame_equal(table_of(copied, "vae"), table_of(runs, "vae"), check_exact=True)
    for name in ("texts.json", "histograms.json", "latents.safetensors"):
        assert (folder_of(copied, "vae") / name).read_bytes() == (folder_of(runs, "vae") / name).read_bytes()


def without(copied: Path, name: str) -> dict[str, bytes]:
    """Take what a measure made out of a run, as if it had been measured before the measure was added."""
    folder = folder_of(copied, "vae")
    complete = {path.name: path.read_bytes() for path in folder.iterdir()}
    content = read_json(folder / "measurements.json")
    results = Results.read(folder, content)
    results.drop([name])
    results.write(folder)
    left = {"measures": results.measures, "measurements": results.measurements}
    write_json(folder / "measurements.json", sealed(content | left, folder))
    return complete


@pytest.mark.parametrize("name", ["bleu", "diversity", "information", "traversals", "likelihood"])
def test_a_measure_that_is_added_is_measured_alone_and_gives_the_same_files(
    name: str, copied: Path, corpora: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete, folder = without(copied, name), folder_of(copied, "vae")
    for file in ("sentences.parquet", "texts.json", "measurements.json"):
        assert (folder / file).read_bytes() != complete[file] or file in UNTOUCHED.get(name, ())
    made = []
    measure = _Evaluation._measure

    def noted(self: _Evaluation, one: Measure, *rest: Any) -> None:
        made.append(one.name)
        measure(self, one, *rest)

    monkeypatch.setattr(_Evaluation, "_measure", noted)
    before, content = json.loads(complete["measurements.json"]), evaluate(copied, corpora)
    assert made == [name]
    assert content["measurements"] == before["measurements"]
    assert list(content["measures"]) == list(before["measures"])
    others = [other for other in before["measures"] if other != name]
    assert all(content["measures"][other] == before["measures"][other] for other in others)
    for file in ("sentences.parquet", "texts.json", "histograms.json", "latents.safetensors"):
        assert (folder / file).read_bytes() == complete[file], file


def test_a_measure_without_a_number_costs_no_other(
    copied: Path, corpora: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete = json.loads(without(copied, "diversity")["measurements.json"])
    measure = _Evaluation._measure

    def failing(self: _Evaluation, one: Measure, *rest: Any) -> None:
        measure(self, replace(one, function=lambda *_: math.exp(1e4)), *rest)

    monkeypatch.setattr(_Evaluation, "_measure", failing)
    content = evaluate(copied, corpora)
    assert content["measures"]["diversity"]["absent"]
    others = [number for number in complete["measurements"] if number["measure"] != "diversity"]
    assert content["measurements"] == others


def test_a_paper_that_selects_measures_gets_those_alone(copied: Path, corpora: Path) -> None:
    (folder_of(copied, "vae") / "measurements.json").unlink()
    few = tiny_settings("vae", evaluation={"measures": ["diversity", "attributes"]})
    assert few.identity == tiny_settings("vae").identity  # more of them measure nothing else again
    content = evaluate(copied, corpora, few)
    assert list(content["measures"]) == ["diversity", "attributes"]
    wrong = tiny_settings("vae", evaluation={"measures": ["diversty"]})
    with pytest.raises(BenchError, match=r"unknown measure 'diversty'(.|\n)*diversity"):
        evaluate(copied, corpora, wrong)


def test_an_evaluation_that_is_killed_leaves_no_record_of_another_version(
    copied: Path, corpora: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder_of(copied, "vae") / "measurements.json"
    content = read_json(path)
    content["measures"]["bleu"]["version"] = 0
    write_json(path, sealed(content, path.parent))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(_Evaluation, "_measure", killed)
        with pytest.raises(KeyboardInterrupt):
            evaluate(copied, corpora)
    left = read_json(path)
    assert "bleu" not in left["measures"]
    assert not [m for m in left["measurements"] if m["measure"] == "bleu"]
    assert evaluate(copied, corpora)["measurements"] == content["measurements"]


def test_a_record_without_names_of_measures_is_not_measured_again(
    copied: Path, corpora: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_measures(monkeypatch)
    path = folder_of(copied, "vae") / "measurements.json"
    kept, former = path.read_bytes(), read_json(path)
    del former["measures"], former["digest"], former["files"]
    for one in former["measurements"]:
        part = one.pop("part")
        one["metric"] = f"{one['metric']}:{part}" if part else one["metric"]
        del one["measure"], one["version"]
    write_json(path, former)
    found, content = evaluate(copied, corpora), json.loads(kept)
    assert found["provenance"] == content["provenance"]
    assert [m["measure"] for m in found["measurements"]] == [m["measure"] for m in content["measurements"]]


def test_another_evaluation_of_the_same_training_is_welcome(copied: Path, corpora: Path) -> None:
    settings = tiny_settings("vae", evaluation={"samples": 2})
    assert ("nll", "importance-sampling-2") in found(evaluate(copied, corpora, settings))


def change(copied: Path, key: str, value: object) -> None:
    path = folder_of(copied, "vae") / "run.json"
    path.write_text(json.dumps({**read_json(path), key: value}))


def test_damaged_or_absent_weights_are_refused(copied: Path, corpora: Path) -> None:
    weights = folder_of(copied, "vae") / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(BenchError, match=r"damaged weights: expected sha256 \w+, found"):
        evaluate(copied, corpora)
    weights.unlink()
    with pytest.raises(BenchError, match="weights of the run are not there"):
        evaluate(copied, corpora)


def test_a_failure_is_noted_until_the_next_evaluation(
    copied: Path, corpora: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("broken on purpose")

    (folder_of(copied, "vae") / "measurements.json").unlink()
    with monkeypatch.context() as broken:
        broken.setattr(_Evaluation, "_measure", fail)
        with pytest.raises(ZeroDivisionError):
            evaluate(copied, corpora)
    status = folder_of(copied, "vae") / "status.json"
    assert read_json(status)["reason"] == "ZeroDivisionError: broken on purpose"
    evaluate(copied, corpora)
    assert not status.exists()


def test_another_configuration_is_refused(copied: Path, corpora: Path) -> None:
    with pytest.raises(BenchError, match="trained under another configuration"):
        evaluate(copied, corpora, tiny_settings("vae", optimiser={"learning_rate": 0.02}))


def test_what_another_process_has_measured_meanwhile_is_taken(
    copied: Path, corpora: Path, measured: Measured, held: Callable[..., None]
) -> None:
    folder = folder_of(copied, "vae")
    made = (folder / "measurements.json").read_bytes()
    (folder / "measurements.json").unlink()
    held(folder, lambda: (folder / "measurements.json").write_bytes(made))
    assert evaluate(copied, corpora) == measured["vae"]  # not measured again: even the times are the same
    held(folder)
    few = tiny_settings("vae", evaluation={"samples": 2})  # which is not what lies there
    assert ("nll", "importance-sampling-2") in found(evaluate(copied, corpora, few))


def test_a_run_that_is_trained_anew_meanwhile_is_measured_as_it_is_then(
    copied: Path, corpora: Path, measured: Measured, held: Callable[..., None]
) -> None:
    folder = folder_of(copied, "vae")
    weights = folder / "model.safetensors"

    def trained_anew() -> None:
        save_file({name: value / 2 for name, value in load_file(weights).items()}, weights)
        files = read_json(folder / "run.json")["files"]
        change(copied, "files", files | {weights.name: sha256_file(weights)})

    held(folder, trained_anew)
    content = evaluate(copied, corpora)
    assert content["weights_sha256"] == sha256_file(weights) != measured["vae"]["weights_sha256"]
    assert content["measurements"] != measured["vae"]["measurements"]
    held(folder, lambda: change(copied, "data_hash", "0" * 64))
    with pytest.raises(BenchError, match="trained on other data"):
        evaluate(copied, corpora)


def test_other_data_is_refused(copied: Path, corpora: Path) -> None:
    change(copied, "data_hash", "0" * 64)
    with pytest.raises(BenchError, match="trained on other data"):
        evaluate(copied, corpora)


def test_a_run_that_was_not_trained_is_refused(corpora: Path, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="file not found"):
        evaluate(tmp_path, corpora)
