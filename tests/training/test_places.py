"""Jobs share devices as the self-check allows, with pretended devices."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench.training import passed, places
from bench.training.passed import WORKERS, Agreement, keep, kept
from bench.training.places import place_on, workers_of

Pretend = Callable[[int], None]


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Pretend:
    """A machine with so many devices, on which nothing has been checked."""
    monkeypatch.setattr(passed, "CHECKED", ("cpu",))
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(places, "identifier", lambda device: f"GPU-{device.index}")

    def devices(count: int) -> None:
        found = [torch.device("cpu", number) for number in range(count)]
        monkeypatch.setattr(places, "devices_of", lambda name: found)

    return devices


def passes(agrees: bool) -> None:
    found = kept(torch.device("cpu"))
    keep(replace(found, findings=(Agreement(WORKERS, "two at once", agrees, "they differ"),)))


def test_each_job_has_a_device_of_its_own_and_the_next_waits_for_one(
    pretend: Pretend, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend(2)
    first, second = ExitStack(), ExitStack()
    with first, second:
        assert first.enter_context(place_on("cuda")) == "cpu:0"
        assert second.enter_context(place_on("cuda")) == "cpu:1"
        monkeypatch.setattr("time.sleep", lambda _: second.close())  # ends while the third waits
        with place_on("cuda") as third:
            assert third == "cpu:1"
    assert capsys.readouterr().err == "other processes are working on device cuda: waiting for one to end\n"


def test_several_share_a_device_where_that_has_passed(
    pretend: Pretend, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(2)
    with ExitStack() as stack:
        places_of_three = [stack.enter_context(place_on("cuda")) for _ in range(2)]
        # A check that passes meanwhile lets the third in, beside the first.
        monkeypatch.setattr("time.sleep", lambda _: passes(True))
        places_of_three.append(stack.enter_context(place_on("cuda")))
    assert places_of_three == ["cpu:0", "cpu:1", "cpu:0"]


def test_a_pack_has_one_worker_a_device_or_as_many_as_it_asks_for(
    pretend: Pretend, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(3)
    monkeypatch.setattr(places, "ensured", lambda name: kept(torch.device(name)))
    passes(False)
    assert workers_of("cuda") == (3, "two at once: they differ")
    passes(True)
    assert workers_of("cuda")[0] > 3


def test_the_cpu_has_room_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    with place_on("cpu") as first, place_on("cpu") as second:
        assert first == second == "cpu"
    assert not list(tmp_path.iterdir())
