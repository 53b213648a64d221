"""Printed numbers: which lines are read, how, and what is told of every mistake in one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.analysis.compare import compare
from bench.base.errors import BenchError
from bench.catalog.catalog import load_catalog
from bench.catalog.quantities import PrintedQuantity
from bench.catalog.reported import NEEDED, PrintedNumber, read_reported
from bench.catalog.tables import Printed
from bench.store.records import Records

HEAD = "table,corpus,label,setting,metric,value,unit,bold,note"
LINE = {"table": "Table 1", "corpus": "ptb", "label": "VAE", "setting": "", "metric": "nll"}
LINE |= {"value": "103.6", "unit": "nats", "bold": "no", "note": ""}
VAE = {"label": "VAE", "system": "vae"}
PRINTED = Printed.model_validate(
    {
        "quantities": {
            "nll": {"metric": "nll", "estimator": None, "decimals": 1},
            "kl": {"metric": "kl", "estimator": "monte-carlo", "decimals": 1},
        },
        "tables": [
            {
                "id": "table1",
                "printed": "Table 1",
                "title": "One",
                "corpora": ["ptb", "yahoo"],
                "columns": ["nll", "kl"],
                "rows": [VAE, {"label": "DAE", "system": "dae", "setting": "beta=0"}],
            },
            {
                "id": "table2",
                "printed": "Table 2",
                "title": "Two",
                "corpora": ["ptb"],
                "columns": ["nll"],
                "rows": [VAE, VAE],
            },
        ],
    }
)


def line(**changes: str) -> str:
    return ",".join((LINE | changes).values())


def read(folder: Path, *lines: str, encoding: str = "utf-8") -> tuple[PrintedNumber, ...]:
    (folder / "reported.csv").write_bytes("\n".join(lines).encode(encoding))
    return read_reported(folder / "reported.csv", PRINTED)


def test_a_line_is_a_number(tmp_path: Path) -> None:
    (number,) = read(tmp_path, HEAD, line())
    assert (number.label, number.value, number.unit, number.bold) == ("VAE", 103.6, "nats per text", False)
    assert (number.spread, number.n, number.marks) == (None, None, ())
    assert list(NEEDED) == HEAD.split(",")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        *((word, True) for word in ("yes", "1", "TRUE", "True", " yes")),
        *((word, False) for word in ("no", "0", "FALSE")),
        *((word, None) for word in ("lost", "")),
    ],
)
def test_bold_is_yes_no_or_lost_in_the_source(written: str, meant: bool | None, tmp_path: Path) -> None:
    assert read(tmp_path, HEAD, line(bold=written))[0].bold is meant


def test_a_number_has_a_spread_a_number_of_runs_and_marks(tmp_path: Path) -> None:
    marked = f"{line()},0.4,3,previously-reported; tie"
    plain = f"{line(metric='kl')},,,"
    first, second = read(tmp_path, f"{HEAD},spread,n,marks", marked, plain)
    assert (first.spread, first.n, first.marks) == (0.4, 3, ("previously-reported", "tie"))
    assert (second.spread, second.n, second.marks) == (None, None, ())


def test_columns_stand_in_any_order_and_a_mark_before_the_first_is_left_out(tmp_path: Path) -> None:
    reordered = ("note", *(name for name in LINE if name != "note"))
    values = ",".join(LINE[name] for name in reordered)
    (number,) = read(tmp_path, ",".join(reordered), values, "", encoding="utf-8-sig")
    assert number.value == 103.6


def test_a_row_that_is_printed_twice_has_its_numbers_twice(tmp_path: Path) -> None:
    twice = line(table="Table 2")
    assert len(read(tmp_path, HEAD, twice, twice)) == 2
    with pytest.raises(BenchError, match=r"nll of 'VAE' on ptb for the 3\. time(.|\n)*csv:4(.|\n)*2 times"):
        read(tmp_path, HEAD, twice, twice, twice)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"table": "Table 3"}, r"unknown table 'Table 3'(.|\n)*csv:2: table(.|\n)*did you mean 'Table"),
        ({"label": "VEA"}, r"unknown label 'VEA'(.|\n)*csv:2: label(.|\n)*did you mean 'VAE'"),
        ({"label": "DAE"}, r"unknown setting ''(.|\n)*csv:2: setting(.|\n)*allowed: beta=0"),
        ({"corpus": "pbt"}, r"unknown corpus 'pbt'(.|\n)*csv:2: corpus(.|\n)*did you mean 'ptb'"),
        ({"table": "Table 2", "corpus": "yahoo"}, r"unknown corpus 'yahoo'(.|\n)*allowed: ptb"),
        ({"metric": "nnl"}, r"unknown metric 'nnl'(.|\n)*csv:2: metric(.|\n)*did you mean 'nll'"),
        ({"table": "Table 2", "metric": "kl"}, "unknown metric 'kl'"),
        ({"value": "6.27K"}, r"value is '6\.27K'(.|\n)*csv:2: value(.|\n)*a number"),
        ({"value": ""}, r"value is ''(.|\n)*csv:2"),
        ({"value": "nan"}, "value is 'nan'(.|\n)*finite"),
        ({"unit": "bits"}, r"unknown unit 'bits'(.|\n)*csv:2: unit"),
        ({"bold": "maybe"}, r"unknown value of bold 'maybe'(.|\n)*csv:2: bold(.|\n)*lost, no, yes"),
    ],
)
def test_a_value_that_names_nothing_is_told_with_its_line(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(BenchError, match=message):
        read(tmp_path, HEAD, line(**changes))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ((HEAD, "Table 1,ptb,VAE"), r"3 values in a line(.|\n)*9 columns(.|\n)*csv:2(.|\n)*double quotes"),
        ((HEAD, line(), line(note="one, two")), r"10 values in a line(.|\n)*csv:3"),
        (("table;corpus", ""), "unknown column 'table;corpus'"),
        ((HEAD.replace(",bold", ""), line()), r"no column bold(.|\n)*csv:1"),
        ((f"{HEAD},note", line()), "a column twice"),
        ((f"{HEAD},stderr", line()), "unknown column 'stderr'"),
        ((f"{HEAD},spread", f"{line()},-1"), "spread is -1|spread is '-1'"),
        ((f"{HEAD},n", f"{line()},0"), "n is '0'"),
        ((f"{HEAD},marks", f"{line()},exakt"), r"unknown mark 'exakt'(.|\n)*did you mean 'exact'"),
        ((HEAD, f'{line()[:-1]}"'), r"csv:2|csv:3"),
        ((), "no column table"),
    ],
)
def test_a_file_of_another_form_is_told(lines: tuple[str, ...], message: str, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=message):
        read(tmp_path, *lines)


def test_a_file_that_is_not_utf8_is_told_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(
        BenchError, match=r"not UTF-8: the byte 0xb1(.|\n)*csv:3(.|\n)*save the file as UTF-8"
    ):
        read(tmp_path, HEAD, line(), line(metric="kl", note="± 0.1"), encoding="cp1252")


def test_a_quantity_that_nothing_measures_says_why_and_keeps_its_printed_numbers() -> None:
    paper = load_catalog().paper("ivae")
    table = next(table for table in paper.tables if table.id == "table3")
    quantity = paper.quantity(table, "train_hours_abs")
    assert quantity is not None
    assert not quantity.measured
    cells = [
        cell for cell in compare(load_catalog(), Records([], [], [], []), "ivae") if cell.table == "table3"
    ]
    hours = next(cell for cell in cells if (cell.label, cell.corpus, cell.unit) == ("SA-VAE", "ptb", "hours"))
    assert (hours.reported, hours.measured, hours.verdict) == (7.1, None, "not measured")
    assert hours.reason == quantity.missing
    with pytest.raises(ValueError, match="unknown metric"):
        PrintedQuantity(metric="train_hours_abs", decimals=1)
