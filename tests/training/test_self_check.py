"""The self-check of a device, with the CPU standing in for it and faults that are put in."""

from __future__ import annotations

import io
import json
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from bench.base import device as devices
from bench.base.errors import BenchError
from bench.base.files import read_json
from bench.cli.doctor import check_numbers, show
from bench.cli.runs import _workers
from bench.corpora.prepared import Prepared
from bench.training import agreement, passed, places, self_check
from bench.training import update as updates
from bench.training.agreement import furthest
from bench.training.loop import Trainer
from bench.training.passed import (
    GRAPHS,
    ITSELF,
    NARROW,
    WORKERS,
    Agreement,
    Checked,
    from_content,
    keep,
    kept,
)
from bench.training.run import train_run
from bench.training.self_check import Check, Side, ensured
from bench.training.update import ReplayedUpdate, Update
from tests.conftest import tiny_settings
from tests.training.test_cuda import one_update_both_ways
from tests.training.test_update import advanced, as_on_a_device, built, tapes  # noqa: F401 (fixtures)

DEVICE = torch.device("cpu:0")  # has a number, which the CPU that it is compared with has not
SMALL = {"embedding": 12, "hidden": 16, "latent": 4}
PASSED = Checked("a device", tuple(Agreement(c, c, True, "agree") for c in (ITSELF, GRAPHS, NARROW, WORKERS)))
UNCHECKED = Checked("a device")


@pytest.fixture(autouse=True)
def checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The CPU is checked, as a device would be."""
    monkeypatch.setattr(passed, "CHECKED", ("cpu",))
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def check(corpus: Prepared, monkeypatch: pytest.MonkeyPatch) -> Check:
    """The check of the device, whose processes at once are this one."""
    monkeypatch.setattr(self_check, "STEPS", 8)
    monkeypatch.setattr(agreement, "NARROW", 30.0)  # sums over 16 units even out less than those over 128
    made = Check(DEVICE, corpus, SMALL)
    monkeypatch.setattr(self_check, "losses_at_once", lambda *_: [made.side("GRU").losses()])
    return made


def only_gru(check: Check) -> Check:
    del check.systems["LSTM"]
    return check


def on_the_device(monkeypatch: pytest.MonkeyPatch, method: str, change: Callable[[Any], Any]) -> None:
    """What a method of a side returns is changed on the device."""
    before = getattr(Side, method)

    def changed(side: Side, *given: Any) -> Any:
        found = before(side, *given)
        return change(found) if side.device == DEVICE else found

    monkeypatch.setattr(Side, method, changed)


@pytest.mark.usefixtures("tapes")
def test_a_right_device_may_do_all(check: Check) -> None:
    found = Checked("a device", tuple(check.findings())).require()
    assert [one.text for one in found.findings if not one.agrees] == []
    assert found.record()["allowed"] == {GRAPHS: True, NARROW: True, WORKERS: True}
    assert len(found.findings) == 2 * 6 + 1


@pytest.mark.parametrize("wrong", [1.001, np.nan])
def test_a_wrong_likelihood_ends_the_use_of_the_device(
    wrong: float, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_the_device(monkeypatch, "likelihoods", lambda found: found * wrong)
    found = Checked("a device", tuple(only_gru(check).findings()))
    assert {one.decides for one in found.findings} == {ITSELF}  # and nothing else was looked at
    assert not any(map(found.allows, passed.CHOICES))
    with pytest.raises(
        BenchError, match=r"does not compute what the CPU does: likelihoods in float32, GRU: nll of"
    ) as e:
        found.require()
    assert ("off by inf" if np.isnan(wrong) else "off by 1.0e-03, 1e-04 is allowed") in str(e.value)
    assert "--device cpu" in str(e.value)


@pytest.mark.parametrize(
    ("term", "wrong"), [("kl", 1.0003), ("gradient norm", 1.003), ("total", float("nan"))]
)
def test_a_wrong_update_names_the_term(
    term: str, wrong: float, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_the_device(monkeypatch, "step", lambda found: found | {term: found[term] * wrong})
    finding = check.one_update("GRU")
    assert not finding.agrees
    assert finding.decides == ITSELF
    assert finding.text.startswith(f"{term}: ")


def test_wrong_narrow_products_and_workers_cost_these_alone(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    likelihoods = Side.likelihoods
    monkeypatch.setattr(
        Side, "likelihoods", lambda side, *narrow: likelihoods(side, *narrow) * (1.002 if narrow else 1)
    )
    on_device = [ITSELF, GRAPHS]
    check._eager = {"GRU": [[3.0] * self_check.STEPS] * 2}
    found = [check.narrow("GRU"), check.at_once(), *(Agreement(one, one, True, "agree") for one in on_device)]
    checked = Checked("a device", tuple(found)).require()
    assert checked.record()["allowed"] == {GRAPHS: True, NARROW: False, WORKERS: False}
    assert "mean nll" in checked.why(NARROW)[0]
    assert "loss of step" in checked.why(WORKERS)[0]


@pytest.mark.parametrize(("wrong", "agrees"), [(1.0, True), (1.1, False), (0.0, False)])
def test_a_narrow_update_may_differ_by_its_rounding_alone(
    wrong: float, agrees: bool, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Side.step

    def changed(side: Side, *given: Any) -> dict[str, float]:
        found = step(side, *given)
        narrow = side.update.dtype == torch.bfloat16
        return found | {"gradient norm": found["gradient norm"] * wrong} if narrow else found

    monkeypatch.setattr(Side, "step", changed)
    finding = check.narrow_update("GRU")
    assert (finding.decides, finding.agrees) == (NARROW, agrees), finding.text
    assert agrees or finding.text.startswith("gradient norm: ")


def replays(
    monkeypatch: pytest.MonkeyPatch, fault: Callable[[Any, Callable[[], None]], Callable[[], None]]
) -> None:
    """Replays of recordings are those that ``fault`` makes of what was recorded and how it is run again."""
    record = updates.record

    def faulty(*given: Any) -> Any:
        result, replay, pool = record(*given)
        return result, fault(result, replay), pool

    monkeypatch.setattr(updates, "record", faulty)


def off(result: Any, replay: Callable[[], None], by: float = 1.001) -> Callable[[], None]:
    def wrong() -> None:
        replay()
        result[0]["kl"].mul_(by)

    return wrong


def once(_: Any, replay: Callable[[], None]) -> Callable[[], None]:
    """The first replay is right, and leaves what all others give."""
    calls: Iterator[Callable[[], None]] = iter([replay])
    return lambda: next(calls, lambda: None)()


@pytest.mark.usefixtures("tapes")
def test_a_wrong_replay_costs_the_recordings(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    check.eager("GRU")
    for fault, said in ((once, "loss of step"), (off, "a replayed update differs")):
        with monkeypatch.context() as patch:
            replays(patch, fault)
            finding = check.replayed("GRU")
        assert (finding.decides, finding.agrees) == (GRAPHS, False)
        assert finding.text.startswith(said)


@pytest.mark.usefixtures("tapes")
@pytest.mark.parametrize("by", [1.001, float("nan")])
def test_a_wrong_replay_stops_a_run_and_says_how_to_go_on(
    by: float, corpus: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replays(monkeypatch, lambda result, replay: off(result, replay, by))
    keep(replace(PASSED, device=kept(DEVICE).device))
    with pytest.raises(BenchError, match=r"differs from the same one made anew in the kl: ") as error:
        advanced(built("vae", corpus, tmp_path))
    assert "texts of up to" in str(error.value.where)
    assert "BENCH_GRAPHS=0" in str(error.value.remedy)


def test_terms_that_are_not_finite_on_both_sides_are_left_to_the_log() -> None:
    both = {"kl": float("nan"), "total": float("inf"), "gradient norm": 1.0}
    assert furthest(both, both, nan_agrees=True).agrees
    assert not furthest(both, both).agrees


def test_what_is_kept_is_of_one_device_library_and_version(monkeypatch: pytest.MonkeyPatch) -> None:
    found = replace(PASSED, device=kept(DEVICE).device)
    keep(found)
    assert kept(DEVICE) == found == from_content(json.loads(json.dumps(found.content())))
    keep(replace(found, version="another commit"))
    assert not kept(DEVICE).allows(GRAPHS)
    keep(found)
    monkeypatch.setattr(passed, "describe_device", lambda name: "cpu: another")
    assert not kept(DEVICE).allows(GRAPHS)
    monkeypatch.undo()
    assert kept(torch.device("cpu")).why(GRAPHS) == []  # is not checked


def test_a_device_with_faults_is_forgotten_and_a_damaged_file_is_none() -> None:
    found = replace(PASSED, device=kept(DEVICE).device)
    keep(found)
    keep(replace(found, findings=(Agreement(ITSELF, "one update", False, "off"),)))
    assert kept(DEVICE).why(GRAPHS) == ["the self-check has not been made"]
    keep(found)
    next(passed.folder().glob("*.json")).write_text("{")
    assert kept(DEVICE).why(GRAPHS) == ["the self-check has not been made"]


def test_the_first_call_checks_and_the_next_does_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made: list[torch.device] = []

    def apart(device: torch.device) -> Checked:
        made.append(device)
        found = replace(PASSED, device=kept(device).device)
        keep(found)
        return found

    monkeypatch.setattr(self_check, "check_apart", apart)
    assert ensured("cpu").allows(GRAPHS)
    assert ensured("cpu").allows(GRAPHS)
    assert len(made) == 1
    assert "a self-check, once, of about a minute" in capsys.readouterr().err
    monkeypatch.setattr(passed, "CHECKED", ("cuda",))
    monkeypatch.setenv("BENCH_CACHE", "/nowhere")
    assert not ensured("cpu").needed
    assert len(made) == 1


def test_a_training_uses_only_what_passed(
    corpus: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "_cpu_has_bfloat16", lambda: True)
    settings = tiny_settings("vae", training={"precision": "auto"})
    plain = Trainer(settings, corpus, tmp_path / "a", DEVICE)  # nothing is kept
    assert (type(plain.update), plain.dtype) == (Update, torch.float32)
    assert plain.update.fell_back == "the self-check has not been made"
    fast = Trainer(settings, corpus, tmp_path / "b", DEVICE, checked=PASSED)
    assert (type(fast.update), fast.dtype) == (ReplayedUpdate, torch.bfloat16)
    monkeypatch.setenv("BENCH_GRAPHS", "0")
    assert type(Trainer(settings, corpus, tmp_path / "c", DEVICE, checked=PASSED).update) is Update


def test_a_run_records_what_it_may_use(
    corpora: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = replace(PASSED, findings=PASSED.findings[:3])
    monkeypatch.setattr(passed, "CHECKED", ())  # nothing is kept of it
    monkeypatch.setattr("bench.training.run.ensured", lambda device: found)
    monkeypatch.setattr(updates, "DEVICES", ())
    settings = tiny_settings("gru-lm", training={"steps": 1, "validate_every": 1, "log_every": 1})
    train_run(settings, corpora, tmp_path / "runs", tmp_path / "state", device="cpu", threads=1)
    recorded = read_json(tmp_path / "runs" / settings.name / "run.json")["provenance"]["self_check"]
    assert recorded["allowed"] == {GRAPHS: True, NARROW: True, WORKERS: False}
    assert recorded["made"] == found.when


def test_a_pack_has_one_worker_where_several_did_not_pass(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = Namespace(workers=4, threads=1, minutes=None, device="cpu:0")
    for found, count in ((PASSED, 4), (UNCHECKED, 1)):
        monkeypatch.setattr(places, "ensured", lambda device, found=found: found)
        assert _workers(options).count == count
    assert capsys.readouterr().err == "1 at a time, one on each device: the self-check has not been made\n"


def test_the_doctor_tells_what_was_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = Agreement(NARROW, "likelihoods with bfloat16 products, GRU", False, "mean nll: 38 in place of 37")
    monkeypatch.setattr(
        self_check, "check_apart", lambda device: replace(PASSED, findings=(*PASSED.findings, wrong))
    )
    assert show(check_numbers("cpu"), Console(width=200))
    told = capsys.readouterr().out
    assert "mean nll: 38 in place of 37" in told
    assert "trainings go on without" in told
    fault = Checked("cuda: it", (Agreement(ITSELF, "one update", False, "kl: 2 in place of 1"),))
    monkeypatch.setattr(self_check, "check_apart", lambda device: fault)
    assert not show(check_numbers("cpu"), Console(width=200))
    assert "nothing is trained on it" in capsys.readouterr().out
    monkeypatch.setattr(passed, "CHECKED", ("cuda",))
    assert [one.status for one in check_numbers("cpu")] == ["ok"]


def test_the_process_of_its_own_prints_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_check, "check", lambda device: PASSED)
    with redirect_stdout(io.StringIO()) as out:
        self_check.main(["cpu"])
    assert from_content(json.loads(out.getvalue())) == PASSED


@pytest.mark.usefixtures("tapes")
def test_the_test_of_a_gpu_passes_where_it_should(corpus: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    assert one_update_both_ways("coupled-vae", corpus, DEVICE) == []
    replays(monkeypatch, once)
    assert one_update_both_ways("coupled-vae", corpus, DEVICE)
