"""Results that were copied: what belongs together by its content is not made again, whatever the times of the files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bench.base.files import read_json, write_json
from bench.catalog.catalog import load_catalog
from bench.metrics.needs import wanted
from bench.planning.copied import PREPARED as CORPUS_FILES
from bench.planning.copied import TRAINED, put_in_order
from bench.planning.resolve import find_run
from tests.cli.conftest import PREPARED, RUN, SETTINGS
from tests.conftest import CORPUS

RUNS = f"results/runs/{RUN}"
SOURCES, CARD, TRAINING, MEASURED = (
    f"results/sources/{CORPUS}.json",
    f"{PREPARED}/corpus.json",
    f"{RUNS}/run.json",
    f"{RUNS}/measurements.json",
)


def late(here: Path) -> list[str]:
    """Inputs that are newer than something that was made from them."""
    made = {
        SOURCES: [f"{PREPARED}/{name}" for name in CORPUS_FILES],
        CARD: [MEASURED, *(f"{RUNS}/{name}" for name in TRAINED)],
        TRAINING: [MEASURED, f"results/logs/evaluate/{RUN}.jsonl"],
    }
    time = {str(p.relative_to(here)): p.stat().st_mtime_ns for p in here.rglob("*")}
    return [path for path, outputs in made.items() if time[path] > min(time[output] for output in outputs)]


@pytest.fixture
def copied(here: Path) -> Path:
    """As ``cp -r`` may leave them: what was made first is the newest."""
    (here / "results/logs/evaluate" / RUN).parent.mkdir(parents=True)
    (here / f"results/logs/evaluate/{RUN}.jsonl").write_text("{}")
    order = sorted((path for path in here.rglob("*") if path.is_file()), key=lambda p: p.stat().st_mtime_ns)
    for place, path in enumerate(reversed(order)):
        os.utime(path, (1e9 + place, 1e9 + place))
    for place, name in enumerate((MEASURED, TRAINING, CARD, SOURCES), 1):
        os.utime(here / name, (2e9 + place, 2e9 + place))
    assert late(here) == [SOURCES, CARD, TRAINING]
    return here


@pytest.mark.parametrize(
    ("settings", "made_again"),
    [({}, []), ({"evaluation": {"samples": 3}}, [TRAINING]), ({"latent": 3}, [CARD, TRAINING])],
)
def test_what_is_up_to_date_by_its_content_is_by_its_times(
    settings: dict[str, object], made_again: list[str], copied: Path
) -> None:
    run = find_run(load_catalog(), RUN, json.loads(SETTINGS) | settings)
    put_in_order(load_catalog(), [run], copied / "results", wanted)
    assert late(copied) == made_again
    before = {path: path.stat().st_mtime_ns for path in copied.rglob("*")}
    put_in_order(load_catalog(), [run], copied / "results", wanted)
    assert before == {path: path.stat().st_mtime_ns for path in copied.rglob("*")}


def test_a_run_of_other_data_is_left_to_be_trained_again(copied: Path) -> None:
    write_json(copied / CARD, read_json(copied / CARD) | {"data_hash": "another", "entry": "another"})
    put_in_order(
        load_catalog(), [find_run(load_catalog(), RUN, json.loads(SETTINGS))], copied / "results", wanted
    )
    assert late(copied) == [SOURCES, CARD, TRAINING]
