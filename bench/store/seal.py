"""The seal of a measurement record: a digest of what it says, and of the files that belong to it.

A record that was changed by hand is told by it, and is not used. Records from before seals have none; they are read,
and said to be unsealed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.base.files import sha256_file, stable_hash

DIGEST = "digest"
TABLES = ("sentences.parquet", "texts.json", "histograms.json")  # beside the record


def sealed(content: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """``content`` with its digest, and with the sha256 of each of its tables in ``folder``."""
    files = {name: sha256_file(folder / name) for name in TABLES if (folder / name).exists()}
    return {**content, "files": files, DIGEST: _digest({**content, "files": files})}


def is_sealed(content: Mapping[str, Any]) -> bool:
    """Whether a record has a seal, right or wrong."""
    return DIGEST in content


def seal_fault(content: Mapping[str, Any]) -> str:
    """Why a record is not what was written, or nothing; a record without a seal has no fault."""
    with contextlib.suppress(ValueError):  # no record has a number that is not finite
        if not is_sealed(content) or content[DIGEST] == _digest(content):
            return ""
    return "changed since it was measured (its digest differs): evaluate the run again"


def changed_since(content: Mapping[str, Any], folder: Path) -> str:
    """The same of the record in ``folder`` and of its tables."""
    files = content.get("files", {}) if is_sealed(content) else {}
    for name, digest in files.items():
        if not (folder / name).exists() or sha256_file(folder / name) != digest:
            return f"{name} was changed since it was measured: evaluate the run again"
    return seal_fault(content)


def _digest(content: Mapping[str, Any]) -> str:
    return stable_hash({key: value for key, value in content.items() if key != DIGEST}, 64)
