"""Where a number comes from: the commit of the code, the packages and the device. It explains, and decides nothing."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

from bench.base.own import imported

PACKAGE = Path(__file__).parents[1]
PACKAGES = ("kenlm", "numpy", "pandas", "pyarrow", "pydantic", "sacrebleu", "safetensors", "scipy")
UNKNOWN = "unknown"  # the version of code whose commit cannot be found


def provenance(*, device: str = "cpu", threads: int | None = None) -> dict[str, Any]:
    """What a run records of where its numbers came from.

    Keys: code_version, dirty, python, torch, packages, device, threads; own_files where a user's own Python files
    were imported (the sha256 of each).
    """
    own = imported()
    version, dirty = code_version()
    return {
        "code_version": version,
        "dirty": dirty,
        "python": platform.python_version(),
        "torch": _version("torch"),
        "packages": {name: found for name in PACKAGES if (found := _version(name)) is not None},
        "device": describe_device(device),
        "threads": threads,
        **({"own_files": own} if own else {}),
    }


@functools.cache
def code_version() -> tuple[str, bool | None]:
    """(commit, whether the package differs from it); (``unknown``, None) where git does not say both.

    So it is without git, outside a checkout of the project, and where a command of git fails.
    """
    top, commit = _git("rev-parse", "--show-toplevel"), _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain", "--", PACKAGE.name)
    if top is None or commit is None or changes is None or Path(top).resolve() != PACKAGE.parent.resolve():
        return UNKNOWN, None
    return commit, bool(changes)


def _git(*arguments: str) -> str | None:
    """What git prints, or None where there is no git, no repository or no commit.

    The checkout may be a colleague's, or root's in a container: git is told to trust it, as whoever runs it does.
    """
    top = PACKAGE.parent.resolve()
    try:
        done = subprocess.run(
            ["git", "-C", str(top), "-c", f"safe.directory={top}", *arguments],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


@functools.cache  # each has to be read from the files of its package
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
