"""Numbers of other code: shown in the cells of the tables, never judged, never part of a claim."""

from __future__ import annotations

from typing import Any

import pytest

from bench.analysis.cells import by_cell
from bench.analysis.compare import compare
from bench.analysis.external import all_records
from bench.base.files import write_json, write_text
from bench.catalog.catalog import Catalog
from bench.cli.results import load
from bench.planning.plan import Request, make_plan
from bench.report import papers
from bench.report.context import Material
from bench.report.site import Site

RUN = "released/coupled-vae/ptb/vae/seed0"
NUMBERS = [
    {"metric": "nll", "estimator": "importance-sampling-100", "value": 104.2, "low": 103.0, "high": 105.4},
    {"metric": "kl", "estimator": "analytic", "value": 8.7},
]
FILE = {"made_by": "a released program, commit abc", "measurements": NUMBERS}


def placed(results: Any, content: Any, name: str = RUN) -> None:
    folder = results.root / "external" / name
    folder.mkdir(parents=True)
    write_json(folder / "measurements.json", content)


@pytest.fixture
def material(results: Any, catalog: Catalog) -> Any:
    asked = {"tier": "paper", "corpora": ("ptb",), "systems": ("vae",), "seeds": (0,)}
    plan = make_plan(catalog, Request.model_validate(asked))
    results.corpus()
    return lambda: Material(
        catalog, plan, all_records(catalog, results.root, plan.runs), results.root, partial=False
    )


def test_an_external_number_is_shown_beside_ours_and_not_judged(
    results: Any, material: Any, catalog: Catalog
) -> None:
    results.run("paper/coupled-vae/ptb/vae/seed0")
    placed(results, FILE)
    cells = by_cell(compare(catalog, material().records, "coupled-vae"))
    sources = next(c for c in cells if (c[0].system, c[0].corpus, c[0].metric) == ("vae", "ptb", "nll"))
    assert [cell.origin for cell in sources] == ["own", "external"]
    external = sources[1]
    assert (external.measured, external.low, external.high) == (104.2, 103.0, 105.4)
    assert external.unit == sources[0].unit
    assert external.verdict == "not comparable"
    assert external.reason == "made by a released program, commit abc: shown beside ours, not judged"
    assert {setting[0] for setting in material().pairings} == {"own"}


def test_alone_it_fills_its_cells_and_the_others_say_that_there_is_no_run(
    results: Any, material: Any, catalog: Catalog
) -> None:
    placed(results, FILE, RUN.replace("/vae/", "/beta-0.8-vae/"))
    cells = by_cell(compare(catalog, material().records, "coupled-vae"))
    found = {c[0].metric: c[0] for c in cells if (c[0].system, c[0].corpus) == ("beta-0.8-vae", "ptb")}
    assert found["nll"].origin == "external"
    assert (found["mi"].origin, found["mi"].verdict) == ("own", "not run")


def test_the_report_names_it_as_external(results: Any, material: Any) -> None:
    results.run("paper/coupled-vae/ptb/vae/seed0")
    placed(results, FILE)
    placed(results, FILE, RUN.replace("/ptb/", "/yahoo-lite/"))
    made = material()
    site = Site(made, results.root / "site")
    site.files()
    shown = papers.paper(made, "coupled-vae")
    site._page("table.html", "table.html.j2", shown | {"view": shown["printed"][0]})
    (other,) = (found for found in shown["elsewhere"] if found["setting"][0] == "external")
    site._page("elsewhere.html", "elsewhere.html.j2", shown | {"found": other})
    page = "".join((results.root / "site" / f"{name}.html").read_text() for name in ("table", "elsewhere"))
    assert "External number, external released" in page
    assert "External numbers, made by other code." in page
    assert "a released program, commit abc" in page


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"made_by": "x", "measurements": [NUMBERS[0] | {"metric": "nlll"}]}, "did you mean 'nll'?"),
        (
            {"made_by": "x", "measurements": [NUMBERS[1] | {"estimator": "analytical"}]},
            "did you mean 'analytic'?",
        ),
        (
            {"made_by": "x", "measurements": [NUMBERS[1] | {"value": "20,5"}]},
            "json: measurements.0.value is '20,5'; allowed: a number",
        ),
        (
            {"made_by": "x", "measurements": [NUMBERS[1] | {"error": 1.0}]},
            "unknown key 'error'; allowed: estimator",
        ),
        ({"measurements": NUMBERS}, "made_by"),
        ({"made_by": "x", "measurements": []}, "measurements"),
        ({"made_by": "x", "measurements": [NUMBERS[0] | {"value": 99.0}]}, "outside its own interval"),
        ([], "a mapping"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_and_not_shown(
    results: Any, material: Any, content: Any, said: str
) -> None:
    placed(results, content)
    records = material().records
    (fault,) = records.faults
    assert fault.startswith(f"external/{RUN}/measurements.json: ")
    assert said in fault
    assert len([run for run in records.runs if run.origin == "external"]) == ("outside" in said)


@pytest.mark.parametrize(
    ("name", "said"),
    [("released/coupled-vae/ptb/vea/seed0", "'vae'"), ("released/coupled-vae/ptbb/vae/seed0", "'ptb'")],
)
def test_a_folder_of_an_unknown_system_or_corpus_is_told(
    results: Any, material: Any, name: str, said: str
) -> None:
    placed(results, FILE, name)
    (fault,) = material().records.faults
    assert said in fault


def test_nonsense_in_the_file_is_told(
    results: Any, material: Any, catalog: Catalog, capsys: pytest.CaptureFixture[str]
) -> None:
    placed(results, FILE)
    write_text(results.root / "external" / RUN / "measurements.json", "{")
    assert "damaged JSON" in material().records.faults[0]
    load(catalog, results.root, ["coupled-vae"])  # for the commands that show tables and claims
    assert "damaged JSON" in capsys.readouterr().err


def test_a_file_at_another_place_is_told(results: Any, material: Any) -> None:
    placed(results, FILE, "released/ptb/vae/seed0")
    (fault,) = material().records.faults
    assert fault.startswith("external/released/ptb/vae/seed0/measurements.json: not read")
    assert "CODE/PAPER/CORPUS/SYSTEM/seedK" in fault
