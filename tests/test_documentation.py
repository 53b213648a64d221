"""Every command of the README and of docs/ works: run where it only reads, planned or parsed where it would not.

docs/extending.md has a test of its own, which runs all of it.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.cli.main import main, parser
from bench.cli.options import RESULTS
from tests.forked import Forked

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "benchmarks" / "README.md"]
READING = ("show", "compare", "samples", "list", "settings")
KEPT = {k: v for k, v in os.environ.items() if not k.startswith(("BENCH_", "SNAKEMAKE_"))}
ENVIRONMENT = KEPT | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
CALL = r"(?:bench|snakemake|make|python benchmarks/\w+\.py)(?: |$)"


def found() -> Iterator[str]:
    """Commands of one line each, without comments, variables put in."""
    for page in PAGES:
        if page.name == "extending.md":
            continue
        text = page.read_text(encoding="utf-8")
        blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
        variables: dict[str, str] = {}
        for line in lines:
            words = shlex.split(line, comments=True)
            if len(words) == 1 and re.match(r"[A-Z]+=", words[0]):
                name, _, variables[name] = words[0].partition("=")
            elif re.match(CALL, line):
                yield shlex.join(variables.get(word.removeprefix("$"), word) for word in words)


def mentioned() -> Iterator[str]:
    """What looks like a command within a sentence: it may leave out what the sentence is not about."""
    for page in PAGES:
        text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        for code in re.findall(r"`([^`]+)`", text):
            if re.match(CALL, code) and "..." not in code:
                yield " ".join(code.split())


COMMANDS = list(dict.fromkeys(found()))
MENTIONED = [command for command in dict.fromkeys(mentioned()) if command not in COMMANDS]


def of(program: str) -> list[str]:
    return [command for command in COMMANDS if command.startswith(program)]


def test_there_are_commands_of_every_kind() -> None:
    assert all(of(program) for program in ("bench ", "snakemake ", "make "))


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a fresh clone has, for commands that only read it."""
    folder = tmp_path_factory.mktemp("clone")
    shutil.copytree(ROOT / "results" / "published", folder / "results" / "published")
    for name in ("workflow", "Makefile"):
        (folder / name).symlink_to(ROOT / name)
    return folder


def called(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a command of bench prints, which ends well."""
    try:
        status = main(words)
    except SystemExit as done:  # of --help
        status = int(done.code or 0)
    printed = capsys.readouterr()
    assert status == 0, printed.out + printed.err
    return printed.out + printed.err


@pytest.mark.parametrize("command", of("bench "))
def test_a_command_of_bench(
    command: str, clone: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = shlex.split(command)[1:]
    options = parser().parse_args(words)
    if options.name in READING and getattr(options, "results", RESULTS) == RESULTS:
        monkeypatch.chdir(clone)
        assert called(capsys, *words).strip()


@pytest.mark.parametrize("command", [m for m in MENTIONED if m.startswith("bench ")])
def test_a_mentioned_command_has_the_options_that_are_named(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name, *words = shlex.split(command)[1:]
    usage = called(capsys, name, "--help")
    for option in (word for word in words if word.startswith("--")):
        assert re.search(rf"{option}\b", usage), option


@pytest.mark.parametrize("command", of("snakemake "))
def test_a_command_of_snakemake_plans(command: str, clone: Path, forked: Forked) -> None:
    words = shlex.split(command)[1:]
    if "slurm" in command:
        pytest.importorskip("snakemake_executor_plugin_slurm")
    plain = [] if {"-n", "--list"} & set(words) else ["--dry-run"]
    done = forked(["-s", str(ROOT / "Snakefile"), *words, *plain, "--quiet"], clone, ENVIRONMENT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rror" not in done.stdout + done.stderr


def call(folder: Path, *words: str) -> str:
    done = subprocess.run(words, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("command", of("make "))
def test_a_target_of_make(command: str, clone: Path) -> None:
    call(clone, "make", "--dry-run", *shlex.split(command)[1:])


@pytest.mark.parametrize("command", of("python "))
def test_a_benchmark_says_what_it_does(command: str) -> None:
    assert "usage:" in call(ROOT, sys.executable, shlex.split(command)[1], "--help")
