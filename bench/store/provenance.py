"""Where a number comes from: version of the code, packages, device, and a hash of the source that makes it.

The hash covers only the modules that can change the numbers of one stage of one run, and of them only what
Python executes: comments, docstrings and layout do not count, nor does the version of Python.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.metadata
import os
import platform
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import __version__
from bench.base.errors import unknown
from bench.base.files import sha256_file
from bench.base.own import file_of, imported, module_name, own_files
from bench.base.registry import registry

if TYPE_CHECKING:
    from bench.base.settings import RunSettings
    from bench.corpora.entry import CorpusEntry

PACKAGE = Path(__file__).parents[1]

# The modules, or rooms of modules, that each stage starts from; what they import follows by itself.
ROOTS = {
    "prepare": ("bench.corpora.prepare",),
    "train": ("bench.training.run",),
    "evaluate": ("bench.metrics", "bench.models.model"),
    "report": ("bench.report",),
}
FOLDERS = {
    "report": ("report/templates", "report/assets", "report/measured")
}  # what a stage reads besides Python
# Modules that move values about and make none: whatever of theirs can change a run stands in its settings.
PLUMBING = frozenset(
    {
        "bench",
        "bench.corpora.entry",
        "bench.catalog.catalog",
        "bench.base.errors",
        "bench.base.files",
        "bench.base.registry",
        "bench.planning.plan",
        "bench.planning.resolve",
        "bench.base.own",
        "bench.store.provenance",
        "bench.store.freshness",
        "bench.training.progress",
        "bench.base.validation",
    }
)
SHORT = 8  # digits of a module's hash that a run keeps
_BEHIND: dict[str, dict[str, str]] = {}  # the modules behind each hash that this process has computed
PACKAGES = ("kenlm", "numpy", "pandas", "pyarrow", "pydantic", "sacrebleu", "safetensors", "scipy")


def code_hash(stage: str, *, run: RunSettings | None = None, corpus: CorpusEntry | None = None) -> str:
    """Hash of the source that can change what ``stage`` computes: its modules and all that they import.

    Of the parts (encoders, posteriors, ...) only those count that ``run`` is composed of, and of the readers
    only that of ``corpus``; without them, all. Raises :class:`BenchError` for an unknown stage.
    """
    return _hash_of(_starting_points(stage, run, corpus), FOLDERS.get(stage, ()))


def modules_that_count(stage: str, run: RunSettings) -> list[str]:
    """The modules that :func:`code_hash` covers."""
    return modules_of(_starting_points(stage, run, None))


def _starting_points(stage: str, run: RunSettings | None, corpus: CorpusEntry | None) -> frozenset[str]:
    if stage not in ROOTS:
        raise unknown("stage", stage, ROOTS)
    optional = _readers() if stage == "prepare" else {} if stage == "report" else _parts()
    if run is not None and stage in ("train", "evaluate"):
        chosen = {optional[f"{choice} {kind}"] for choice, kind in run.used()}
    elif corpus is not None and stage == "prepare":
        chosen = {optional[corpus.reader.kind]}
    else:
        chosen = set(optional.values())
    return frozenset(_roots(stage, frozenset(optional.values()))) | chosen


def modules_of(roots: Iterable[str]) -> list[str]:
    """The modules of this package that ``roots`` import, directly or not, and themselves, but no plumbing."""
    found: set[str] = set()
    waiting = set(roots)
    while waiting:
        name = waiting.pop()
        if name not in found and name not in PLUMBING:
            found.add(name)
            waiting |= _imports(name)
    return sorted(found)


@functools.cache
def _hash_of(roots: frozenset[str], folders: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    hashes = {name: module_hash(name) for name in modules_of(roots)}
    for name, found in hashes.items():
        digest.update(f"{name}\0{found}\0".encode())
    for file in sorted(f for folder in folders for f in (PACKAGE / folder).rglob("*") if f.is_file()):
        digest.update(f"{file.relative_to(PACKAGE)}\0{sha256_file(file)}\0".encode())
    code = digest.hexdigest()[:16]
    _BEHIND[code] = {name: found[:SHORT] for name, found in hashes.items()}
    return code


def _roots(stage: str, optional: frozenset[str]) -> Iterator[str]:
    yield from (module_name(file) for file in (own_files("measures") if stage == "evaluate" else ()))
    for root in ROOTS[stage]:
        file = _file(root)
        room = sorted(file.parent.rglob("*.py")) if file is not None and file.name == "__init__.py" else []
        yield from {root, *map(_name, room)} - optional


@functools.cache
def _parts() -> dict[str, str]:
    return {f"{c} {kind}": entry.module for c, kinds in registry().items() for kind, entry in kinds.items()}


@functools.cache
def _readers() -> dict[str, str]:
    from bench.corpora.readers import kinds

    return {kind: function.__module__ for kind, (_, function) in kinds().items()}


def _name(file: Path) -> str:
    return ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


def _file(module: str) -> Path | None:
    """The source of a module of this package; None for a name inside a module, or of another package."""
    if module.partition(".")[0] != PACKAGE.name:
        return file_of(module)
    path = PACKAGE.parent.joinpath(*module.split("."))
    return next((c for c in (path.with_suffix(".py"), path / "__init__.py") if c.is_file()), None)


@functools.cache
def _tree(module: str) -> ast.Module:
    file = _file(module)
    if file is None:
        raise unknown("module", module, ())
    return ast.parse(file.read_text(encoding="utf-8"), filename=str(file))


@functools.cache
def _imports(module: str) -> frozenset[str]:
    """Modules of this package that ``module`` imports, but for type checking, and the package it is in."""
    names = {module.rpartition(".")[0]}
    for node in _executed(_tree(module)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(name for name in names if _file(name) is not None)


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below ``node`` but for the bodies of ``if TYPE_CHECKING``."""
    yield node
    guarded = isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
    for child in node.orelse if guarded and isinstance(node, ast.If) else ast.iter_child_nodes(node):
        yield from _executed(child)


@functools.cache
def module_hash(module: str) -> str:
    """Hash of what the module executes and of the YAML files beside it that it names."""
    tree, file = _tree(module), _file(module)
    digest = hashlib.sha256(_executes(module).encode())
    texts = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    for name in sorted(text for text in texts if re.fullmatch(r"[\w.-]+\.yaml", text)):
        if file is not None and (data := file.with_name(name)).is_file():
            digest.update(data.read_bytes())
    return digest.hexdigest()


@functools.cache
def _executes(module: str) -> str:
    return _canonical(_tree(module))


def _canonical(node: Any) -> str:
    """A syntax tree as text, without positions, docstrings and empty fields (Pythons differ in these)."""
    if isinstance(node, list):
        return f"[{','.join(_canonical(n) for n in node if not _is_docstring(n))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    keep_empty = isinstance(node, ast.Constant)  # None may be its value
    fields = [(k, v) for k, v in ast.iter_fields(node) if k != "kind" and (keep_empty or v not in (None, []))]
    return f"{type(node).__name__}({','.join(f'{key}={_canonical(value)}' for key, value in fields)})"


def _is_docstring(node: Any) -> bool:
    constant = node.value if isinstance(node, ast.Expr) else None
    return isinstance(constant, ast.Constant) and isinstance(constant.value, str)


def provenance(code: str, *, device: str = "cpu", threads: int | None = None) -> dict[str, Any]:
    """What a run records of where its numbers came from; ``code`` is the :func:`code_hash` of its stage.

    Keys: code_version, dirty, code_hash, modules (the hash of each module behind it, so that a later version
    can say which changed), python, torch, packages, device, threads; own_files where a user's own Python files were
    imported (the sha256 of each).
    """
    own = imported()
    version, dirty = code_version()
    return {
        "code_version": version,
        "dirty": dirty,
        "code_hash": code,
        "modules": _BEHIND.get(code, {}),
        "python": platform.python_version(),
        "torch": _version("torch"),
        "packages": {name: found for name in PACKAGES if (found := _version(name)) is not None},
        "device": describe_device(device),
        "threads": threads,
        **({"own_files": own} if own else {}),
    }


@functools.cache
def code_version() -> tuple[str, bool]:
    """(commit, whether the package differs from it); outside a checkout of its own, (version, False)."""
    top = _git("rev-parse", "--show-toplevel")
    commit = _git("rev-parse", "HEAD")
    if top is None or commit is None or Path(top).resolve() != PACKAGE.parent.resolve():
        return __version__, False
    return commit, bool(_git("status", "--porcelain", "--", PACKAGE.name))


def changed_since(commit: str, modules: Iterable[str]) -> list[str] | None:
    """Those of ``modules`` that execute something else than they did at ``commit``; None where git cannot tell."""
    named = ((name, _file(name)) for name in modules if file_of(name) is None)
    files = {str(file.relative_to(PACKAGE.parent)): name for name, file in named if file is not None}
    if code_version()[0] == __version__ or not files:
        return None
    found = _git("diff", "--name-only", commit, "--", *files)
    if found is None:
        return None
    return sorted(files[path] for path in found.splitlines() if not _same_then(commit, path, files[path]))


@functools.cache
def _same_then(commit: str, path: str, module: str) -> bool:
    before = _git("show", f"{commit}:{path}")
    return before is not None and _canonical(ast.parse(before)) == _executes(module)


def _git(*arguments: str) -> str | None:
    """What git prints, or None where there is no git, no repository or no commit."""
    try:
        done = subprocess.run(
            ["git", "-C", str(PACKAGE.parent), *arguments],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def describe_device(device: str) -> str:
    """``cpu: AMD EPYC 9B14`` or ``cuda: NVIDIA H200``, for a torch device name."""
    kind = device.partition(":")[0]
    if kind != "cuda":
        return f"{kind}: {_processor()}"
    import torch

    return f"cuda: {torch.cuda.get_device_name(device)}"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists() and (found := re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE)):
        return found[1].strip()
    return platform.processor() or platform.machine()
