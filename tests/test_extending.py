"""docs/extending.md does what it says: its files are written and its commands run, and the package stays as it is."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas
import pytest

from bench.base.files import read_json, sha256_file

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
BLOCK = re.compile(
    r"(?P<before>[^\n]*)\n\n```(?P<language>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL
)
# All commands of the page in one process: what a shell would do with these few kinds of lines.
DRIVER = """
import os, shlex, sys
from pathlib import Path
from bench.cli.main import main
for line in sys.stdin.read().splitlines():
    words = [os.path.expandvars(word) for word in shlex.split(line)]
    if words[0] == "export":
        os.environ.update([words[1].split("=", 1)])
    elif main(words[1:]):
        sys.exit(f"failed: {line}")
    if words[1] == "report":  # each report is kept, under its number
        os.rename("results/report", f"report-{len(list(Path().glob('report-*')))}")
"""


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the file that the line before it names, if any, and its text."""

    language: str
    file: str | None
    body: str


def blocks() -> Iterator[Block]:
    for found in BLOCK.finditer(PAGE):
        names = re.findall(r"`([\w./-]+\.\w+)`", found["before"])
        file = names[-1] if names and found["language"] != "sh" else None
        yield Block(found["language"], file, found["body"])


def commands() -> list[str]:
    return [line for block in blocks() if block.language == "sh" for line in block.body.splitlines()]


def run(folder: Path, arguments: list[str], text: str = "") -> str:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("BENCH_", "SNAKEMAKE_"))}
    more = {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1", "BENCH_CACHE": str(folder / "cache")}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=kept | more,
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory of a user's, with the files of the page in it and links to the package."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("bench", "workflow", "Snakefile"):
        (folder / name).symlink_to(ROOT / name)
    for block in (block for block in blocks() if block.file is not None):
        path = folder / str(block.file)
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_text(encoding="utf-8") + "\n" if path.exists() else ""
        path.write_text(before + block.body, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def printed(checkout: Path) -> str:
    """What the commands of the page print."""
    lines = [line for line in commands() if not line.startswith("snakemake ")]
    return run(checkout, ["-c", DRIVER], "\n".join(lines))


def reported(folder: Path, report: int, corpus: str) -> pandas.DataFrame:
    """The measured numbers of table 1 on a corpus, in the page's report of that number."""
    (path,) = (folder / f"report-{report}" / "tables").glob(f"*{corpus}-table1.csv")
    frame = pandas.read_csv(path)
    return frame[frame["measured"].notna()]


def test_every_block_is_a_file_or_commands() -> None:
    found = list(blocks())
    assert len(found) == PAGE.count("```") // 2
    assert all((block.file is None) == (block.language == "sh") for block in found)
    assert {line.split()[0] for line in commands()} == {"export", "bench", "snakemake"}


def test_every_file_is_in_a_folder_of_the_users_own() -> None:
    files = [str(block.file) for block in blocks() if block.file]
    assert all(file.startswith(("mine/", "results/external/")) for file in files)
    rooms = {Path(file).parts[1] for file in files if file.startswith("mine/")}
    assert rooms == {"systems.yaml", "parts", "measures", "readers", "corpora", "papers", "questions.yaml"}


def test_a_new_system_is_a_few_lines(checkout: Path, printed: str) -> None:
    assert "kind: constant" in printed  # its settings
    rows = reported(checkout, 0, "generated-tiny")
    assert {"nll", "ppl", "kl"} <= set(rows.loc[rows["system"] == "unannealed-vae", "metric"])
    pages = (checkout / "report-0" / "papers" / "coupled-vae").glob("*.html")
    assert any("unannealed-vae" in page.read_text(encoding="utf-8") for page in pages)


def test_the_workflow_finds_the_new_systems(checkout: Path) -> None:
    (line,) = (line for line in commands() if line.startswith("snakemake "))
    output = run(checkout, ["-m", *line.split(), "--dry-run"])
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", output, re.MULTILINE))
    expected = {"fetch": "1", "prepare": "1", "train": "3", "evaluate": "3", "report": "1"}
    assert expected.items() <= jobs.items()


def test_a_new_part_is_a_class_in_a_file(checkout: Path, printed: str) -> None:
    assert "weight cosine\tlength, ceiling=1.0\tHalf a wave of a cosine" in printed
    folder = checkout / "results/runs/demo/coupled-vae/generated-tiny/cosine-vae/seed0"
    settings = read_json(folder / "run.json")["settings"]
    weight = settings["objective"]["kl"]["weight"]
    assert weight == {"kind": "cosine", "options": {"length": 117, "ceiling": 1.0}}
    weights = pandas.read_parquet(folder / "training.parquet").set_index("step")["kl_weight"]
    assert weights[40] == pytest.approx((1 - math.cos(math.pi * 40 / 117)) / 2)
    rows = reported(checkout, 1, "generated-tiny")
    assert set(rows["system"]) == {"unannealed-vae", "cosine-vae"}


def test_a_new_part_leaves_the_other_runs_up_to_date(checkout: Path) -> None:
    code = (
        "import json; from bench.catalog.catalog import load_catalog; from bench.planning.resolve import find_run; "
        "run = find_run(load_catalog(), 'demo/coupled-vae/ptb/vae/seed0'); "
        "print(json.dumps([run.identity, run.training_identity]))"
    )
    before = run(checkout, ["-c", code])
    assert run(checkout, ["-c", f"import os; os.environ['BENCH_CATALOG'] = 'mine'; {code}"]) == before


def test_a_run_records_the_users_own_files_that_it_imported(checkout: Path, printed: str) -> None:
    folder = checkout / "results/runs/demo/coupled-vae/generated-tiny"
    cosine, constant = (
        read_json(folder / system / "seed0" / "run.json")["provenance"].get("own_files", {})
        for system in ("cosine-vae", "unannealed-vae")
    )
    assert cosine["mine/parts/cosine.py"] == sha256_file(checkout / "mine" / "parts" / "cosine.py")
    assert "mine/measures/length.py" in cosine
    assert "mine/parts/cosine.py" not in constant


def test_a_critic_takes_turns_with_the_model(checkout: Path, printed: str) -> None:
    folder = checkout / "results/runs/demo/coupled-vae/generated-tiny/critic-vae/seed0"
    assert read_json(folder / "run.json")["parameters"]["terms.discrimination"] > 16 * 16
    assert {"adversarial", "discrimination"} <= set(pandas.read_parquet(folder / "training.parquet").columns)


def test_a_corpus_of_ones_own_is_three_files_and_three_lines(checkout: Path, printed: str) -> None:
    folder = checkout / "results" / "corpora" / "coupled-vae" / "animals"
    assert read_json(folder / "corpus.json")["sizes"] == {"train": 6, "valid": 2, "test": 3}
    assert read_json(folder / "card.json")["splits"]["test"]["oov_types"] == 1  # the zebra
    rows = reported(checkout, 2, "animals")
    assert set(rows["system"]) == {"vae"}
    assert set(rows["corpus"]) == {"animals"}
    assert rows["verdict"].eq("not comparable").all()


def test_pairs_in_a_table_are_four_lines(checkout: Path, printed: str) -> None:
    folder = checkout / "results" / "corpora" / "coupled-vae" / "talk"
    summary = read_json(folder / "corpus.json")
    assert (summary["fields"], summary["decodes"]) == (["context", "response"], "response")
    assert summary["labels"] == {"style": ["calm", "glad"]}
    texts = (folder / "test.context.txt").read_text(encoding="utf-8").splitlines()
    assert texts[1] == "did the dog see it, too"


def test_a_new_reader_is_a_function_in_a_file(checkout: Path, printed: str) -> None:
    folder = checkout / "results" / "corpora" / "coupled-vae" / "birds"
    assert read_json(folder / "corpus.json")["sizes"] == {"train": 2, "valid": 2, "test": 2}
    assert (folder / "test.txt").read_text(encoding="utf-8") == "a bird sang\nthe cat sang\n"


def test_a_new_metric_is_measured_and_explained(checkout: Path, printed: str) -> None:
    run = read_json(
        checkout / "results/runs/demo/coupled-vae/generated-tiny/unannealed-vae/seed0/measurements.json"
    )
    (found,) = (m for m in run["measurements"] if m["metric"] == "sample_length")
    assert 0 < found["value"] <= 200
    assert (found["unit"], found["validity"], found["texts"]) == ("words", "exact", 320)
    methods = (checkout / "report-0" / "methods.html").read_text(encoding="utf-8")
    assert "Mean number of words in greedy samples from the prior." in methods


def test_a_new_paper_has_its_page_and_its_target(checkout: Path, printed: str) -> None:
    rows = pandas.read_csv(checkout / "report-3" / "tables" / "example-table1.csv")
    assert rows.set_index("metric").loc["nll", ["spread", "n"]].dropna().to_numpy().tolist() == [[0.2, 3]]
    rows = rows[rows["measured"].notna()]
    assert set(rows["metric"]) == {"nll", "kl", "length"}
    assert rows.set_index("metric")["reported"].dropna().to_dict() == {"nll": 20.5, "kl": 1.5}
    page = (checkout / "report-3" / "papers" / "example.html").read_text(encoding="utf-8")
    assert "An example of a paper" in page
    question = (checkout / "report-3" / "questions" / "codes-or-none.html").read_text(encoding="utf-8")
    assert "Does a latent code help?" in question
    output = run(
        checkout,
        ["-m", "snakemake", "--dry-run", "example_table1", "--config", "catalog=mine", "papers=example"],
    )
    assert re.search(r"^train +2$", output, re.MULTILINE)
