"""What sets the project up: declared packages, lock, conda environment, the check before an installation."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
RUNTIME = {r.name: r for r in map(Requirement, PROJECT["project"]["dependencies"])}
TEST = {r.name: r for r in map(Requirement, PROJECT["project"]["optional-dependencies"]["test"])}
CONDA_NAMES = {"matplotlib-base": "matplotlib", "pytorch": "torch", "snakemake-minimal": "snakemake"}
CONDA_ONLY = {"python", "pip", "setuptools", "make", "cmake", "cxx-compiler"}


def locked(name: str) -> dict[str, list[str]]:
    """Versions by package; two where they differ between Pythons."""
    found: dict[str, list[str]] = {}
    for package, version in re.findall(r"^([\w.-]+)==([^ ;]+)", (ROOT / name).read_text(), re.MULTILINE):
        found.setdefault(canonicalize_name(package), []).append(version)
    return found


def test_the_lock_holds_every_declared_package_at_a_version_that_is_allowed() -> None:
    runtime, test = locked("requirements.lock"), locked("requirements-test.lock")
    for held, declared in ((runtime, RUNTIME), (test, RUNTIME | TEST)):
        for name, requirement in declared.items():
            if name != "torch":
                assert all(
                    requirement.specifier.contains(version) for version in held[canonicalize_name(name)]
                )
    assert runtime.items() <= test.items()


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-test.lock"])
def test_every_locked_package_is_hashed_and_no_build_of_torch_is_among_them(name: str) -> None:
    text = (ROOT / name).read_text()
    entries = re.split(r"\n(?=[\w.-]+==)", text)[1:]
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in entries)
    assert not re.search(r"^(torch|triton|nvidia\S*|cuda\S*)==", text, re.MULTILINE)
    assert "://" not in text
    assert "setuptools" in locked(name)  # builds kenlm, and installs the project itself


def test_one_version_of_torch_everywhere() -> None:
    uv = PROJECT["tool"]["uv"]
    makefile = re.search(r"^TORCH \?= torch==(\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert makefile is not None
    assert uv["constraint-dependencies"] == [f"torch=={makefile[1]}"]
    assert uv["dependency-metadata"][0]["version"] == makefile[1]
    assert RUNTIME["torch"].specifier.contains(makefile[1])


def test_the_lock_holds_what_torch_needs() -> None:
    declared = {
        Requirement(line).name for line in PROJECT["tool"]["uv"]["dependency-metadata"][0]["requires-dist"]
    }
    needed = [Requirement(line) for line in importlib.metadata.requires("torch") or []]
    plain = {r.name for r in needed if r.marker is None or "extra" not in str(r.marker)}
    assert {n for n in plain if not n.startswith(("nvidia", "cuda", "triton"))} <= declared


def test_the_conda_environment_is_the_same_set_of_packages() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    listed = [line for line in environment["dependencies"] if isinstance(line, str)]
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    found = {}
    for line in (*listed, *pip):
        requirement = Requirement(line)
        found[CONDA_NAMES.get(requirement.name, requirement.name)] = str(requirement.specifier)
    assert found.keys() - CONDA_ONLY == (RUNTIME | TEST).keys()
    assert {name: found[name] for name in found.keys() - CONDA_ONLY} == {
        name: str(requirement.specifier) for name, requirement in (RUNTIME | TEST).items()
    }
    assert found["python"] == str(Requirement(f"python{PROJECT['project']['requires-python']}").specifier)


def test_every_package_that_is_imported_is_declared() -> None:
    distributions = importlib.metadata.packages_distributions()
    imported = set()
    for file in (ROOT / "bench").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += (
                [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
            )
            imported |= {name.partition(".")[0] for name in names}
    imported -= {"bench", *sys.stdlib_module_names}
    undeclared = {
        n for n in imported if not {canonicalize_name(d) for d in distributions.get(n, [n])} & RUNTIME.keys()
    }
    assert undeclared == set()


# The check before the installation, with a PATH that holds only what a test puts there.


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder of commands: the basic ones only."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "awk", "df", "mkdir", "rmdir"):
        (folder / name).symlink_to(str(shutil.which(name)))
    return folder


def command(machine: Path, name: str, script: str) -> None:
    (machine / name).unlink(missing_ok=True)
    (machine / name).write_text(f"#!/bin/sh\n{script}\n")
    (machine / name).chmod(0o755)


def check(machine: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    script = str(ROOT / "workflow" / "setup" / "check.sh")
    environment = {"PATH": str(machine), **variables}
    return subprocess.run(
        ["sh", script, str(machine.parent)], capture_output=True, text=True, env=environment, check=False
    )


def equip(machine: Path) -> None:
    command(machine, "python3", f'exec {sys.executable} "$@"')
    command(machine, "g++", "exit 0")
    command(machine, "cmake", "exit 0")


def test_everything_that_is_missing_is_named_at_once(machine: Path) -> None:
    command(machine, "python3.12", "exit 127")  # a shim without a Python behind it
    command(machine, "python3", "exit 1")  # another version
    command(machine, "df", "echo head; echo '/dev/sda 1 1 1048576 1% /'")  # 1 GB
    done = check(machine)
    assert done.returncode == 1
    assert done.stdout == ""
    for thing in ("Python 3.11 or 3.12", "a C++ compiler", "cmake", "disk space: 1 GB"):
        assert f"missing: {thing}" in done.stderr
    for remedy in (
        "apt-get install cmake",
        "brew install cmake",
        "conda install -c conda-forge cxx-compiler",
    ):
        assert remedy in done.stderr
    assert "Nothing was installed" in done.stderr


def test_a_machine_that_has_everything(machine: Path) -> None:
    equip(machine)
    command(machine, "python3.12", "exit 127")
    done = check(machine)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "python3", "")
    assert check(machine, PYTHON=sys.executable).stdout.strip() == sys.executable
    wrong = check(machine, PYTHON="/no/such/python")
    assert wrong.returncode == 1
    assert "/no/such/python" in wrong.stderr


@pytest.mark.parametrize(
    ("answers", "thing", "remedy"),
    [
        ("ensurepip", "the venv and ensurepip modules", "-venv"),
        ("Python.h", "the C headers", "-dev"),
    ],
)
def test_half_a_python_is_named_as_such(answers: str, thing: str, remedy: str, machine: Path) -> None:
    equip(machine)
    command(machine, "python3", f'case "$*" in *{answers}*) exit 1;; esac; exec {sys.executable} "$@"')
    done = check(machine)
    assert done.returncode == 1
    assert f"missing: {thing}" in done.stderr
    assert f"apt-get install python3.{sys.version_info[1]}{remedy}" in done.stderr


def clear(folder: Path) -> subprocess.CompletedProcess[str]:
    script = str(ROOT / "workflow" / "setup" / "clear.sh")
    return subprocess.run(["sh", script, str(folder)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("sign", [".latent-text-bench", "build.lock", ".installed-123", None])
def test_only_an_environment_that_make_set_up_is_removed(
    sign: str | None, linked: bool, tmp_path: Path
) -> None:
    folder = tmp_path / "my environment"
    (folder / "lib").mkdir(parents=True)
    (folder / "lib" / "mine.py").touch()
    if sign is not None:
        (folder / sign).touch()
    if linked:
        (tmp_path / "link").symlink_to(folder)
    done = clear(tmp_path / "link" if linked else folder)
    if sign is None:
        assert done.returncode == 1
        assert "was not set up by make: move it away, or name another folder" in done.stderr
        assert (folder / "lib" / "mine.py").exists()
        assert not (folder / ".latent-text-bench").exists()
    else:
        assert (done.returncode, done.stderr) == (0, "")
        assert [path.name for path in folder.iterdir()] == [".latent-text-bench"]
    assert (tmp_path / "link").is_symlink() == linked


def test_a_new_environment_is_marked_and_a_file_is_not_removed(tmp_path: Path) -> None:
    assert clear(tmp_path / "deep" / "new").returncode == 0
    assert (tmp_path / "deep" / "new" / ".latent-text-bench").exists()
    (tmp_path / "file").write_text("mine")
    assert clear(tmp_path / "file").returncode == 1
    assert (tmp_path / "file").read_text() == "mine"


# What `make test ARGS=...` hands to the tests, and they would hand to a `make` of their own.
OF_MAKE = {"MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS", "MAKELEVEL", "ARGS", "CORES", "WORKERS", "TORCH"}


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """``made(target, fault)``: make at a path with blanks, with a Python that only notes what it is asked.

    A call whose words hold ``fault`` says so and fails.
    """
    tree, tools = tmp_path / "a tree", tmp_path / "my tools"
    (tree / "workflow").mkdir(parents=True)
    tools.mkdir()
    for name in ("Makefile", "requirements.lock", "requirements-test.lock", "workflow/setup"):
        (tree / name).symlink_to(ROOT / name)
    note = (
        f'{sys.executable} -c "import json, sys; print(json.dumps(sys.argv[1:]))" "$@" >> "{tmp_path}/asked"'
    )
    make = (
        'case "$2" in venv) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && cp "$0" "$3/bin/snakefmt";; esac'
    )
    fails = '[ -z "$FAULT" ] || case "$*" in *"$FAULT"*) echo "a fault of $FAULT"; exit 1;; esac'
    for name in ("python", "cmake", "g++"):
        command(tools, name, f"{note}\n{make}\n{fails}" if name == "python" else "exit 0")
    ours = {name: value for name, value in os.environ.items() if name not in OF_MAKE}
    environment = ours | {"PATH": f"{tools}:{os.environ['PATH']}", "PYTHON": str(tools / "python")}

    def run(target: str, fault: str = "") -> subprocess.CompletedProcess[str]:
        faulty = environment | {"FAULT": fault}
        return subprocess.run(
            ["make", target], cwd=tree, capture_output=True, text=True, check=False, env=faulty
        )

    return run


def test_make_works_below_a_path_with_blanks(
    made: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    for target in ("all", "test"):
        done = made(target)
        assert done.returncode == 0, done.stdout + done.stderr
    asked = [json.loads(line) for line in (tmp_path / "asked").read_text().splitlines()]
    assert ["-m", "venv", ".venv"] in asked
    assert ["-m", "snakemake", "--cores", "all", "all"] in asked
    for check in (["-m", "ruff", "check", "."], ["-m", "mypy"], ["-m", "mypy", "benchmarks"]):
        assert check in asked
    assert any(words[:2] == ["-m", "pytest"] for words in asked)
    assert any(words[:3] == ["-m", "pip", "--disable-pip-version-check"] for words in asked)
    assert {path.name for path in tmp_path.iterdir()} == {"a tree", "my tools", "asked"}
    assert {path.name for path in (tmp_path / "a tree").iterdir()} == {
        ".venv",
        "Makefile",
        "requirements.lock",
        "requirements-test.lock",
        "workflow",
    }


@pytest.mark.parametrize("check", ["-m ruff", "--compact-diff", "-m mypy", "-m mypy benchmarks", "-m pytest"])
def test_a_fault_of_any_check_is_told_and_fails_the_whole(
    check: str, made: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """Also one of the types, which are checked beside the tests."""
    done = made("test", check)
    assert done.returncode == 2
    assert f"a fault of {check}\n" in done.stdout


def test_the_commands_say_what_they_do() -> None:
    """``make -n`` of a second call installs nothing; the stamp depends on the lock."""
    done = subprocess.run(
        ["make", "-n", "setup", "KEY=1"], cwd=ROOT, capture_output=True, text=True, check=True, env=os.environ
    )
    assert "requirements.lock" in done.stdout
    assert "torch==" in done.stdout


def test_make_lists_its_targets_and_refuses_others() -> None:
    """``tests`` and ``results`` are folders here, which make by itself would call up to date."""
    environment = {name: value for name, value in os.environ.items() if name not in OF_MAKE}
    for target in ("help", "tests", "results", "demmo"):
        done = subprocess.run(
            ["make", target], cwd=ROOT, capture_output=True, text=True, check=False, env=environment
        )
        told = done.stdout if target == "help" else done.stderr
        assert done.returncode == (0 if target == "help" else 2)
        for name in ("make test ", "make setup ", "make clean ", "make lock ", "TORCH=..."):
            assert name in told
        assert target == "help" or f"There is no target {target}." in told


def test_the_container_copies_what_the_set_up_needs() -> None:
    lines = (ROOT / "workflow" / "container" / "Dockerfile").read_text().splitlines()
    known = {"FROM", "RUN", "WORKDIR", "COPY", "ARG", "ENV", "CMD"}
    begun = [
        line.split()[0]
        for line, before in zip(lines, ["", *lines], strict=False)
        if line and not before.endswith("\\")
    ]
    assert {word for word in begun if word != "#"} <= known
    left_out = (ROOT / ".dockerignore").read_text().split()
    needed = (
        "Makefile",
        "pyproject.toml",
        "requirements.lock",
        "bench",
        "workflow",
        "Snakefile",
        "README.md",
    )
    for name in needed:
        assert (ROOT / name).exists()
        assert not any(
            fnmatch(name, pattern.strip("/")) for pattern in left_out if not pattern.startswith("!")
        ), name
