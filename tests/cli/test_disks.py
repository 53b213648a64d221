"""Folders that cannot be written, full disks, and files in the way: one message, nothing half-written."""

from __future__ import annotations

import errno
import os
import resource
import tempfile
from pathlib import Path

import pytest

from bench.cli.main import main
from tests.cli.conftest import CPU, RUN, SETTINGS, Refused
from tests.conftest import CORPUS


def writing(folder: Path) -> dict[str, tuple[str, ...]]:
    """Each command that writes, told to write into ``folder``."""
    sources = f"results/sources/{CORPUS}.json"
    new = RUN.replace("seed0", "seed1")
    return {
        "fetch": ("fetch", CORPUS, "--out", f"{folder}/sources.json"),
        "prepare": ("prepare", "coupled-vae", CORPUS, "--sources", sources, "--out", f"{folder}/corpus"),
        "train": (
            "train",
            new,
            *CPU,
            "--settings",
            SETTINGS,
            "--out",
            f"{folder}/runs",
            "--state",
            f"{folder}/state",
        ),
        "out": ("train", new, *CPU, "--settings", SETTINGS, "--out", f"{folder}/runs"),
        "report": ("report", "--systems", "vae", "--corpora", CORPUS, "--out", f"{folder}/report"),
    }


FINISHED = {"corpus.json", "run.json", "measurements.json", "index.html", "sources.json", "model.safetensors"}


def unfinished(folder: Path) -> bool:
    """Nothing in the folder looks finished, or is a part."""
    names = {path.name for path in folder.rglob("*") if path.is_file()}
    return not names & FINISHED and not any(name.endswith(".part") for name in names)


@pytest.mark.parametrize("command", writing(Path()))
def test_a_folder_that_cannot_be_written_is_told(command: str, read_only: Path, refused: Refused) -> None:
    message = refused(*writing(read_only)[command], leaves=command != "out")
    assert "Read-only file system" in message or "Permission denied" in message
    assert str(read_only) in message
    assert not [path for path in read_only.rglob("*") if path.is_file() and path.name != ".lock"]


@pytest.mark.parametrize("command", [name for name in writing(Path()) if name != "fetch"])
def test_a_full_disk_is_told(command: str, full_disk: Path, refused: Refused) -> None:
    message = refused(*writing(full_disk)[command], leaves=command != "out")
    assert "No space left on device" in message or "File too large" in message
    assert str(full_disk) in message
    assert unfinished(full_disk)


@pytest.mark.parametrize("command", writing(Path()))
def test_a_file_in_the_place_of_a_folder_is_told(command: str, refused: Refused, here: Path) -> None:
    (here / "file").write_text("mine")
    message = refused(*writing(here / "file")[command], leaves=command != "out")
    assert "file" in message
    assert (here / "file").read_text() == "mine"


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC])
def test_evaluation_and_publishing_need_a_disk_too(
    number: int, here: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    assert os.strerror(number) in refused("publish", RUN)
    (here / "results" / "runs" / RUN / "measurements.json").unlink()  # else there is nothing to measure
    message = refused("evaluate", RUN, *CPU, "--settings", SETTINGS, leaves=False)
    assert os.strerror(number) in message
    assert RUN in message
    assert not (here / "results" / "runs" / RUN / "measurements.json").exists()


def test_an_evaluation_that_runs_out_of_space_is_not_finished(here: Path, refused: Refused) -> None:
    (here / "results" / "runs" / RUN / "measurements.json").unlink()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, hard))
    try:
        message = refused("evaluate", RUN, *CPU, "--settings", SETTINGS, leaves=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "File too large" in message
    assert not (here / "results" / "runs" / RUN / "measurements.json").exists()
    assert main(["evaluate", RUN, *CPU, "--settings", SETTINGS]) == 0  # and once there is room, it is
