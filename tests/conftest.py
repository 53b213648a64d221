"""Small worlds that tests of several rooms share."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

# At these sizes threads, here and in what is started, wait for one another more than they work.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch

from bench.base.locks import locked
from bench.base.registry import registry
from bench.base.settings import RunSettings
from bench.base.text_rules import TextRules
from bench.catalog.catalog import load_catalog
from bench.corpora.entry import CorpusEntry
from bench.corpora.prepare import prepare
from bench.corpora.prepared import Prepared
from bench.metrics.measures import _MARKED, _known, measures
from bench.planning.resolve import resolve, text_rules
from tests.forked import Forked

torch.set_num_threads(1)

pytest_plugins = ["tests.made_up"]  # fixtures of a results folder

# The files that take a minute or more, the longest first: else a worker begins one of them when all others are done.
LONGEST = (
    "golden/test_runs.py",
    "workflow/test_demo.py",
    "workflow/test_run.py",
    "workflow/test_pack.py",
    "workflow/test_slurm.py",
    "report/test_browser.py",
    "training/test_update.py",
    "workflow/test_plan.py",
    "training/test_kills.py",
    "training/test_no_waiting.py",
    "training/test_resume.py",
)
CORPUS = "generated-tiny"
TRAINED = ("gru-lm", "dae", "vae", "coupled-vae")
TINY: dict[str, Any] = {
    "embedding": 12,
    "latent": 4,
    "encoder": {"hidden": 8, "dropout": 0.2},
    "decoder": {"hidden": 16, "projection": 12, "dropout": 0.2},
    "objective": {"kl": {"weight": {"start": 5, "length": 20}}},
    "optimiser": {"learning_rate": 0.01, "decay_after": 20, "decay_every": 10},
    "training": {
        "steps": 40,
        "validate_every": 20,
        "log_every": 10,
        "validation_samples": 2,
        "gradient_texts": 8,
        "precision": "float32",
    },
    "evaluation": {
        "samples": 5,
        "information_block": 40,
        "reconstructions": 2,
        "prior_samples": 16,
        "gradient_texts": 8,
        "examples": 3,
        "longest": 30,
    },
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The order in which files are given to workers."""
    places = {str(Path(__file__).parent / file): place for place, file in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(str(item.path), len(LONGEST)))


def tiny_settings(system: str, seed: int = 0, **changes: Any) -> RunSettings:
    """A run of ``system`` that trains in a second on the tiny generated corpus."""
    settings = {
        key: {**TINY[key], **changes.pop(key, {})} if isinstance(TINY[key], dict) else TINY[key]
        for key in TINY
    }
    return resolve(load_catalog(), "demo", "coupled-vae", CORPUS, system, seed, settings | changes)


def raise_version(patch: pytest.MonkeyPatch, choice: str, kind: str) -> None:
    """Give a part the next version, as its class would."""
    entry = registry()[choice][kind]
    patch.setitem(registry()[choice], kind, replace(entry, version=entry.version + 1))


def raise_measure(patch: pytest.MonkeyPatch, name: str) -> None:
    """Give a measure the next version, as its mark would."""
    made = measures()[name]
    patch.setitem(_MARKED, name, replace(made, version=made.version + 1))
    patch.setattr("bench.metrics.measures._known", _known.__wrapped__)


def first_measures(patch: pytest.MonkeyPatch) -> None:
    """Give every measure its first version, as in records that are older than versions."""
    for name, made in measures().items():
        patch.setitem(_MARKED, name, replace(made, version=1))
    patch.setattr("bench.metrics.measures._known", _known.__wrapped__)


@pytest.fixture(scope="session")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of prepared corpora that holds the tiny generated one."""
    folder = tmp_path_factory.mktemp("corpora")
    catalog = load_catalog()
    entry: CorpusEntry = catalog.corpus(CORPUS)
    prepare(entry, {}, text_rules(catalog, "coupled-vae", CORPUS), folder / "coupled-vae" / CORPUS)
    return folder


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """The smallest generated pairs, all of whose words have an id."""
    folder = tmp_path_factory.mktemp("pairs")
    prepare(load_catalog().corpus("generated-pairs-tiny"), {}, TextRules(), folder)
    return Prepared.load(folder)


@pytest.fixture(scope="session")
def corpus(corpora: Path) -> Prepared:
    """The tiny generated corpus."""
    return Prepared.load(corpora / "coupled-vae" / CORPUS)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Locks a folder as another process does; once it is waited for, does ``meanwhile`` and lets go."""
    with contextlib.ExitStack() as held:

        def hold(folder: Path, meanwhile: Callable[[], object] = lambda: None) -> None:
            other = held.enter_context(contextlib.ExitStack())
            other.enter_context(locked(folder, "it"))

            def sleep(_: float) -> None:
                meanwhile()
                other.close()

            monkeypatch.setattr("bench.base.locks.time.sleep", sleep)

        yield hold


@pytest.fixture(scope="session")
def runs(corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the trained runs of :data:`TRAINED`, not to be written to."""
    from bench.training.run import train_run

    folder = tmp_path_factory.mktemp("trained")
    for system in TRAINED:
        train_run(tiny_settings(system), corpora, folder / "runs", folder / "state", device="cpu", threads=1)
    return folder / "runs"


@pytest.fixture(scope="session")
def forked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forked]:
    """``forked(arguments, folder, environment)``: Snakemake, which is imported once for all of its calls."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("BENCH_", "SNAKEMAKE_", "PYTHONPATH"))}
    calls = Forked(tmp_path_factory.mktemp("printed"), kept)
    yield calls
    calls.close()


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder with room for a few kilobytes: a small disk, or else a limit on what this process writes."""
    with _mounted(tmp_path / "disk", "size=16k") as folder:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        if not folder.is_mount():
            resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, hard))
        try:
            yield folder
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that refuses to be written: by its disk, its permissions or, to root, a pretending system."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with _mounted(tmp_path / "disk", "ro") as folder:
        if not folder.is_mount() and os.geteuid() == 0:
            for name in ("mkstemp", "mkdtemp"):
                monkeypatch.setattr(tempfile, name, refuse)
        elif not folder.is_mount():
            folder.chmod(0o555)
        yield folder


@contextlib.contextmanager
def _mounted(folder: Path, options: str) -> Iterator[Path]:
    """``folder`` as a disk of its own in memory, where we may mount one; else a folder like any other."""
    folder.mkdir()
    if shutil.which("mount"):
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        subprocess.run(command, check=False, capture_output=True)
    try:
        yield folder
    finally:
        if folder.is_mount():
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.chmod(0o755)
