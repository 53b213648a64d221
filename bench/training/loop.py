"""The training loop: one run from its settings to its best weights and its history.

Batches, noise and schedules are functions of the seed and the step, so a run that is killed goes on from its
last checkpoint and ends with the same parameters, bit for bit on the CPU.
"""

from __future__ import annotations

import contextlib
import functools
import math
import signal
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import numpy as np
import torch
from torch import Tensor

from bench.base import environment
from bench.base.device import give_back_memory, out_of_memory, product_type
from bench.base.errors import BenchError
from bench.base.files import write_json
from bench.base.seeds import derive_seed
from bench.base.settings import RunSettings
from bench.corpora.batches import Batch, Collator, batches_of_epoch, epoch_order
from bench.corpora.prepared import Prepared
from bench.models.noise import Noise
from bench.objectives.objective import TOTAL, looks_across
from bench.store.freshness import STATUS
from bench.training import state as saved
from bench.training.composition import compose
from bench.training.log import Log
from bench.training.optimiser import Stepper
from bench.training.passed import GRAPHS, NARROW, Checked, kept
from bench.training.plateau import Plateau
from bench.training.progress import Reporter
from bench.training.state import Progress
from bench.training.turns import inside
from bench.training.update import ReplayedUpdate, Step, Update, recordable, replayable
from bench.training.validation_split import ValidationSplit

NEWS = 2.0  # seconds between two words about how far a run is, for `bench status`


class OutOfMemory(Exception):
    """A step did not fit into memory. What it has left in the model and the optimiser is of no use."""


class Interrupted(BaseException):
    """The process was asked to stop; the state has been saved."""


class Trainer:
    """One run in progress. ``train()`` takes it to its last step, from wherever it stands."""

    def __init__(
        self,
        settings: RunSettings,
        corpus: Prepared,
        folder: Path,
        device: torch.device,
        *,
        without_recordings: str | None = None,
        checked: Checked | None = None,
    ) -> None:
        """``folder`` holds the resumable state; the caller holds its lock.

        ``without_recordings`` says why no update is recorded, where a device could; ``checked`` what it may be used
        for, by default what is kept of its self-check.
        """
        self.checked = kept(device) if checked is None else checked
        self.settings, self.folder, self.device = settings, folder, device
        self.checkpoint_seconds = environment.checkpoint_seconds()
        self.data_hash = corpus.data_hash
        self.identity = f"{settings.training_identity}/{self.data_hash}"
        self.composition = compose(settings, corpus).to(device)
        self.model, self.objective = self.composition.model, self.composition.objective
        self.procedure = self.composition.procedure
        self.stepper = Stepper(self.model, settings.optimiser, settings.groups, self.composition.auxiliary)
        self.plateau = Plateau()
        narrow = self.checked.allows(NARROW)
        self.dtype = product_type(device, settings.training.precision, narrow=narrow)
        self.reporter = Reporter(settings.name, settings.training.steps)
        self.update = self._update(without_recordings)
        self.texts = {
            "train": Collator(
                corpus.splits["train"],
                device,
                multiple=self.update.multiple,
                unended=settings.unended(corpus.decodes),
            ),
            "valid": Collator(corpus.splits["valid"], device),
        }
        self.validation = ValidationSplit(self.composition, settings, self.texts["valid"], self.dtype)
        self.best: dict[str, Tensor] = {}
        self.progress = Progress(
            started=datetime.now(UTC).isoformat(timespec="seconds"), processor_seconds=0.0
        )
        self._epoch: tuple[int, list[np.ndarray]] = (-1, [])
        self._stop: int | None = None
        self._resume()
        self.progress.attempts += 1
        self.log = Log(self.progress)
        self.weights: dict[str, float] = {}  # of the terms, at the last step

    def _update(self, without_recordings: str | None) -> Update:
        parts = self.model, self.objective, self.stepper, self.dtype
        could = replayable(self.device) and recordable(self.model, self.objective, self.procedure)
        without = without_recordings
        if could and without is None and not self.checked.allows(GRAPHS):
            without = "; ".join(self.checked.why(GRAPHS))
        if could and without is None:
            return ReplayedUpdate(*parts, say=self.reporter.say)
        update = Update(*parts)
        update.fell_back = without
        return update

    def _resume(self) -> None:
        try:
            checkpoint = saved.load(self.folder, self.identity)
        except saved.Damaged as error:
            self.reporter.say(f"starts again from its first step: {error}")
            (self.folder / saved.FILE).unlink()
            return
        if checkpoint is None:
            return
        self.composition.load_state_dict(checkpoint.tensors["model"])
        self.stepper.load(checkpoint.tensors.get("optimiser", {}))
        self.best = checkpoint.tensors.get("best", {})
        self.progress = checkpoint.progress
        self.procedure.state = self.progress.procedure
        self.objective.load(self.progress.weights)
        self.plateau = Plateau(**self.progress.plateau)
        self.stepper.decays = self.plateau.decays
        self.reporter.say(f"resumes after step {self.progress.step}")

    def save(self) -> None:
        """Write the resumable state. Raises :class:`Diverged` if there is none worth keeping."""
        self.log.settle()
        self.progress.procedure, self.progress.plateau = self.procedure.state, vars(self.plateau)
        self.progress.weights = self.objective.state
        tensors = {"model": self.composition.state_dict(), "best": self.best}
        tensors["optimiser"] = self.stepper.state()
        saved.save(self.folder, self.identity, tensors, self.progress)

    @property
    def begun(self) -> bool:
        """Whether the model has been changed since it was given its initial values."""
        return self.progress.prepared or self.progress.step > 0

    def prepare(self, initial: Mapping[str, Tensor]) -> None:
        """Let the procedure change the model before the first step, by the training texts; once in a run.

        Modules that another run has lent for this get their ``initial`` values back. What took long is saved.
        """
        began = time.monotonic()
        self.procedure.prepare(self.model, self.texts["train"])
        start = self.settings.starts_from
        if start is not None and start.lent:
            lent = {name: value for name, value in initial.items() if inside(name, start.modules)}
            self.model.load_state_dict(self.model.state_dict() | lent)
        self.progress.prepared = True
        if time.monotonic() - began > self.checkpoint_seconds:
            self.save()

    @property
    def done(self) -> bool:
        """Whether the last step has been made, or the rate has decayed for the last time."""
        last = self.progress.step >= self.settings.training.steps
        return last or self.plateau.decays >= self.settings.optimiser.most_decays

    def train(self) -> None:
        """Run to the last step.

        Raises :class:`Diverged`, :class:`OutOfMemory`, or :class:`Interrupted` after saving the state.
        """
        training = self.settings.training
        last_saved = told = time.monotonic()
        self._status("running")
        with self._stopping_on_signals():
            while not self.done:
                self.one_step(self.progress.step + 1)
                if self.progress.step % training.validate_every == 0 or self.progress.step == training.steps:
                    self._validate()
                if self._stop is not None:
                    self.save()
                    self._status("stopped")
                    self.reporter.say(
                        f"stopped by signal {self._stop} after step {self.progress.step}; saved"
                    )
                    raise Interrupted(self._stop)
                now = time.monotonic()
                if now - last_saved > self.checkpoint_seconds:
                    self.save()
                    last_saved = now = time.monotonic()
                if now - told > NEWS:
                    with contextlib.suppress(
                        BenchError
                    ):  # a full disk: it will be told where more is at stake
                        self._status("running")
                    told = now

    def one_step(self, step: int) -> None:
        """Train on the batch of ``step`` (1-based) and log it.

        The terms stay on the device until they are asked for, so that it need not be waited for at every step.
        Raises :class:`Diverged` at the end of a logging window in which a term became NaN or infinite, and
        :class:`OutOfMemory`.
        """
        self.weights = self.objective.weights_at(step, self.log.observed)
        began, worked = time.perf_counter(), time.process_time()
        self.log.begin()
        batch = self.batch(step)
        noise = Noise("noise", self.settings.corpus, self.settings.seed, step, device=self.device)
        self.composition.train()
        given = Step(step, batch, noise, self.weights, functools.partial(self._another, step), self.parts)
        try:
            terms, norm = self.procedure(self.update, given)
        except Exception as error:
            self.log.settle()  # a step that nothing has looked at yet may have diverged: that is the reason then
            if out_of_memory(error):
                raise OutOfMemory(f"out of memory at step {step}") from error
            raise
        self.log.note(step, batch.tokens, {**terms, "gradient_norm": norm})
        self.progress.step = step
        self.progress.spend(time.perf_counter() - began, time.process_time() - worked)
        training = self.settings.training
        self.reporter(step, lambda: f"loss {float(terms[TOTAL]):.1f}")
        if step % training.log_every == 0 or step == training.steps:
            self.log.settle()
            self._close_window()
            give_back_memory()

    @property
    def parts(self) -> int:
        """In how many parts each batch is taken."""
        return int(self.progress.accumulation["parts"]) if self.progress.accumulation else 1

    def smaller_parts(self) -> int:
        """In how many parts batches could be taken when memory does not hold these.

        Raises :class:`BenchError` where they cannot be made smaller.
        """
        training = self.settings.training
        why = "its batches are taken in parts of one text already" if self.parts >= training.batch else ""
        if across := looks_across(self.model, self.objective, self.procedure):
            why = f"its batches cannot be taken in parts, because {' and '.join(across)} looks at them whole"
        if why:
            raise BenchError(
                f"out of memory; {why}",
                where=self.settings.name,
                remedy="give it more memory or another device; a smaller training.batch would be another run",
            )
        return min(2 * self.parts, training.batch)

    def batch(self, step: int) -> Batch:
        """The batch of ``step``, a function of corpus, seed and step alone."""
        lengths, training = self.texts["train"].lengths, self.settings.training
        epoch, position = divmod(step - 1, self.batches)
        if self._epoch[0] != epoch:
            names = (self.settings.corpus, self.settings.seed, epoch)
            pool, equal, fixed = training.pool, training.equal_lengths, training.same_batches
            order = epoch_order(lengths, training.batch, *names, pool=pool, equal=equal, fixed=fixed)
            self._epoch = (epoch, order)
        batch = self.texts["train"](self._epoch[1][position])
        if training.word_dropout is None:
            return batch
        noise = Noise("word dropout", self.settings.corpus, self.settings.seed, step, device=self.device)
        return batch.without_words(training.word_dropout.share(step), noise.generator("words"))

    @functools.cached_property
    def batches(self) -> int:
        """The number of batches in an epoch."""
        training = self.settings.training
        return batches_of_epoch(self.texts["train"].lengths, training.batch, equal=training.equal_lengths)

    def _another(self, step: int, number: int) -> tuple[Batch, Noise]:
        """A further batch of ``step``, drawn uniformly with replacement from those of its epoch, with noise."""
        names = (self.settings.corpus, self.settings.seed, step, number)
        chosen = derive_seed("further batch", *names) % self.batches
        first = (step - 1) // self.batches * self.batches + 1  # of the epoch
        return self.batch(first + chosen), Noise("further noise", *names, device=self.device)

    def _close_window(self) -> None:
        """Add the means of the window, if it holds a step, to the history."""
        known = {"learning_rate": self.stepper.rate(self.progress.step), **self._changing_weights()}
        self.log.close(known, self.batches)

    def _changing_weights(self) -> dict[str, float]:
        """The weights of the last step that differ from step to step, as they are logged."""
        return {f"{name}_weight": self.weights[name] for name in self.objective.changing}

    def _validate(self) -> None:
        """Measure the validation split; keep the weights if they are the best so far, or the last are asked for."""
        self.log.settle()
        began = time.perf_counter()
        give_back_memory()
        step = self.progress.step
        row, criterion = self.validation.losses()
        value = row[criterion]
        if not math.isfinite(value):
            raise self.log.diverged(f"validation {criterion}", value, step)
        last = self.settings.training.keep == "last"
        best = last or self.progress.best is None or value < self.progress.best["value"]
        if best:
            self.progress.best = {"step": step, "criterion": f"validation {criterion}", "value": value}
            self.best = saved.clone(self.composition.state_dict())
        row |= self.validation.gradients()
        self.procedure.validated(self._information)
        give_back_memory()
        self.progress.validation_seconds += time.perf_counter() - began
        seconds = self.progress.seconds + self.progress.validation_seconds
        found = {"step": step, "seconds": seconds, **self._changing_weights(), "best": best, **row}
        self.progress.validations.append(found)
        self.reporter.say(f"step {step}: validation {criterion} {value:.3f}{' (best)' if best else ''}")
        self._decay_on_plateau(value)

    def _information(self, block: int) -> float:
        """The mutual information on the validation split, for a procedure that asks."""
        return self.validation.information(block)

    def _decay_on_plateau(self, value: float) -> None:
        """Where the rate decays on plateaus of the criterion and this is one: take the best weights back."""
        optimiser = self.settings.optimiser
        if optimiser.decay == "steps":
            return
        allowed = self.progress.step > optimiser.decay_after
        onwards = optimiser.decay == "from-plateau"
        if not self.plateau.decays_at(value, optimiser.patience, allowed=allowed, onwards=onwards):
            return
        self._close_window()  # of the steps before, which had another rate
        self.stepper.decays = self.plateau.decays
        if onwards:
            return
        self.composition.load_state_dict(self.best)
        self.stepper.load({})  # what it remembers are gradients of other weights
        self.update.forget()
        self.reporter.say(f"decay {self.plateau.decays}: the best weights are taken back")

    def _status(self, state: str) -> None:
        """Say in a small file how far the run is, for those who watch."""
        done = {"name": self.settings.name, "state": state, "step": self.progress.step}
        done |= {"data_hash": self.data_hash}
        seconds = self.progress.seconds + self.progress.validation_seconds
        more = {"steps": self.settings.training.steps, "seconds": seconds, "reason": None}
        write_json(self.folder / STATUS, done | more)

    @contextlib.contextmanager
    def _stopping_on_signals(self) -> Iterator[None]:
        """Note SIGTERM and SIGINT, to be obeyed after the step in progress."""

        def note(number: int, _: FrameType | None) -> None:
            self._stop = number

        before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
