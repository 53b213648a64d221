"""Is this machine ready? What the benchmark needs, what was found, and what to type where it is not right."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import requests
from packaging.requirements import Requirement
from rich.console import Console
from rich.text import Text

from bench.base import environment
from bench.base.errors import BenchError, nearest
from bench.catalog.catalog import Catalog
from bench.cli.console import print_grid, terminal
from bench.corpora.entry import CorpusEntry, SourceFile
from bench.corpora.fetch import kept_from_us

Status = Literal["ok", "warn", "fail"]
GB = 1e9
PROJECT = "latent-text-bench"
SLURM = "snakemake-executor-plugin-slurm"
STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


@dataclass(frozen=True)
class Diagnosis:
    """One thing that was looked at. ``remedy`` says what to do; None where there is nothing to do."""

    name: str
    status: Status
    found: str
    remedy: str | None = None


def check(catalog: Catalog, results: Path, mirror: str | None = None) -> list[Diagnosis]:
    """Everything, in the order in which it is needed. Looks only: nothing is installed or downloaded."""
    mirror = environment.mirror_of(mirror) if mirror else environment.mirror()
    findings = [check_python(sys.version_info[:2]), *check_packages(requirements()), *check_build_tools()]
    findings += check_variables(environment.unknown_variables())
    findings += [check_memory(_memory()), check_disk(results), check_writable(results), check_device()]
    findings += check_cluster()
    if mirror is not None:
        findings.append(check_mirror(mirror, catalog))
    entries = list(catalog.corpora.values())
    try:
        cache = environment.cache()
    except BenchError as error:  # corpora that are made, or the user's own, need none
        findings.append(Diagnosis("cache", "warn", error.what, error.remedy))
        cache, entries = Path(), [entry for entry in entries if entry.is_local or not entry.files]
    findings += check_cache(cache, entries)
    return findings + [check_corpus(entry, cache, mirror) for entry in entries]


def show(findings: Iterable[Diagnosis], console: Console | None = None) -> bool:
    """Print the findings and what to type next; True unless one of them is ``fail``."""
    console = console or terminal()
    findings = list(findings)
    rows = [(Text(f.status, style=STYLES[f.status]), f.name, f.found, f.remedy or "") for f in findings]
    print_grid(console, rows, ("", "what", "found", "what to do"))
    failed = [finding.name for finding in findings if finding.status == "fail"]
    if failed:
        console.print(
            Text(f"Not ready: {', '.join(failed)}. Do what the last column says.", style="bold red")
        )
    else:
        console.print(Text("Ready. The demo: snakemake --cores all    What it costs: bench plan"))
    return not failed


def check_python(version: tuple[int, int]) -> Diagnosis:
    """Python 3.11 or 3.12."""
    if version in ((3, 11), (3, 12)):
        return Diagnosis("Python", "ok", platform.python_version())
    found = ".".join(map(str, version))
    return Diagnosis(
        "Python", "fail", found, "PYTHON=python3.11 make, or conda env create -f environment.yml"
    )


def requirements() -> list[Requirement]:
    """What the package needs to run: from pyproject.toml beside it, else as it was installed."""
    declared = Path(__file__).parents[2] / "pyproject.toml"
    if declared.exists():
        lines = tomllib.loads(declared.read_text(encoding="utf-8"))["project"]["dependencies"]
    else:
        lines = importlib.metadata.requires(PROJECT) or []
    parsed = [Requirement(line) for line in lines]
    return [r for r in parsed if r.marker is None or r.marker.evaluate({"extra": ""})]


def check_packages(needed: Iterable[Requirement]) -> Iterator[Diagnosis]:
    """One finding if all is right, else one for each package that is absent or of another version."""
    wrong = 0
    needed = list(needed)
    for requirement in needed:
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            version = ""
        if not requirement.specifier.contains(version or "0", prereleases=True) or not version:
            wrong += 1
            remedy = f"make setup, or python -m pip install '{requirement}'"
            yield Diagnosis(requirement.name, "fail", version or "not installed", remedy)
    if not wrong:
        yield Diagnosis("packages", "ok", f"all {len(needed)} at supported versions")


def check_build_tools(installed: Callable[[str], object] = importlib.metadata.version) -> Iterator[Diagnosis]:
    """The compiler and cmake, which only the installation of kenlm needs."""
    try:
        built = bool(installed("kenlm"))
    except importlib.metadata.PackageNotFoundError:
        built = False
    compilers = [name for name in (os.environ.get("CXX"), "c++", "g++", "clang++") if name]
    for what, candidates, remedy in (
        (
            "C++ compiler",
            compilers,
            "apt-get install g++, xcode-select --install, or conda install cxx-compiler",
        ),
        ("cmake", ["cmake"], "apt-get install cmake, brew install cmake, or conda install cmake"),
    ):
        version = next((v for name in candidates if (v := _first_line(name, "--version"))), None)
        if version is not None:
            yield Diagnosis(what, "ok", version)
        elif built:
            yield Diagnosis(what, "ok", "none; not needed again, kenlm is installed")
        else:
            yield Diagnosis(what, "fail", "none", remedy)


def check_cluster(which: Callable[[str], str | None] = shutil.which) -> Iterator[Diagnosis]:
    """Where SLURM is, the plugin that the profile for it needs: without it Snakemake does not know its options."""
    if which("sbatch") is None:
        return
    if importlib.util.find_spec(SLURM.replace("-", "_")) is None:
        remedy = f"python -m pip install {SLURM}, for --profile workflow/profiles/slurm"
        yield Diagnosis("SLURM", "warn", "without its plugin for Snakemake", remedy)
    else:
        yield Diagnosis("SLURM", "ok", "with its plugin: --profile workflow/profiles/slurm")


def check_variables(unread: Iterable[str]) -> Iterator[Diagnosis]:
    """One finding for each variable that looks like ours and that nothing reads."""
    for name in unread:
        near = nearest(name, environment.VARIABLES)
        remedy = f"did you mean {near}?" if near else f"one of {', '.join(environment.VARIABLES)}"
        yield Diagnosis(f"variable {name}", "warn", "nothing reads it", remedy)


def _first_line(*command: str) -> str | None:
    """What a command prints first, or None if it does not run (it may be a shim)."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.partition("\n")[0].strip() or command[0]


def _memory() -> int:
    """Bytes of memory of this machine."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def check_memory(total: int) -> Diagnosis:
    """A run needs 1 to 3 GB."""
    if total >= 4 * GB:
        return Diagnosis("memory", "ok", f"{total / GB:.0f} GB")
    return Diagnosis("memory", "warn", f"{total / GB:.1f} GB", "run one job at a time: snakemake --cores 1")


def check_disk(results: Path) -> Diagnosis:
    """Free space where the results go."""
    free = shutil.disk_usage(_existing(results)).free
    found = f"{free / GB:.0f} GB free for {results}"
    if free >= 5 * GB:
        return Diagnosis("disk", "ok", found)
    return Diagnosis(
        "disk", "fail" if free < 0.5 * GB else "warn", found, "free some, or --config results=/another/disk"
    )


def _existing(path: Path) -> Path:
    return next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())


def check_writable(results: Path) -> Diagnosis:
    """Whether the results folder, or the folder that it will be made in, can be written."""
    folder = _existing(results)
    try:
        with tempfile.TemporaryFile(dir=folder):
            return Diagnosis("results", "ok", f"{folder} can be written")
    except OSError as error:
        remedy = "choose a folder of your own: --config results=/my/folder"
        return Diagnosis("results", "fail", f"{folder}: {error.strerror}", remedy)


def check_device() -> Diagnosis:
    """What ``--device auto`` would take."""
    try:
        import torch
    except ImportError as error:
        return Diagnosis("device", "fail", f"torch cannot be imported: {error}", "make setup")
    if torch.cuda.is_available():
        names = {torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())}
        return Diagnosis("device", "ok", f"{torch.cuda.device_count()} x {', '.join(sorted(names))}")
    if torch.version.cuda is not None and shutil.which("nvidia-smi"):
        remedy = f"the driver must support CUDA {torch.version.cuda}: see nvidia-smi"
        return Diagnosis("device", "warn", "CPU, although there is an NVIDIA driver", remedy)
    return Diagnosis("device", "ok", f"CPU, {environment.allowed_cores()} cores")


def check_numbers(device: str) -> Iterator[Diagnosis]:
    """The self-check of a device, made anew and kept: each comparison with the CPU, and what may be used."""
    from bench.base.device import named_device
    from bench.training.passed import CHOICES, ITSELF, is_checked
    from bench.training.self_check import check_apart

    chosen = named_device(device)
    if not is_checked(chosen):
        yield Diagnosis("self-check", "ok", f"none: {chosen} is what devices are compared with")
        return
    found = check_apart(chosen)
    for one in found.findings:
        status: Status = "ok" if one.agrees else "fail" if one.decides == ITSELF else "warn"
        yield Diagnosis(one.what, status, one.text)
    if found.faults:
        yield Diagnosis(
            found.device, "fail", "differs from the CPU: nothing is trained on it", "use --device cpu"
        )
        return
    for choice in CHOICES:
        used = found.allows(choice)
        remedy = None if used else "nothing: trainings go on without, slower, with right numbers"
        said = "used" if used else "not used on this device"
        yield Diagnosis(choice, "ok" if used else "warn", said, remedy)


def check_mirror(mirror: str, catalog: Catalog) -> Diagnosis:
    """Whether the mirror is there, and how much of the catalog a folder holds."""
    if "://" in mirror:
        try:
            answer = requests.head(mirror, timeout=5, allow_redirects=True)
        except requests.RequestException as error:
            return Diagnosis(
                "mirror", "fail", f"{mirror}: {type(error).__name__}", "check the address and the network"
            )
        return Diagnosis("mirror", "ok", f"{mirror} answers ({answer.status_code})")
    folder = Path(mirror)
    if not folder.is_dir():
        return Diagnosis(
            "mirror", "fail", f"{mirror}: no such folder", "correct BENCH_MIRROR or the key mirror"
        )
    files = {f.path: f for entry in catalog.corpora.values() for f in entry.files if f.local is None}
    held = sum(_is_whole(folder / path, file) for path, file in files.items())
    return Diagnosis("mirror", "ok" if held else "warn", f"{held} of {len(files)} files in {mirror}")


def check_cache(cache: Path, entries: Iterable[CorpusEntry]) -> Iterator[Diagnosis]:
    """Whether files that others put into a shared cache can be read; nothing where all can."""
    paths = [cache / file.path for entry in entries for file in entry.files if file.local is None]
    closed = sorted({path.parent for path in paths if kept_from_us(path)})
    if closed:
        what = f"of another user, and kept from you: {', '.join(map(str, closed))}"
        remedy = f"let their owner type: chmod -R g+rwX {' '.join(map(str, closed))}"
        yield Diagnosis("cache", "warn", what, remedy)


def check_corpus(entry: CorpusEntry, cache: Path, mirror: str | None) -> Diagnosis:
    """Where each file of the corpus would come from; hashes are checked when it is fetched."""
    name = f"corpus {entry.name}"
    if entry.missing:
        return Diagnosis(name, "warn", "not read by this version", entry.missing)
    if not entry.files:
        return Diagnosis(name, "ok", "made when needed")
    where = {file.path: _place(file, cache, mirror) for file in entry.files}
    lost = [path for path, place in where.items() if place is None]
    if lost:
        what = "correct its entry" if entry.is_local else f"put it below {cache}, or set BENCH_MIRROR"
        return Diagnosis(name, "warn", f"not at hand, no public address: {', '.join(lost)}", what)
    if "download" in where.values():
        waiting = [file for file in entry.files if where[file.path] == "download"]
        size = sum(file.bytes or 0 for file in waiting)
        about = (
            f"{size / 1e6:.1f} MB" if all(file.bytes is not None for file in waiting) else "of unknown size"
        )
        return Diagnosis(
            name, "warn", f"to be downloaded, {about}", "nothing: a run that needs it fetches it"
        )
    return Diagnosis(name, "ok", f"at hand ({', '.join(sorted({str(place) for place in where.values()}))})")


def _place(file: SourceFile, cache: Path, mirror: str | None) -> str | None:
    """``cache``, ``mirror``, ``own file``, ``download``, or None where nothing has it."""
    if file.local is not None:
        return "own file" if file.local.is_file() else None
    if _is_whole(cache / file.path, file):
        return "cache"
    if mirror is not None and "://" in mirror:
        return "download"
    if mirror is not None and _is_whole(Path(mirror) / file.path, file):
        return "mirror"
    return "download" if file.url is not None else None


def _is_whole(path: Path, file: SourceFile) -> bool:
    return not kept_from_us(path) and path.is_file() and file.bytes in (None, path.stat().st_size)
