"""The house: rooms import one way, no circles, files and functions of a size that can be read, light imports."""

from __future__ import annotations

import ast
import statistics
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "bench"
ROOMS = (  # each may import those before it
    "base",
    "corpora",
    "store",
    "models",
    "objectives",
    "estimators",
    "training",
    "metrics",
    "catalog",
    "planning",
    "analysis",
    "report",
    "cli",
)
LINES = 400  # of a file, at most
MEDIAN, NINTH_DECILE = 12, 40  # lines of a function
PLOTTING = {"matplotlib", "jinja2"}


@cache
def modules() -> dict[str, Path]:
    """The modules of the package by their names."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def imports(module: str, *, at_once: bool) -> frozenset[str]:
    """The modules of the package that one imports: when it is imported, or at any time and for types too."""
    found = set()
    for node in _nodes(ast.parse(modules()[module].read_text(encoding="utf-8")), at_once):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (inner & modules().keys()) or {node.module}
    return frozenset(name for name in found if name in modules() and name != module)


def _nodes(node: ast.AST, at_once: bool) -> Iterator[ast.AST]:
    """The nodes below ``node``; ``at_once``: those alone that are executed when the module is imported."""
    for child in ast.iter_child_nodes(node):
        if at_once and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if at_once and isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from _nodes(child, at_once)


def room(module: str) -> str | None:
    """The room of a module; None for the package itself and ``__main__``."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] != "__main__" else None


def test_every_module_lies_in_a_room() -> None:
    assert {room(module) for module in modules()} == {None, *ROOMS}


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_imports_only_those_before_it(name: str) -> None:
    allowed = {None, *ROOMS[: ROOMS.index(name) + 1]}
    wrong = {
        module: sorted(other for other in imports(module, at_once=False) if room(other) not in allowed)
        for module in modules()
        if room(module) == name
    }
    assert {module: others for module, others in wrong.items() if others} == {}


def test_no_modules_import_each_other_in_a_circle() -> None:
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module not in done:
            for other in sorted(imports(module, at_once=False)):
                visit(other, (*path, module))
            done.add(module)

    for module in modules():
        visit(module, ())


@pytest.mark.parametrize("job", ["bench.training.run", "bench.metrics.evaluate"])
def test_a_job_does_not_load_the_downloader(job: str) -> None:
    reached, waiting = set(), {job}
    while waiting:
        module = waiting.pop()
        reached.add(module)
        waiting |= imports(module, at_once=True) - reached
    assert len(reached) > 50
    assert "bench.corpora.fetch" not in reached


def test_no_file_is_too_long_to_read() -> None:
    files = [*PACKAGE.rglob("*.py"), *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
    files += [ROOT / "Snakefile", *(ROOT / "workflow").rglob("*.smk")]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in files}
    assert {name: length for name, length in lengths.items() if length > LINES} == {}


def test_a_class_has_a_name_of_its_own() -> None:
    found: dict[str, list[str]] = {}
    for module, path in modules().items():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found.setdefault(node.name, []).append(module)
    assert {name: places for name, places in found.items() if len(places) > 1} == {}


def test_functions_are_short() -> None:
    lengths = [
        node.end_lineno - node.lineno + 1
        for path in modules().values()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None
    ]
    assert statistics.median(lengths) <= MEDIAN
    assert statistics.quantiles(lengths, n=10)[8] <= NINTH_DECILE


def loaded(*names: str) -> set[str]:
    """The top-level packages that are there once ``names`` are imported, in a new process."""
    code = f"import sys, {', '.join(names)}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def of_room(*names: str) -> list[str]:
    return [module for module in modules() if room(module) in names]


def test_statistics_and_all_of_analysis_load_nothing_that_draws() -> None:
    assert not loaded("bench.analysis.statistics") & {*PLOTTING, "torch"}
    assert not loaded(*of_room("analysis")) & PLOTTING


def test_what_plans_and_declares_loads_no_torch() -> None:
    assert "torch" not in loaded(*of_room("base", "catalog"), "bench.planning.workflow")
    assert not loaded("bench.cli.main") & {"torch", "pandas", "numpy", "pydantic", "matplotlib"}
