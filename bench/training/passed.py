"""What a device may be used for: what passed the self-check there, kept by device, torch and code of the project.

Without a check a device makes one update after another, anew, in float32, for one worker at a time. The CPU, with which
devices are compared, is not checked.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import torch

from bench import __version__
from bench.base import environment
from bench.base.errors import BenchError
from bench.base.files import read_json, write_json
from bench.store.provenance import UNKNOWN, code_version, describe_device

CHECKED = ("cuda",)  # kinds of device that are checked
ITSELF, GRAPHS, NARROW, WORKERS = "device", "graphs", "narrow products", "several workers"
CHOICES = (GRAPHS, NARROW, WORKERS)  # what a check may allow


@cache
def _code() -> str:
    """The commit, where the project is a checkout; edits that are not committed are told from it alone."""
    commit, changed = code_version()
    return __version__ if commit == UNKNOWN else f"{commit[:12]}{'-edited' if changed else ''}"


@dataclass(frozen=True)
class Agreement:
    """One comparison: of ``what``, and whether it ``agrees``; it ``decides`` on a choice, or the device itself."""

    decides: str
    what: str
    agrees: bool
    text: str


@dataclass(frozen=True)
class Checked:
    """What the self-check found, on which device, when; ``findings`` None where nothing is to be checked."""

    device: str
    findings: tuple[Agreement, ...] = ()
    when: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    library: str = torch.__version__
    version: str = field(default_factory=_code)
    needed: bool = True

    @property
    def faults(self) -> list[str]:
        """In what the device itself differs from the CPU, so that nothing can be computed on it."""
        return self._against(ITSELF)

    def allows(self, choice: str) -> bool:
        """Whether something decided on the choice, and nothing against it."""
        return not self.needed or (
            any(one.decides == choice for one in self.findings) and not self.why(choice)
        )

    def why(self, choice: str) -> list[str]:
        """What speaks against a choice."""
        if not self.needed:
            return []
        return self.faults + self._against(choice) if self.findings else ["the self-check has not been made"]

    def _against(self, choice: str) -> list[str]:
        return [
            f"{one.what}: {one.text}" for one in self.findings if one.decides == choice and not one.agrees
        ]

    def require(self) -> Checked:
        """Itself. Raises :class:`BenchError` where the device differs from the CPU."""
        if self.faults:
            raise BenchError(
                f"this device does not compute what the CPU does: {'; '.join(self.faults)}",
                where=self.device,
                remedy="use --device cpu; after a change of driver or library, bench doctor --device cuda",
            )
        return self

    def record(self) -> dict[str, Any]:
        """What a run records of it."""
        allowed = {choice: self.allows(choice) for choice in CHOICES}
        return {"made": self.when if self.findings else None, "torch": self.library, "allowed": allowed}

    def content(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def from_content(content: dict[str, Any]) -> Checked:
    """What :meth:`Checked.content` gave."""
    return Checked(**{**content, "findings": tuple(Agreement(**one) for one in content["findings"])})


def is_checked(device: torch.device) -> bool:
    """Whether devices of this kind are checked."""
    return device.type in CHECKED


def folder() -> Path:
    """Where the checks are kept, in the cache of this user."""
    return environment.cache() / "self-checks"


def kept(device: torch.device) -> Checked:
    """What a device may be used for by what is kept here: all of the CPU, and nothing more where nothing is kept."""
    if not is_checked(device):
        return Checked(str(device), needed=False)
    name = describe_device(str(device))
    nothing = Checked(name)
    with contextlib.suppress(BenchError, KeyError, TypeError, OSError):  # damaged is as good as none
        found = from_content(read_json(_path(name)))
        if (found.device, found.library, found.version) == (name, nothing.library, nothing.version):
            return found
    return nothing


def keep(checked: Checked) -> None:
    """Keep what was found for later calls, where something can be kept; of a device with faults nothing is."""
    with contextlib.suppress(OSError, BenchError):
        _path(checked.device).unlink(missing_ok=True)
        if not checked.faults:
            folder().mkdir(parents=True, exist_ok=True)
            write_json(_path(checked.device), checked.content())


def _path(name: str) -> Path:
    parts: Iterable[str] = (name, f"torch {torch.__version__}", _code())
    return folder() / f"{re.sub(r'[^A-Za-z0-9.+]+', '-', ' '.join(parts))}.json"
