"""What is published, and what is not because it could not be traced."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.base.files import read_json, write_json
from bench.cli.main import main
from bench.store.seal import is_sealed, sealed
from tests.cli.conftest import RUN, Refused
from tests.conftest import CORPUS


def edit(path: Path, *keys: str, value: Any) -> None:
    content = read_json(path)
    place = content
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    write_json(path, sealed(content, path.parent) if is_sealed(content) else content)


def test_a_run_is_published_without_its_weights(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["publish", RUN]) == 0
    target = here / "results" / "published" / "runs" / RUN
    assert capsys.readouterr().out == f"results/published/runs/{RUN}\n"
    left_out = {"model.safetensors", "latents.safetensors"}
    made = {path.name for path in (here / "results" / "runs" / RUN).iterdir()}
    assert {path.name for path in target.iterdir()} == made - left_out
    assert (here / f"results/published/corpora/coupled-vae/{CORPUS}/corpus.json").exists()
    assert main(["publish", RUN]) == 0  # again, over the same


def test_what_could_not_be_traced_is_not_published(here: Path, refused: Refused) -> None:
    folder = here / "results" / "runs" / RUN
    run, measured = folder / "run.json", folder / "measurements.json"
    edit(measured, "provenance", "dirty", value=True)
    assert "was measured by code that differs from its commit" in refused("publish", RUN)
    edit(measured, "provenance", "dirty", value=False)
    edit(run, "provenance", "code_version", value="unknown")
    assert "was trained by code whose commit is not known" in refused("publish", RUN)
    edit(run, "provenance", "code_version", value="a" * 40)
    edit(run, "provenance", "dirty", value=None)
    assert "was trained by code whose commit is not known" in refused("publish", RUN)
    edit(run, "provenance", "dirty", value=False)
    earlier = read_json(measured)["provenance"] | {"dirty": True}
    edit(measured, "earlier", value=[earlier])
    assert "was measured by code that differs from its commit" in refused("publish", RUN)
    edit(measured, "earlier", value=[])
    edit(measured, "weights_sha256", value="0")
    assert "the measurements are of other weights" in refused("publish", RUN)
    edit(measured, "weights_sha256", value=read_json(run)["files"]["model.safetensors"])
    kept = (folder / "texts.json").rename(folder / "elsewhere.json")
    assert "texts.json" in refused("publish", RUN)
    kept.rename(folder / "texts.json")
    content = read_json(measured)
    content["measurements"][0]["value"] += 70
    write_json(measured, content)
    assert "changed since it was measured (its digest differs)" in refused("publish", RUN)
    edit(measured, "earlier", value=[])
    (folder / "validation.parquet").write_bytes(b"other")
    assert "the file is not the one that the run wrote" in refused("publish", RUN)
    measured.unlink()
    assert "there is no measurements.json of this run" in refused("publish", RUN)
    assert not (here / "results" / "published").exists()


def test_a_run_that_diverged_is_published_as_such(here: Path) -> None:
    folder = here / "results" / "runs" / RUN
    for file in ("sentences.parquet", "texts.json", "histograms.json"):
        (folder / file).unlink()
    for file in ("run.json", "measurements.json"):
        edit(folder / file, "state", value="diverged")
    assert main(["publish", RUN]) == 0
    published = {path.name for path in (here / "results" / "published" / "runs" / RUN).iterdir()}
    assert published == {"training.parquet", "validation.parquet", "run.json", "measurements.json"}
