"""Updates that are replayed from recordings give what updates that are made anew give, for every system.

A machine without a GPU cannot record CUDA graphs. What stands in for them here does what they do: it notes each
operation with the memory that it read and wrote, and runs the same operations on the same memory again. Whatever a
step takes from Python and not from that memory (a weight, a rate, a seed, a shape) would be that of the recording.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bench.base.settings import Optimiser, RunSettings
from bench.corpora.prepared import Prepared
from bench.models import packing
from bench.models.noise import Noise
from bench.objectives.objective import Objective, Terms
from bench.training import update as updates
from bench.training.loop import OutOfMemory, Trainer
from bench.training.optimiser import Stepper
from bench.training.update import ReplayedUpdate, Step, Update, recordable
from tests.golden.golden import World, settings_of
from tests.training.systems import BUILT, CONVOLUTIONS, TURNS, small, taking_turns
from tests.training.test_no_waiting import read

FROM_THE_HOST = {"lift_fresh", "_pin_memory"}  # constants that are copied to the device when they are made
STATISTICS = ("running_mean", "running_var")  # are written, though the operation does not declare it
STEPS = 8  # the rate decays after the fourth and the seventh
REFINED = ["sa-vae", "sa-vae-own"]


class Tape(TorchDispatchMode):
    """The operations of a function, which can be run again on the same memory."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[tuple[Any, Any, Any, Any]] = []
        self._overwritten: list[tuple[Tensor, Tensor]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        named = dict(zip((argument.name for argument in func._schema.arguments), args, strict=False)) | kwargs
        for argument in func._schema.arguments:
            writes = argument.is_write or argument.name in STATISTICS
            if writes and argument.name in named:
                written = [t for t in tree_leaves(named[argument.name]) if isinstance(t, Tensor)]
                self._overwritten += [(tensor, tensor.clone()) for tensor in written]
        result = func(*args, **kwargs)
        self.calls.append((func, args, kwargs, result))
        return result

    @property
    def unfit(self) -> list[str]:
        """Operations that a CUDA graph cannot hold."""
        constants = [func for func, *_ in self.calls if func.overloadpacket.__name__ in FROM_THE_HOST]
        return [str(func) for func, args, *_ in self.calls if read(func, args)] + [
            str(func) for func in constants
        ]

    @torch.no_grad()
    def undo(self) -> None:
        for tensor, before in reversed(self._overwritten):
            tensor.copy_(before)

    def replay(self) -> None:
        with (
            torch._C._AutoDispatchBelowAutograd()
        ):  # as they were met; without gradients some would return less
            for func, args, kwargs, result in self.calls:
                again = func(*args, **kwargs)
                for old, new in zip(tree_leaves(result), tree_leaves(again), strict=True):
                    if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                        old.copy_(new)


def refused(*_: Any) -> Any:
    raise AssertionError("a tensor was looked at while it was recorded")


@pytest.fixture(autouse=True)
def as_on_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may be looked at, and updates are recorded soon."""
    monkeypatch.setattr(packing, "ANSWERING", ())
    monkeypatch.setattr(updates, "DEVICES", ("cpu",))
    monkeypatch.setattr(updates, "WARM", 1)


@pytest.fixture
def tapes(monkeypatch: pytest.MonkeyPatch) -> list[Tape]:
    """The recordings that were made; to make one changes nothing, as with a CUDA graph."""
    made: list[Tape] = []

    def record(
        function: Callable[[], Any], generators: Iterable[torch.Generator], pool: Any
    ) -> tuple[Any, Callable[[], None], Any]:
        states = [(generator, generator.get_state()) for generator in generators]
        with Tape() as tape, pytest.MonkeyPatch.context() as patch:
            for name in ("tolist", "numpy"):  # are no operations on the CPU
                patch.setattr(Tensor, name, refused)
            result = function()
        tape.undo()
        for generator, state in states:
            generator.set_state(state)
        made.append(tape)
        return result, tape.replay, pool

    monkeypatch.setattr(updates, "record", record)
    return made


def built(system: str | RunSettings, corpus: Prepared, folder: Path) -> Trainer:
    """A small run whose updates are recorded."""
    run = small(system) if isinstance(system, str) else system
    trainer = Trainer(run, corpus, folder, torch.device("cpu"))
    trainer.reporter.every = float("inf")
    return trainer


def made_anew(system: str | RunSettings, corpus: Prepared, folder: Path) -> Trainer:
    """The same run without recordings, on batches of the same shapes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(updates, "DEVICES", ())
        patch.setattr(Update, "multiple", ReplayedUpdate.multiple)
        return built(system, corpus, folder)


def same(one: Trainer, other: Trainer) -> bool:
    """Whether weights, moments of the optimiser and logged terms are equal to the last bit."""
    states = [{**t.model.state_dict(), **t.stepper.state()} for t in (one, other)]
    terms = [[(step, names, values.tolist()) for step, names, values in t.log._unread] for t in (one, other)]
    return terms[0] == terms[1] and all(torch.equal(v, states[1][name]) for name, v in states[0].items())


def reads_cells(paper: str, system: str) -> bool:
    """Whether its encoder reads cells out, where each text ends: the device is read, so nothing is recorded."""
    return settings_of(paper, system).encoder.options.get("readout") == "and-cell"


@pytest.mark.parametrize("system", [name for name in BUILT if name not in CONVOLUTIONS + REFINED])
def test_replayed_updates_are_those_made_anew(
    system: str, corpus_for: Callable[[str], Prepared], tmp_path: Path, tapes: list[Tape]
) -> None:
    assert_replayed(system, corpus_for(system), tmp_path, tapes)


@pytest.mark.parametrize(("paper", "system"), [one for one in TURNS if not reads_cells(*one)])
def test_replayed_updates_that_take_turns_are_those_made_anew(
    paper: str, system: str, world: World, tmp_path: Path, tapes: list[Tape]
) -> None:
    run = taking_turns(paper, system)
    assert_replayed(run, Prepared.load(world.prepared(run)), tmp_path, tapes)


def assert_replayed(system: str | RunSettings, corpus: Prepared, folder: Path, tapes: list[Tape]) -> None:
    """Steps of which some are replayed end as steps that are all made anew, and a device could record them."""
    one, other = built(system, corpus, folder / "one"), made_anew(system, corpus, folder / "other")
    update = one.update
    assert isinstance(update, ReplayedUpdate)
    for step in range(1, 3 * STEPS):
        one.one_step(step)
        other.one_step(step)
        if step >= STEPS and update.replays >= 3:  # some have more shapes, of which each recurs less often
            break
    assert update.works
    assert update.replays >= 3
    assert same(one, other)
    for tape in tapes:
        assert tape.unfit == []


def advanced(trainer: Trainer, last: int = 12) -> Trainer:
    for step in range(trainer.progress.step + 1, last):
        trainer.one_step(step)
    return trainer


def test_a_number_that_stays_in_a_recording_is_noticed(
    corpus: Prepared, tmp_path: Path, tapes: list[Tape]
) -> None:
    one, other = built("vae", corpus, tmp_path / "one"), made_anew("vae", corpus, tmp_path / "other")
    one.stepper.on_device = False  # so that the rate is a number of Python's
    assert not same(advanced(one), advanced(other))
    assert tapes


@pytest.mark.parametrize("system", CONVOLUTIONS)
def test_what_reads_its_device_says_so_and_is_not_recorded(
    system: str, corpus: Prepared, tmp_path: Path
) -> None:
    trainer = built(system, corpus, tmp_path)
    assert not recordable(trainer.model, trainer.objective, trainer.procedure)
    assert type(trainer.update) is Update
    with Tape() as tape:
        trainer.one_step(1)
    assert tape.unfit


def test_a_recording_that_fails_is_told_once_and_nothing_is_lost(
    corpus: Prepared, tmp_path: Path, tapes: list[Tape], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = (
        built("coupled-vae", corpus, tmp_path / "one"),
        made_anew("coupled-vae", corpus, tmp_path / "b"),
    )
    advanced(one)
    assert tapes
    said: list[str] = []
    monkeypatch.setattr(one.update, "_say", said.append)

    def fails(function: Callable[[], Any], *_: Any) -> Any:
        with Tape() as tape:
            function()
        tape.undo()  # nothing was run, but all of it was gone through
        raise RuntimeError("operation not permitted when stream is capturing\nand more")

    monkeypatch.setattr(updates, "record", fails)
    assert isinstance(one.update, ReplayedUpdate)
    one.update.forget()
    assert same(advanced(one, 20), advanced(other, 20))
    assert said == ["goes on without CUDA graphs: operation not permitted when stream is capturing"]
    assert one.update.fell_back == "operation not permitted when stream is capturing"


@pytest.mark.parametrize(
    "first", [ValueError("a tensor was looked at\nand more"), torch.OutOfMemoryError("all used")]
)
def test_the_cause_of_a_failed_recording_is_not_hidden_by_its_end(
    first: Exception, corpus: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of a recording that went wrong raises too: that says only that something did before."""

    def ends(*_: Any) -> Any:
        try:
            raise first
        finally:
            raise RuntimeError("operation failed due to a previous error during capture")

    monkeypatch.setattr(updates, "record", ends)
    trainer = built("vae", corpus, tmp_path)
    if isinstance(first, ValueError):
        assert advanced(trainer).update.fell_back == "a tensor was looked at"
    else:
        with pytest.raises(OutOfMemory):
            advanced(trainer)


@pytest.mark.parametrize(("version", "named"), [("2.11.0", 2), ("2.14.1+cu130", 0)])
def test_generators_are_named_only_to_a_library_that_asks(
    version: str, named: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[torch.Generator] = []

    class Graph:
        register_generator_state, replay, pool = told.append, None, lambda self: None

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", lambda *_, **__: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: None)
    monkeypatch.setattr(updates, "REGISTERS_GENERATORS", updates.registers_generators(version))
    updates.record(lambda: None, [torch.Generator(), torch.Generator()], None)
    assert len(told) == named


def test_a_recording_without_memory_is_the_step_without_memory(
    corpus: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(updates, "record", full)
    with pytest.raises(OutOfMemory):
        advanced(built("vae", corpus, tmp_path))


def test_a_run_that_resumes_records_again_and_ends_as_if_undisturbed(
    corpus: Prepared, tmp_path: Path, tapes: list[Tape]
) -> None:
    one, other = (
        built("coupled-vae", corpus, tmp_path / "one"),
        made_anew("coupled-vae", corpus, tmp_path / "b"),
    )
    advanced(one, 8).save()
    advanced(other, 8).save()
    before = len(tapes)
    again = built("coupled-vae", corpus, tmp_path / "one")
    assert again.progress.step == 7
    assert same(advanced(again, 20), advanced(other, 20))
    assert len(tapes) > before > 0


def test_replaced_moments_are_recorded_anew(corpus: Prepared, tmp_path: Path, tapes: list[Tape]) -> None:
    """A decay on a plateau takes the best weights back and begins the optimiser anew."""
    trainers = [built("vae", corpus, tmp_path / "one"), made_anew("vae", corpus, tmp_path / "other")]
    for trainer in trainers:
        advanced(trainer, 8)
        trainer.settings = trainer.settings.model_copy(
            update={"optimiser": Optimiser(decay="plateau", patience=1, decay_after=0, clip=1.0)}
        )
        trainer.best = {name: value.clone() for name, value in trainer.model.state_dict().items()}
        for value in (1.0, 2.0):
            trainer._decay_on_plateau(value)
        assert trainer.stepper.state() == {}
        advanced(trainer, 20)
    assert same(*trainers)


def test_each_update_sees_the_weights_that_the_one_before_left(
    corpus: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inside one context, the library would keep the narrow copy of a weight that it made first."""
    weight = nn.Parameter(torch.ones(2, 2))
    seen: list[float] = []

    class Product(Objective):
        def backward(self, *_: Any) -> Terms:
            product = F.linear(torch.eye(2), weight).sum()
            seen.append(float(product.detach()))
            with torch.no_grad():
                weight.mul_(2)
            return {"reconstruction": product, "total": product}

    trainer = made_anew("vae", corpus, tmp_path)
    update = Update(trainer.model, Product({}), trainer.stepper, torch.bfloat16)
    monkeypatch.setattr(Stepper, "step", lambda self, turn: torch.zeros(()))
    step = Step(1, trainer.batch(1), Noise(), {}, lambda number: (trainer.batch(1), Noise()))
    for _ in range(3):
        update(step)
    assert seen == [4.0, 8.0, 16.0]
