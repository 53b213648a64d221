"""Curves of runs as a tracker's files, without the tracker."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from bench.base.errors import BenchError
from bench.cli.main import main
from bench.cli.tracking import track

RUN = "paper/coupled-vae/ptb/vae/seed0"


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[tuple[str, float, int]]]:
    """What a stand-in for TensorBoard's writer was given, by folder."""
    found: dict[str, list[tuple[str, float, int]]] = {}

    class SummaryWriter:
        def __init__(self, folder: str) -> None:
            Path(folder).mkdir(parents=True)
            self.scalars = found.setdefault(folder, [])
            (Path(folder) / f"events.{len(self.scalars)}").touch()  # of another name in each call

        def __enter__(self) -> SummaryWriter:
            return self

        def __exit__(self, *_: object) -> None: ...

        def add_scalar(self, name: str, value: float, step: int) -> None:
            self.scalars.append((name, value, step))

    module: Any = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return found


def test_what_was_logged_and_measured_is_written(
    results: Any, written: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results.corpus()
    results.run(RUN)
    out = tmp_path / "tracked"
    for _ in range(2):  # the second call replaces what the first wrote
        assert main(["track", "--results", str(results.root), "--out", str(out)]) == 0
    assert "wrote 1 run;" in capsys.readouterr().out
    assert len(list((out / RUN).iterdir())) == 1
    (scalars,) = written.values()
    names = {name for name, _, _ in scalars}
    assert {"training/kl", "validation/nll"} <= names
    assert any(name.startswith("test/nll (") for name in names)
    assert not any(name.endswith("/step") for name in names)
    assert len({step for name, _, step in scalars if name == "training/kl"}) > 1


def test_without_the_tracker_one_line_says_what_to_install(
    results: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(BenchError, match="TensorBoard is not installed"):
        track(results.root, [], results.root / "tracked")


def test_a_folder_of_others_is_refused_and_nothing_measured_is_told(
    results: Any, written: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(BenchError, match="no run has been measured"):
        track(results.root, [], tmp_path / "tracked")
    results.corpus()
    results.run(RUN)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(BenchError, match="mine"):
        track(results.root, [RUN], tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.tex").exists()
    assert written == {}
