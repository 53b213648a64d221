"""What stands beside the tables, the data files with their dictionary, and two reports compared."""

from __future__ import annotations

import io
import json
import re
import shutil
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas
import pytest
from pyarrow import parquet
from rich.console import Console

from bench.analysis.compare import Cell, compare
from bench.analysis.tables import row_name, table_view
from bench.base.errors import BenchError
from bench.base.upgrade import upgraded_record
from bench.catalog.catalog import Catalog
from bench.cli.diff import show_diff
from bench.cli.main import main
from bench.metrics.measures import measures, metrics
from bench.planning.plan import Plan, Request, make_plan
from bench.report.context import Material
from bench.report.data import CELLS, COMPARED, DICTIONARY, MEASURED, MEASUREMENTS, read_data
from bench.report.diff import compare_reports
from bench.report.latex import SYMBOLS, latex_table, symbols
from bench.report.site import Site
from bench.store.records import load_records
from bench.store.texts import Measurement

PAPER = "coupled-vae"
HOSTILE = "50% of $x_i$ \\input{a} & #1~^ \u03b1 ≥ 1 < 2"
VAE = f"paper/{PAPER}/ptb/vae"


@pytest.fixture(scope="module")
def plan(catalog: Catalog) -> Plan:
    asked = {"tier": "paper", "corpora": ("ptb",), "systems": ("vae",), "seeds": (0, 1)}
    return make_plan(catalog, Request.model_validate(asked))


@pytest.fixture(scope="module")
def reports(results_at: Any, catalog: Catalog, plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``before``, and ``after``: the NLL moved by 3 nats in both seeds, another number by a hair."""
    results = results_at(tmp_path_factory.mktemp("results"))
    results.corpus()
    for seed in (0, 1):
        results.run(f"{VAE}/seed{seed}", shift=0.1 * seed)
    results.run(f"{VAE}/seed0", origin="published/runs")
    write(results, catalog, plan, "before")
    for seed in (0, 1):
        folder = results.run(f"{VAE}/seed{seed}", shift=0.1 * seed)
        content = json.loads((folder / "measurements.json").read_text())
        for m in content["measurements"]:
            m["version"] = measures()["likelihood"].version + 1
            m["value"] += {"nll": 3.0, "kl": 1e-3}.get(m["metric"], 0.0)
        (folder / "measurements.json").write_text(json.dumps(content))
    write(results, catalog, plan, "after")
    return Path(results.root)


def write(results: Any, catalog: Catalog, plan: Plan, name: str) -> None:
    """The files of a report without its pages."""
    material = Material(catalog, plan, load_records(results.root, plan.runs), results.root, partial=False)
    Site(material, results.root / name).files()


def test_the_dictionary_names_every_column_and_nothing_else(reports: Path) -> None:
    dictionary = json.loads((reports / "before" / DICTIONARY).read_text())
    readable = (reports / "before" / DICTIONARY).with_suffix(".md").read_text()
    for file in (MEASUREMENTS, CELLS):
        table = parquet.read_table(reports / "before" / file)
        told = dictionary[file.name]
        assert [column["column"] for column in told] == table.column_names
        assert all(column["about"] and column["type"] for column in told)
        assert all(f"| `{name}` |" in readable for name in table.column_names)
    assert set(Cell.__dataclass_fields__) | {"paper"} == set(COMPARED)
    assert set(Measurement.model_fields) - {"column"} <= set(MEASURED)


def test_the_data_file_holds_every_measurement_as_it_was_measured(reports: Path) -> None:
    found = read_data(reports / "after", MEASUREMENTS)
    runs = sorted(reports.glob("runs/*/*/*/*/*/measurements.json"))
    runs += sorted(reports.glob("published/runs/*/*/*/*/*/measurements.json"))
    assert len(runs) == 3
    for path in runs:
        rows = [row for row in found if row["file"] == path.relative_to(reports).as_posix()]
        for row, m in zip(rows, upgraded_record(json.loads(path.read_text()))["measurements"], strict=True):
            assert {key: row[key] for key in m if key in row} == {k: v for k, v in m.items() if k in row}
    one = next(row for row in found if (row["seed"], row["metric"]) == (1, "nll"))
    assert (one["origin"], one["system"], one["steps"], one["seconds"]) == ("own", "vae", 60000, 812.0)
    today = measures()["likelihood"].version
    assert one["older"].startswith(f"measured with version {today + 1} of likelihood, now {today}")


def test_json_and_csv_hold_the_same_cells(reports: Path) -> None:
    tables = reports / "before" / "tables"
    flat = pandas.read_csv(tables / f"{PAPER}-table1.csv")
    cells = json.loads((tables / f"{PAPER}-table1.json").read_text())
    assert len(flat) == len(cells)
    found = next(c for c in cells if c["label"] == "VAE" and c["corpus"] == "ptb" and c["metric"] == "nll")
    assert found["seeds"] == [0, 1]
    assert found["values"] == pytest.approx([103.5, 103.6])
    assert found["files"] == [f"runs/{VAE}/seed{seed}/measurements.json" for seed in (0, 1)]
    assert json.loads((tables / f"{PAPER}-claims.json").read_text())


def test_latex_is_a_whole_table_with_the_best_in_bold(reports: Path) -> None:
    text = (reports / "before" / "tables" / f"{PAPER}-table1.tex").read_text()
    begin, end = text.index(r"\begin{tabular}"), text.index(r"\end{tabular}")
    assert begin < text.index(r"\toprule") < text.index(r"\midrule") < text.index(r"\bottomrule") < end
    columns = len(re.findall("[lr]", re.search(r"\{tabular\}\{(\w+)\}", text)[1]))  # type: ignore[index]
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")].splitlines()[1:]
    assert {line.count(" & ") + 1 for line in body} == {columns} == {19}
    assert all(line.endswith(r" \\") for line in body)
    row = next(line for line in body if line.startswith("VAE & "))
    assert row.split(" & ")[1:3] == [r"\textbf{103.5}", "103.6"]  # 103.55, ours and the only one; printed
    assert r"Coupled-$\beta$(0.8)-VAE" in text
    assert "own runs, tier paper" in text.splitlines()[0]
    assert "footnotesize" not in text  # one source only: the published run gives way to the user's own


def test_latex_compares_no_tier_with_another(results: Any, catalog: Catalog) -> None:
    results.corpus()
    for name in (
        "paper/coupled-vae/ptb/gru-lm",
        "quick/coupled-vae/ptb/vae",
        "quick/coupled-vae/ptb/coupled-vae",
    ):
        results.run(f"{name}/seed0", origin="published/runs")
    asked = make_plan(catalog, Request.model_validate({"tier": "demo", "systems": ("dae",)}))
    write(results, catalog, asked, "mixed")
    text = (results.root / "mixed" / "tables" / f"{PAPER}-table1.tex").read_text()
    rows = {line.split(" & ")[0]: line.split(" & ")[1] for line in text.splitlines() if " & " in line}
    assert rows["GRU-LM"] == r"\textbf{105.6$^{a}$}"
    assert rows["VAE"] == "103.5$^{b}$"
    assert rows["Coupled-VAE"] == r"\textbf{103.0$^{b}$}"
    assert "$^{a}$ published runs, tier paper; $^{b}$ published runs, tier quick" in text


def test_latex_runs_nothing_of_a_text(results: Any, catalog: Catalog) -> None:
    declared = catalog.paper(PAPER)
    table = declared.tables[0]
    cells = compare(catalog, load_records(results.root, {}), PAPER)
    hostile = [replace(c, label=HOSTILE) for c in cells if c.row < 2]
    view = table_view(declared, table, hostile, "", printed=True)
    text = latex_table(view, dict.fromkeys(view.corpora, "R&D_1"))  # three of one title, and two like rows
    rows = [line.split(" & ")[0] for line in text.splitlines() if line.startswith("50")]
    safe = (
        r"50\% of \$x\_i\$ \textbackslash input\{a\} \& \#1\textasciitilde \textasciicircum \space "
        r"$\alpha$ $\geq$ 1 $<$ 2"
    )
    assert rows == [safe, safe]
    assert text.count(r"{c}{R\&D\_1}") == len(view.corpora) == 3


def test_latex_has_a_command_for_every_sign_of_the_catalog(catalog: Catalog) -> None:
    texts = {entry.title for entry in catalog.corpora.values()} | {m.symbol for m in metrics().values()}
    for paper in catalog.papers.values():
        texts |= {" ".join(row_name(row.label, row.setting)) for table in paper.tables for row in table.rows}
    for text in {*texts, " ".join(map(chr, SYMBOLS))}:
        left = {character for character in symbols(text) if not character.isascii()}
        assert all("LATIN" in unicodedata.name(character) for character in left), text
        assert not re.search(r"(?<!\$)[<>|](?!\$)", symbols(text)), text


def test_bibtex_holds_the_papers_of_the_report(reports: Path, catalog: Catalog) -> None:
    assert (reports / "before" / "data" / "papers.bib").read_text() == catalog.paper(PAPER).bibtex


def test_a_report_differs_from_itself_in_nothing(reports: Path) -> None:
    found = compare_reports(reports / "before", reports / "before" / "index.html")
    assert (found.moves, found.flips, found.gone, found.new) == ((), (), (), ())
    assert found.shared > 10


def test_what_moved_beyond_noise_and_which_verdicts_flipped(reports: Path) -> None:
    found = compare_reports(reports / "before", reports / "after")
    moved = {(m.group[0], m.group[5], m.group[6]): m for m in found.moves}
    assert set(moved) == {
        ("own", "nll", "importance-sampling-100"),
        ("own", "kl", "analytic"),
        ("own", "kl", "monte-carlo"),
    }
    nll = moved["own", "nll", "importance-sampling-100"]
    assert nll.change == pytest.approx(3.0)
    size, kind = nll.noise
    assert kind == "spread over seeds"
    assert size == pytest.approx(0.05 * 2**0.5 * 12.7062 * 1.5**0.5, rel=1e-4)
    assert nll.beyond
    assert not moved["own", "kl", "analytic"].beyond
    flips = {(f.cell[1], f.cell[6]): (f.before, f.after) for f in found.flips if f.cell[3] == "VAE"}
    assert flips["table1", "nll"] == ("undecided", "worse")


def shown(before: Path, after: Path) -> str:
    buffer = io.StringIO()
    show_diff(Console(file=buffer), before, after)
    return buffer.getvalue()


def test_the_difference_in_a_pipe(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", str(reports / "before"), str(reports / "after")]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    lines = [line.split("\t") for line in out.splitlines()]
    row = next(line for line in lines if line[0].startswith(f"own/{VAE.replace('/seed0', '')} NLL"))
    assert row[1:4] == ["103.55", "106.55", "+3"]
    assert any(line[1:3] == ["undecided", "worse"] for line in lines)
    assert lines[-1][0].startswith(f"{compare_reports(reports / 'before', reports / 'after').shared} numbers")


def test_a_run_that_is_gone_is_told(reports: Path, tmp_path: Path) -> None:
    report = tmp_path / "less"
    shutil.copytree(reports / "before" / "data", report / "data")
    frame = parquet.read_table(report / MEASUREMENTS).to_pandas()
    left = frame[frame["origin"] == "own"]
    parquet.write_table(
        parquet.read_table(report / MEASUREMENTS).filter((frame["origin"] == "own").tolist()),
        report / MEASUREMENTS,
    )
    found = compare_reports(reports / "before", report)
    assert len(found.gone) == len(frame) - len(left)
    assert "only in the first" in shown(reports / "before", report)


def test_a_report_without_data_is_named(reports: Path, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="exports no data"):
        compare_reports(reports / "before", tmp_path)
    with pytest.raises(BenchError, match="there is no such report"):
        compare_reports(tmp_path / "never", reports / "before")
    (tmp_path / "data").mkdir()
    (tmp_path / MEASUREMENTS).write_text("no parquet")
    with pytest.raises(BenchError, match="damaged data file"):
        compare_reports(tmp_path, reports / "before")
