"""The report's results in a terminal: what is printed against the files that it was read from."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

from bench.analysis.numbers import DASH, MINUS
from bench.base.errors import BenchError
from bench.base.files import read_json, write_json
from bench.catalog.catalog import CATALOG, Catalog, load_catalog
from bench.cli.console import terminal
from bench.cli.differences import show_differences
from bench.cli.main import main
from bench.cli.texts import show_interpolation, show_texts
from bench.store.seal import DIGEST
from bench.store.shown import Shown, read_shown
from tests.cli.conftest import CPU, PREPARED, RUN, Refused, python
from tests.conftest import CORPUS
from tests.made_up import DATA_HASH, TEXTS, Results

VAE, COUPLED = (f"paper/coupled-vae/ptb/{system}/seed0" for system in ("vae", "coupled-vae"))
Printed = Callable[..., list[list[str]]]


@pytest.fixture
def catalog() -> Catalog:
    return load_catalog()


@pytest.fixture
def results(tmp_path: Path, catalog: Catalog) -> Results:
    (tmp_path / "results").mkdir()
    return Results(tmp_path / "results", catalog)


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Printed:
    """``printed(*arguments)``: the lines of a command in a pipe, cut at their tabs."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> list[list[str]]:
        assert main([str(argument) for argument in arguments]) == 0
        out = capsys.readouterr().out
        assert "\x1b" not in out
        return [line.split("\t") for line in out.split("\n")[:-1]]

    return call


def number(text: str) -> float:
    return float(text.replace(MINUS, "-"))


def reported(corpus: str, label: str, metric: str) -> float:
    with (CATALOG / "papers" / "coupled-vae" / "reported.csv").open(encoding="utf-8", newline="") as file:
        key = ("Table 1", corpus, label, metric)
        rows = csv.DictReader(file)
        return next(
            float(row["value"])
            for row in rows
            if (row["table"], row["corpus"], row["label"], row["metric"]) == key
        )


def test_a_table_has_ours_beside_the_print(results: Results, printed: Printed, catalog: Catalog) -> None:
    results.corpus()
    results.run(VAE)
    results.run(VAE.replace("paper/", "quick/"), origin="published/runs", shift=9.0)
    header, *rows = printed("show", "table", "coupled-vae/table1", "--corpus", "ptb")
    assert header[:6] == ["corpus", "row", "runs", "NLL↓ nats", "NLL↓ nats printed", "NLL↓ nats verdict"]
    nll = reported("ptb", "VAE", "nll")
    vae = [row[2:6] for row in rows if row[1] == "VAE"]
    assert vae == [
        ["own paper", "103.5", f"{nll:.1f}", "? undecided"],
        ["published quick", "112.5", f"{nll:.1f}", "∥ not comparable"],
    ]
    twin = next(row for row in rows if row[1] == "Coupled-VAE")
    assert twin[2:6] == ["", DASH, f"{reported('ptb', 'Coupled-VAE', 'nll'):.1f}", "○ not run"]
    declared = next(t for t in catalog.paper("coupled-vae").tables if t.id == "table1")
    assert len(rows) == len(declared.rows) + 1
    assert {row[0] for row in rows} == {"ptb"}


def test_a_table_may_be_named_by_its_number_and_shows_all_its_corpora(
    results: Results, printed: Printed, catalog: Catalog
) -> None:
    whole = printed("show", "table", "coupled-vae/1")
    assert whole == printed("show", "table", "coupled-vae/table1")
    declared = next(t for t in catalog.paper("coupled-vae").tables if t.id == "table1")
    shown = dict.fromkeys(row[0] for row in whole if len(row) > 1 and row[0] != "corpus")
    assert tuple(shown) == declared.corpora


def test_a_table_is_shown_on_another_corpus_where_there_are_runs(here: Path, printed: Printed) -> None:
    measured = read_json(here / "results" / "runs" / RUN / "measurements.json")["measurements"]
    nll = next(m["value"] for m in measured if m["metric"] == "nll")
    rows = printed("show", "table", "coupled-vae/1", "--corpus", CORPUS, "--results", here / "results")
    assert [row[:6] for row in rows[1:]] == [
        [CORPUS, "VAE", "own demo", f"{nll:.2f}", DASH, "∥ not comparable"]
    ]
    assert f"NLL {MINUS} entropy↓ nats" in rows[0]


def test_a_run_that_cannot_be_read_is_named(
    results: Results, printed: Printed, capsys: pytest.CaptureFixture[str]
) -> None:
    (results.run(VAE) / "run.json").write_text("{")
    assert main(["show", "table", "coupled-vae/1", "--corpus", "ptb", "--results", str(results.root)]) == 0
    assert capsys.readouterr().err.startswith(f"left out {VAE}: damaged JSON file")


@pytest.mark.parametrize(("variable", "coloured"), [("", True), ("NO_COLOR", False)])
def test_a_terminal_is_coloured_unless_it_must_not_be(
    variable: str,
    coloured: bool,
    results: Results,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    results.run(VAE)
    monkeypatch.chdir(results.root.parent)
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in (("FORCE_COLOR", "1"), ("TERM", "xterm-256color"), ("COLUMNS", "200")):
        monkeypatch.setenv(name, value)
    if variable:
        monkeypatch.setenv(variable, "1")
    assert main(["show", "table", "coupled-vae/1", "--corpus", "ptb"]) == 0
    out = capsys.readouterr().out
    assert ("\x1b[" in out) == coloured
    plain = re.sub(r"\x1b\[[0-9;]*m", "", out)
    assert plain.startswith("Table 1. Language modelling: Penn Treebank")
    assert "? undecided" in plain
    assert "\t" not in plain


def test_signs_that_a_terminal_lacks_end_no_command(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    results.run(VAE)
    monkeypatch.chdir(results.root.parent)
    for command in ("list systems", "show table coupled-vae/1", "show claims"):
        ascii_only = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
        monkeypatch.setattr(sys, "stdout", ascii_only)
        assert main(command.split()) == 0
        ascii_only.flush()
        assert b"\\u" in ascii_only.buffer.getvalue()


def test_the_claims_have_a_row_for_each_tier_that_tests_them(
    results: Results, printed: Printed, catalog: Catalog
) -> None:
    results.corpus()
    for seed in (0, 1):
        results.run(VAE.replace("seed0", f"seed{seed}"))
        results.run(COUPLED.replace("seed0", f"seed{seed}"))
    header, *rows = printed("show", "claims", "coupled-vae")
    assert header == ["claim", "verdict", "effect [95 %]", "tier"]
    assert [row[0] for row in rows] == list(catalog.paper("coupled-vae").claims)
    by_claim = {row[0]: row[1:] for row in rows}
    word, effect, tier = by_claim["coupling-improves-ppl"]
    assert (word, tier) == ("? undecided", "own paper")  # one pair of the table was run, the others were not
    assert "differences: " in effect
    assert by_claim["euclidean-more-sensitive"] == ["○ not run", "", ""]
    named = [[f"coupled-vae/{row[0]}", *row[1:]] for row in rows]
    assert [row for row in printed("show", "claims") if row[0].startswith("coupled-vae/")] == named


def two_runs(results: Results) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """A VAE of one's own and a published twin whose NLL is the mean of that of their texts, which is returned."""
    results.corpus()
    columns = []
    for folder in (results.run(VAE), results.run(COUPLED, origin="published/runs", shift=0.2)):
        values = pandas.read_parquet(folder / "sentences.parquet")["nll"].to_numpy()
        content = read_json(folder / "measurements.json")
        for measured in content["measurements"]:
            if measured["metric"] == "nll":
                measured["value"] = float(values.mean())
        write_json(folder / "measurements.json", content)
        columns.append(values)
    return columns[0], columns[1]


def test_two_runs_are_compared_text_by_text(results: Results, printed: Printed) -> None:
    first, second = two_runs(results)
    change = second - first
    (results.root / "corpora/coupled-vae/ptb/test.txt").write_text(
        "".join(f"text {i}\n" for i in range(TEXTS))
    )
    lines = printed("compare", VAE, COUPLED, "--count", 4)
    assert lines[:3] == [["first", VAE, "seed 0, own"], ["second", COUPLED, "seed 0, published"], [""]]
    metric, *values, found, _ = lines[4]
    assert metric == "NLL"
    assert list(map(number, values)) == pytest.approx([first.mean(), second.mean()], abs=0.01)
    ends = [number(end) for end in re.findall(rf"[+{MINUS}][0-9.]+", found)]
    half = 1.96 * change.std(ddof=1) / TEXTS**0.5  # the normal interval of a mean of 200 paired differences
    expected = [change.mean(), change.mean() - half, change.mean() + half]
    assert ends == pytest.approx(expected, abs=0.15 * half)
    by_size = np.argsort(-np.abs(change))[:4]
    assert lines[-5] == ["index", "first", "second", "difference", "text"]
    for i, line in zip(by_size, lines[-4:], strict=True):
        assert (int(line[0]), line[4]) == (i, f"text {i}")
        assert [number(x) for x in line[1:4]] == pytest.approx([first[i], second[i], change[i]], abs=6e-4)


def test_texts_of_other_data_are_not_shown_and_a_metric_may_be_chosen(
    results: Results, printed: Printed
) -> None:
    two_runs(results)
    corpus = results.corpus(data_hash="0" * 64)
    (corpus / "test.txt").write_text("another\n" * TEXTS)
    lines = printed("compare", VAE, COUPLED, "--metric", "nll")
    assert [line[4] for line in lines[-5:]] == [""] * 5
    reversed_ = printed("compare", COUPLED, VAE)
    sign = {"+": MINUS, MINUS: "+"}
    for one, other in zip(lines[-5:], reversed_[-5:], strict=True):
        assert (one[0], one[1], one[2]) == (other[0], other[2], other[1])
        assert one[3] == sign[other[3][0]] + other[3][1:]


def test_the_own_run_stands_before_the_published_one_of_its_name(results: Results, printed: Printed) -> None:
    results.corpus()
    results.run(VAE)
    results.run(VAE, origin="published/runs", shift=2.0)
    lines = printed("compare", VAE, f"published/{VAE}")
    assert [line[2] for line in lines[:2]] == ["seed 0, own", "seed 0, published"]
    assert [number(x) for x in lines[4][1:3]] == [103.5, 105.5]


def shown_of(here: Path) -> dict[str, Shown]:
    path = here / "results" / "runs" / RUN / "texts.json"
    return {one.kind: one for one in read_shown(read_json(path))}


def test_texts_are_printed_as_they_were_decoded(here: Path, printed: Printed) -> None:
    at = ("--results", here / "results")
    texts = shown_of(here)
    assert printed("samples", RUN, *at) == texts["samples"].rows
    assert printed("samples", RUN, *at, "--count", 1) == texts["samples"].rows[:1]
    index, *cells = texts["reconstructions"].rows[0]
    rows = printed("samples", RUN, *at, "--kind", "reconstructions", "--count", 1)
    assert [row[0] for row in rows] == [str(index)] * len(cells)
    assert [row[1] for row in rows[:3]] == ["input", "centre", "sample 1"]
    assert [row[2] for row in rows] == cells
    rows = printed("samples", RUN, *at, "--kind", "interpolations", "--count", 1)
    assert [row[2] for row in rows] == texts["interpolations"].rows[0]
    assert [row[1] for row in rows[:4]] == ["from", "to", "0.00", "0.17"]
    kinds = printed("samples", RUN, *at, "--kind", "traversals", "--count", 1)
    assert [row[1] for row in kinds[:4]] == ["from", "dimension", "step", "-2"]


def test_a_text_moves_no_cursor_and_an_unpublished_one_is_told(results: Results, printed: Printed) -> None:
    folder = results.run(VAE)
    texts = results.texts() | {"samples": ["a \x1b[31mred\tword"]}
    texts["interpolations"][0] |= {"from": None}
    write_json(folder / "texts.json", texts)
    content = read_json(folder / "run.json")
    del content["files"]["texts.json"]
    write_json(folder / "run.json", content)
    assert printed("samples", VAE) == [["a [31mred word"]]
    assert printed("samples", VAE, "--kind", "interpolations")[0] == ["1", "from", "(not published)"]


def test_an_interpolation_repeats_that_of_the_evaluation(here: Path, printed: Printed) -> None:
    start, end, *steps = map(str, shown_of(here)["interpolations"].rows[0])
    at = ("--results", here / "results", *CPU)
    rows = printed("interpolate", RUN, start, end, *at)
    assert [row[1] for row in rows] == [start, *steps, end]
    assert [row[0] for row in rows] == ["from", "0.00", "0.17", "0.33", "0.50", "0.67", "0.83", "1.00", "to"]
    ends = printed("interpolate", RUN, start, end, "--count", 1, *at)
    assert [row[1] for row in ends[1:4:2]] == [steps[0], steps[-1]]
    assert printed("interpolate", RUN, "zebra", end, *at)[0] == ["from", "<unk>"]


def test_missing_and_changed_files_are_told(here: Path, refused: Refused) -> None:
    folder = here / "results" / "runs" / RUN
    weights = folder / "model.safetensors"
    assert main(["publish", RUN]) == 0
    assert "weights of a published run are not kept" in refused("interpolate", f"published/{RUN}", "a", "b")
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + b"?")
    assert "damaged weights" in refused("interpolate", RUN, "a", "b", *CPU)
    weights.unlink()
    assert f"train the run again: bench train {RUN}" in refused("interpolate", RUN, "a", "b", *CPU)
    weights.write_bytes(whole)
    summary = here / PREPARED / "corpus.json"
    write_json(summary, read_json(summary) | {"data_hash": DATA_HASH})
    assert "trained on other data" in refused("interpolate", RUN, "a", "b", *CPU)
    (folder / "texts.json").write_text('{"samples": [], "reconstructions": [], "interpolations": []}')
    assert "its content is not what the run wrote" in refused("samples", RUN)
    record = folder / "measurements.json"
    unsealed = {key: value for key, value in read_json(record).items() if key not in (DIGEST, "files")}
    write_json(record, unsealed)  # as of an earlier version
    assert "this run has no samples" in refused("samples", RUN)
    (folder / "texts.json").write_text('{"samples": [], "reconstructions": [{"index": 1}]}')
    for kind in ("reconstructions", "interpolations"):
        assert "texts.json: not as expected: reconstructions.0.input" in refused(
            "samples", RUN, "--kind", kind
        )
    (folder / "texts.json").write_text("{")
    assert "texts.json: damaged JSON file" in refused("samples", RUN)
    (folder / "sentences.parquet").unlink()
    assert "sentences.parquet: missing" in refused("compare", RUN, RUN)
    (folder / "measurements.json").unlink()
    assert f"first: bench evaluate {RUN}" in refused("samples", RUN)


def test_runs_without_codes_or_on_other_data_are_told(results: Results, catalog: Catalog) -> None:
    model = VAE.replace("/vae/", "/gru-lm/")
    folder = results.run(model)
    write_json(folder / "texts.json", {"samples": [], "reconstructions": [], "interpolations": []})
    content = read_json(folder / "run.json")
    del content["files"]["texts.json"]
    write_json(folder / "run.json", content)
    console = terminal()
    with pytest.raises(BenchError, match="this run has no samples"):
        show_texts(console, results.root, model, "samples", None)
    with pytest.raises(BenchError, match="a language model has no codes"):
        show_interpolation(console, results.root, results.root, model, ("a", "b"), 5, "cpu", None)
    results.run(COUPLED, data_hash="0" * 64)
    with pytest.raises(BenchError, match="measured on different data"):
        show_differences(console, catalog, results.root, (model, COUPLED), None, 5)


def test_only_decoding_loads_torch(here: Path) -> None:
    at = ["--results", str(here / "results")]
    commands = [["show", "table", "coupled-vae/1", *at], ["compare", RUN, RUN, *at], ["samples", RUN, *at]]
    code = (
        f"import sys\nfrom bench.cli.main import main\nfor c in {json.dumps(commands)}: assert main(c) == 0\n"
    )
    done = python("-c", f"{code}print('torch' in sys.modules)", cwd=Path(__file__).parents[2])
    assert done.stdout.splitlines()[-1:] == ["False"], done.stderr
