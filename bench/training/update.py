"""One update of a model's parameters, made anew or replayed from a recording of one before.

The models are small: a GPU finishes their kernels faster than a processor can launch them, one by one. There an
update is recorded as a CUDA graph, once for each turn and each shape that a batch can have, and then replayed with a
single launch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from packaging.version import Version
from torch import Tensor, nn

from bench.base import environment
from bench.base.device import out_of_memory
from bench.base.errors import BenchError
from bench.corpora.batches import Batch
from bench.models.model import TextModel
from bench.models.noise import Noise
from bench.models.precision import products
from bench.objectives.objective import Objective, Terms, Weights, parts_of
from bench.training.agreement import furthest, numbers
from bench.training.optimiser import Stepper
from bench.training.turns import ALL, Turn

DEVICES = ("cuda",)  # kinds that record updates
WARM = 3  # updates of a shape before one is recorded; the first makes what stays, as Adam's moments
MOST = 400  # shapes that are recorded; each takes some megabytes of the device

Result = TypeVar("Result")


def registers_generators(version: str) -> bool:
    """Whether a recording of this torch is told its generators: from 2.14 on it finds them, and says so."""
    return Version(version) < Version("2.14.0.dev0")


REGISTERS_GENERATORS = registers_generators(torch.__version__)


@dataclass(frozen=True)
class Step:
    """What one step is given. ``number`` is 1-based; ``weights`` are those of the terms.

    ``another(i)`` gives the i-th further batch of the step, drawn uniformly with replacement, with its noise.
    Each batch is taken in so many ``parts``, where memory does not hold it whole.
    """

    number: int
    batch: Batch
    noise: Noise
    weights: Weights
    another: Callable[[int], tuple[Batch, Noise]]
    parts: int = 1


class Update:
    """Clipped gradients of the terms of a turn for a batch, and steps of optimisers, with products in ``dtype``.

    The number of real targets of its batches is rounded up to a multiple of ``multiple``. ``replays`` counts the
    updates that came from a recording; ``fell_back`` is the reason why recordings were given up.
    """

    multiple = 1
    replays = 0
    fell_back: str | None = None  # why recordings were given up

    def __init__(
        self, model: TextModel, objective: Objective, stepper: Stepper, dtype: torch.dtype = torch.float32
    ) -> None:
        self.model, self.objective, self.stepper = model, objective, stepper
        self.device, self.dtype = model.embedding.weight.device, dtype
        self._objectives = {ALL: objective}

    @property
    def recordings(self) -> int:
        """How many recordings are held, with their memory."""
        return 0

    def products(self) -> torch.autocast:
        """The context of one update: what it keeps of the weights in a narrow type must not outlive them."""
        return products(self.device, self.dtype)

    def __call__(self, step: Step, turn: Turn = ALL) -> tuple[Terms, Tensor]:
        """Make the update of a turn: its terms for the batch, and the norm of the gradient before clipping."""
        self.stepper.set_rate(step.number)
        return self.make(step, turn)

    def make(self, step: Step, turn: Turn) -> tuple[Terms, Tensor]:
        """The update at the rate that has been set."""
        with self.products():
            self.stepper.zero()
            objective = self._objective(turn)
            terms = objective.backward(self.model, step.batch, step.noise, step.weights, step.parts)
            return terms, self.stepper.step(turn)

    def tensors(self) -> list[Tensor]:
        """All that an update changes: weights, statistics of the model and moments of the optimisers."""
        networks = [self.model, *(one for one in self.objective.terms.values() if isinstance(one, nn.Module))]
        statistics = [buffer for network in networks for buffer in network.buffers()]
        return [*self.stepper.parameters.values(), *statistics, *self.stepper.state().values()]

    def _objective(self, turn: Turn) -> Objective:
        """The objective with the terms of a turn."""
        if turn not in self._objectives:
            names = [name for name in self.objective.terms if turn.takes(name)]
            whole = len(names) == len(self.objective.terms)
            self._objectives[turn] = self.objective if whole else self.objective.only(*names)
        return self._objectives[turn]

    def forget(self) -> None:
        """Told when tensors of the optimiser were replaced: recordings of the old ones are of no use."""


class ReplayedUpdate(Update):
    """An update that runs from recordings, on a device that can record.

    The numbers are those of :class:`Update`. What differs from step to step is read from tensors that stay where
    they are: the batch, the weights that change and the rate; and from generators that are seeded anew. The
    first batches of a shape, and those of shapes beyond ``MOST``, are made without a recording; so is everything
    after a recording that failed, which ``say`` is told. The first replay of each shape is compared with the same
    update made anew: :class:`BenchError` where they differ.
    """

    multiple = 64

    def __init__(
        self,
        model: TextModel,
        objective: Objective,
        stepper: Stepper,
        dtype: torch.dtype,
        say: Callable[[str], None],
    ) -> None:
        super().__init__(model, objective, stepper, dtype)
        self._say = say
        self._weights = {name: torch.zeros((), device=self.device) for name in objective.changing}
        self._noise: Noise | None = None
        self.works = True
        self.forget()

    def forget(self) -> None:
        """Drop the recordings, with their memory."""
        self._seen: Counter[tuple[object, ...]] = Counter()
        self._recordings: dict[tuple[object, ...], _Recording] = {}
        self._pool: Any = None

    def __call__(self, step: Step, turn: Turn = ALL) -> tuple[Terms, Tensor]:
        """Make the update of a turn: its terms for the batch, and the norm of the gradient before clipping.

        Both are overwritten by the next update, where they come from a recording.
        """
        if step.parts > 1 or not self.works:
            return super().__call__(step, turn)
        self.stepper.set_rate(step.number)
        for name, weight in self._weights.items():
            weight.fill_(step.weights[name])
        if self._noise is None:
            self._noise = step.noise
        self._noise.begin_as(step.noise)
        fixed = replace(step, weights={**step.weights, **self._weights}, noise=self._noise)
        shape = (turn, step.batch.shape)
        recording = self._recordings.get(shape)
        if recording is None:
            self._seen[shape] += 1
            if self._seen[shape] > WARM and len(self._recordings) < MOST:
                recording = self._record(shape, fixed, turn)
            if not self.works:
                return super().__call__(step, turn)
            if recording is None:
                return self.make(fixed, turn)
            self.replays += 1
            return self._first(recording, fixed, turn)
        self.replays += 1
        return recording(step.batch)

    def _first(self, recording: _Recording, step: Step, turn: Turn) -> tuple[Terms, Tensor]:
        """The first replay of a shape, after the same update made anew and undone. Raises :class:`BenchError`."""
        assert self._noise is not None
        tensors = self.tensors()
        before = [tensor.clone() for tensor in tensors]
        anew = numbers(*self.make(step, turn))
        with torch.no_grad():
            for tensor, value in zip(tensors, before, strict=True):
                tensor.copy_(value)
        self._noise.begin_as(self._noise)
        terms, norm = recording(step.batch)
        narrow = self.dtype != torch.float32
        found = furthest(anew, numbers(terms, norm), narrow=narrow, nan_agrees=True)
        if not found.agrees:
            texts, words = len(step.batch.lengths), len(step.batch.words)
            shape = f"{texts} texts of up to {words} words, {len(step.batch.places)} places of targets"
            raise BenchError(
                f"a replayed update differs from the same one made anew in the {found}",
                where=f"the first replay of a batch of {shape}, on {self.device}",
                remedy="set BENCH_GRAPHS=0 and run the same command again: it goes on from the last checkpoint, "
                "each update made anew",
            )
        return terms, norm

    @property
    def recordings(self) -> int:
        """How many recordings are held, with their memory."""
        return len(self._recordings)

    def _record(self, shape: tuple[object, ...], step: Step, turn: Turn) -> _Recording | None:
        """A recording of this update, which is not made by that; None if it failed."""
        batch = step.batch.copy()
        assert self._noise is not None
        try:
            (terms, norm), replay, self._pool = record(
                lambda: self.make(replace(step, batch=batch), turn), self._noise.generators, self._pool
            )
        except RuntimeError as error:
            first = cause(error)
            if out_of_memory(first):
                raise first from None
            self.works, self._noise = False, None
            self.forget()
            self.fell_back = next(iter(str(first).splitlines()), type(first).__name__)
            self._say(f"goes on without CUDA graphs: {self.fell_back}")
            return None
        self._recordings[shape] = recording = _Recording(batch, terms, norm, replay)
        return recording


@dataclass(frozen=True)
class _Recording:
    """What one recording reads, what it leaves, and how it is run again."""

    batch: Batch
    terms: Terms
    norm: Tensor
    replay: Callable[[], None]

    def __call__(self, batch: Batch) -> tuple[Terms, Tensor]:
        self.batch.copy_(batch)
        self.replay()
        return self.terms, self.norm


def record(
    function: Callable[[], Result], generators: Iterable[torch.Generator], pool: Any
) -> tuple[Result, Callable[[], None], Any]:
    """What ``function`` returns, how to run it again, and the memory that it shares with others of its ``pool``.

    Its kernels are recorded, not run. A replay begins where the ``generators`` then stand. Raises RuntimeError if
    the function does what cannot be recorded, such as to read from the device, and on the default stream.
    """
    graph = torch.cuda.CUDAGraph()
    if REGISTERS_GENERATORS:
        for generator in generators:
            graph.register_generator_state(generator)
    with torch.cuda.graph(graph, pool=pool, stream=torch.cuda.current_stream()):
        result = function()
    return result, graph.replay, graph.pool()


def cause(error: BaseException) -> BaseException:
    """What went wrong first: the end of a failed recording is an error too, which hides it."""
    while error.__context__ is not None:
        error = error.__context__
    return error


def replayable(device: torch.device) -> bool:
    """Whether updates on this device are recorded; ``BENCH_GRAPHS=0`` says no."""
    return device.type in DEVICES and environment.graphs()


def recordable(model: TextModel, objective: Objective, procedure: object) -> bool:
    """Whether no part of a step reads from its device; those that do say so by an attribute ``reads_device``."""
    return not any(getattr(part, "reads_device", False) for part in parts_of(model, objective, procedure))
