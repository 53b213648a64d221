"""A check of a device against the CPU: likelihoods, one update, and twenty steps made anew and replayed.

``python -m bench.training.self_check DEVICE`` makes it and prints what it found as JSON. It runs in a process of its
own, so that it leaves nothing on the device and a fault there ends no other work. It takes about a minute, most of it
starting processes.
"""

from __future__ import annotations

import contextlib
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.base.device import choose_device, named_device
from bench.base.errors import BenchError
from bench.base.locks import locked
from bench.base.settings import RunSettings
from bench.base.text_rules import TextRules
from bench.corpora.batches import Collator
from bench.corpora.entry import CorpusEntry, ReaderSpec
from bench.corpora.prepare import prepare
from bench.corpora.prepared import Prepared
from bench.estimators.likelihood import text_likelihoods
from bench.models.noise import Noise
from bench.objectives.objective import TOTAL
from bench.store.provenance import describe_device
from bench.training.agreement import Mismatch, difference, furthest, numbers
from bench.training.composition import compose
from bench.training.optimiser import Stepper
from bench.training.passed import (
    GRAPHS,
    ITSELF,
    NARROW,
    WORKERS,
    Agreement,
    Checked,
    folder,
    from_content,
    is_checked,
    keep,
    kept,
)
from bench.training.update import ReplayedUpdate, Step, Update

LIKELIHOOD, NARROW_LIKELIHOOD = (
    1e-4,
    1e-3,
)  # relative: of each text, and of the mean where products are narrow
STEPS = 20
SPREAD, FLOOR, MOST_SPREAD = (
    10.0,
    1e-5,
    1e-2,
)  # times that of two eager runs; at least, and at most, of the loss
AT_ONCE = 2  # processes
SAMPLES, TEXTS, BATCH = 10, 64, 32
CORPUS = "generated-tiny"
SIZES = {"embedding": 96, "hidden": 128, "latent": 16}
_WEIGHT = {"kind": "linear", "start": 2, "length": 20}  # so that it differs from step to step

CPU = torch.device("cpu")
MODULE = "bench.training.self_check"  # also where it runs as __main__

Sizes = Mapping[str, int]


def systems(sizes: Sizes) -> dict[str, RunSettings]:
    """The models of the check: a coupled VAE with the project's own recurrence, and a VAE with the library's."""
    hidden, embedding = sizes["hidden"], sizes["embedding"]
    vae = {"reconstruction": {}, "kl": {"weight": _WEIGHT}}
    coupled = vae | {"matching": {"weight": 0.1, "distance": "rational-quadratic"}, "twin_reconstruction": {}}
    gru = {
        "encoder": {"kind": "gru", "hidden": hidden, "dropout": 0.2},
        "decoder": {"kind": "gru", "hidden": hidden, "projection": embedding, "dropout": 0.2},
        "signal": "mlp",
        "coupling": "twin",
        "objective": coupled,
    }
    lstm = {
        "encoder": {"kind": "lstm", "hidden": hidden, "dropout": 0.2},
        "decoder": {"kind": "lstm", "hidden": hidden, "dropout": 0.2},
        "signal": "identity",
        "coupling": "none",
        "objective": vae,
    }
    return {"GRU": _settings("gru", sizes, gru), "LSTM": _settings("lstm", sizes, lstm)}


def _settings(name: str, sizes: Sizes, parts: dict[str, Any]) -> RunSettings:
    return RunSettings.model_validate(
        {
            **{"tier": "check", "paper": "check", "corpus": CORPUS, "system": name, "seed": 0},
            **{"text": TextRules(), "embedding": sizes["embedding"], "latent": sizes["latent"]},
            **{"posterior": "gaussian", "prior": "standard-normal", "procedure": "standard"},
            **parts,
            "initial": {"weights": 0.2},  # so that words differ in probability, as in a trained model
            "optimiser": {"learning_rate": 0.003, "clip": 5.0, "decay_after": 4, "decay_every": 3},
            "training": {"steps": STEPS, "batch": BATCH, "precision": "float32"},
            "evaluation": {},
        }
    )


def small_corpus(where: Path) -> Prepared:
    """A corpus of generated sentences, prepared in that folder."""
    entry = CorpusEntry(
        name=CORPUS,
        title=CORPUS,
        files=(),
        reader=ReaderSpec.model_validate({"kind": "generated", "size": "tiny"}),
    )
    prepare(entry, {}, TextRules(), where)
    return Prepared.load(where)


class Side:
    """A model of the check on one device, with its initial values, and updates of it."""

    def __init__(
        self,
        settings: RunSettings,
        corpus: Prepared,
        device: torch.device,
        *,
        replayed: bool = False,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.settings, self.device = settings, device
        self.composition = compose(settings, corpus).to(device)
        self.model, self.objective = self.composition.model, self.composition.objective
        stepper = Stepper(self.model, settings.optimiser, settings.groups, self.composition.auxiliary)
        parts = (self.model, self.objective, stepper, dtype)
        self.update = ReplayedUpdate(*parts, say=lambda text: None) if replayed else Update(*parts)
        self.train = Collator(corpus.splits["train"], device, multiple=ReplayedUpdate.multiple)
        valid = corpus.splits["valid"]
        self.valid = Collator(valid.first(min(TEXTS, len(valid))), device)

    def likelihoods(self, dtype: torch.dtype = torch.float32) -> np.ndarray:
        """NLL of some texts (texts,), with noise that is the same on every device."""
        return text_likelihoods(self.model, self.valid, SAMPLES, "self-check", dtype=dtype)["nll"]

    def step(self, number: int, drawn_on: torch.device | None = None) -> dict[str, float]:
        """What one update gives, on one of two batches in turn: terms and gradient norm."""
        weights = self.objective.weights_at(number, dict)
        batch = self.train(np.arange(BATCH) + BATCH * (number % 2))
        noise = Noise("self-check", number, device=self.device, drawn_on=drawn_on)
        self.composition.train()
        given = Step(number, batch, noise, weights, lambda _: (batch, noise))
        return numbers(*self.update(given))

    def losses(self) -> list[float]:
        """The loss of each of twenty steps."""
        return [self.step(number)[TOTAL] for number in range(1, STEPS + 1)]


class Check:
    """The comparisons of one device with the CPU, and of its ways with one another."""

    def __init__(self, device: torch.device, corpus: Prepared, sizes: Sizes = SIZES) -> None:
        self.device, self.corpus, self.systems = device, corpus, systems(sizes)
        self._eager: dict[str, list[list[float]]] = {}

    def findings(self) -> Iterator[Agreement]:
        """Each comparison. Where the device differs in float32, nothing else is looked at."""
        wrong = False
        for name in self.systems:
            for finding in (self.likelihoods(name), self.one_update(name), self.eager(name)):
                wrong |= not finding.agrees
                yield finding
        if not wrong:
            for name in self.systems:
                yield from (self.narrow(name), self.narrow_update(name))
            yield self.at_once()
            yield from (
                self.replayed(name) for name in self.systems
            )  # last: a failed recording may end the device

    def side(
        self,
        name: str,
        device: torch.device | None = None,
        *,
        replayed: bool = False,
        dtype: torch.dtype = torch.float32,
    ) -> Side:
        """A model of the check, anew, on the device by default."""
        return Side(self.systems[name], self.corpus, device or self.device, replayed=replayed, dtype=dtype)

    def likelihoods(self, name: str) -> Agreement:
        """NLL of texts in float32, on the CPU and on the device."""
        expected, found = self.side(name, CPU).likelihoods(), self.side(name).likelihoods()
        pairs = zip(expected.tolist(), found.tolist(), strict=True)
        each = [difference(f"nll of text {i}", a, b, LIKELIHOOD) for i, (a, b) in enumerate(pairs)]
        return _finding(ITSELF, f"likelihoods in float32, {name}", max(each, key=lambda one: one.off))

    def narrow(self, name: str) -> Agreement:
        """The mean NLL with products in bfloat16 on the device, and in float32 on the CPU."""
        what = f"likelihoods with bfloat16 products, {name}"
        expected = self.side(name, CPU).likelihoods()
        try:
            found = self.side(name).likelihoods(torch.bfloat16)
        except RuntimeError as error:
            return Agreement(NARROW, what, False, _first_line(error))
        off = difference("mean nll", float(expected.mean()), float(found.mean()), NARROW_LIKELIHOOD)
        return _finding(NARROW, what, off)

    def one_update(self, name: str) -> Agreement:
        """Terms and gradient norm of one update with the same noise, on the CPU and on the device."""
        expected, found = self.side(name, CPU).step(STEPS, CPU), self.side(name).step(STEPS, CPU)
        return _finding(ITSELF, f"one update in float32, {name}", furthest(expected, found))

    def narrow_update(self, name: str) -> Agreement:
        """The same update with products in bfloat16 on the device, and in float32 on the CPU."""
        what = f"one update with bfloat16 products, {name}"
        expected = self.side(name, CPU).step(STEPS, CPU)
        try:
            found = self.side(name, dtype=torch.bfloat16).step(STEPS, CPU)
        except RuntimeError as error:
            return Agreement(NARROW, what, False, _first_line(error))
        return _finding(NARROW, what, furthest(expected, found, narrow=True))

    def eager(self, name: str) -> Agreement:
        """Twenty steps of updates made anew, twice: how far the device is from itself."""
        self._eager[name] = runs = [self.side(name).losses() for _ in range(2)]
        return _finding(ITSELF, f"{STEPS} steps twice, {name}", _losses(runs[0], runs[1], MOST_SPREAD))

    def replayed(self, name: str) -> Agreement:
        """Twenty steps with replayed updates, against those made anew."""
        what = f"{STEPS} steps with replayed updates, {name}"
        side = self.side(name, replayed=True)
        try:
            found = side.losses()
        except (BenchError, RuntimeError) as error:
            text = error.what if isinstance(error, BenchError) else _first_line(error)
            return Agreement(GRAPHS, what, False, text)
        if not side.update.replays:
            return Agreement(GRAPHS, what, False, f"nothing was recorded: {side.update.fell_back}")
        return _finding(GRAPHS, what, self._against_eager(name, found))

    def at_once(self) -> Agreement:
        """Twenty steps of two processes at once on this device, against those of one alone."""
        name = next(iter(self.systems))
        what = f"{STEPS} steps in {AT_ONCE} processes at once, {name}"
        try:
            runs = losses_at_once(self.device, self.corpus.folder, name)
        except BenchError as error:
            return Agreement(WORKERS, what, False, error.what)
        each = [self._against_eager(name, found) for found in runs]
        return _finding(WORKERS, what, max(each, key=lambda one: one.off))

    def _against_eager(self, name: str, found: list[float]) -> Mismatch:
        """Losses, allowed to be ten times as far from the first eager run as the second is."""
        first, second = self._eager[name]
        spread = _losses(first, second, MOST_SPREAD).off
        return _losses(first, found, min(max(SPREAD * spread, FLOOR), MOST_SPREAD))


def _losses(expected: list[float], found: list[float], allowed: float) -> Mismatch:
    """The step whose losses are furthest apart."""
    pairs = zip(expected, found, strict=True)
    each = [difference(f"loss of step {i}", a, b, allowed) for i, (a, b) in enumerate(pairs, 1)]
    return max(each, key=lambda one: one.off)


def _finding(decides: str, what: str, furthest: Mismatch) -> Agreement:
    agreed = f"agree within {furthest.off:.1e} ({furthest.allowed:.0e} is allowed)"
    return Agreement(decides, what, furthest.agrees, agreed if furthest.agrees else str(furthest))


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def losses_at_once(device: torch.device, corpus: Path, name: str) -> list[list[float]]:
    """The losses that two processes at once find, on a prepared corpus. Raises :class:`BenchError` if one fails."""
    command = [sys.executable, "-m", MODULE, str(device), str(corpus), name]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(AT_ONCE)
    ]
    done = [(*process.communicate(), process.returncode) for process in processes]
    for _, said, code in done:
        if code != 0:
            raise BenchError(f"one of {AT_ONCE} processes failed: {_last_line(said)}")
    return [json.loads(out) for out, _, _ in done]


def _last_line(text: str) -> str:
    return next(reversed(text.strip().splitlines()), "without a word")


def check(device: torch.device, corpus: Prepared | None = None, sizes: Sizes = SIZES) -> Checked:
    """Compare a device with the CPU, in this process; nothing is kept."""
    with tempfile.TemporaryDirectory() as where:
        made = Check(device, corpus or small_corpus(Path(where) / CORPUS), sizes)
        return Checked(describe_device(str(device)), tuple(made.findings()))


def check_apart(device: torch.device) -> Checked:
    """Compare a device with the CPU in a process of its own, and keep what passed."""
    done = subprocess.run([sys.executable, "-m", MODULE, str(device)], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise BenchError(
            f"the self-check of this device ended without a result (exit status {done.returncode})",
            where=device,
            remedy="what it said is above; use --device cpu meanwhile",
        )
    found = from_content(json.loads(done.stdout))
    keep(found)
    return found


def ensured(name: str) -> Checked:
    """What the named device may be used for; the self-check is made where none is kept.

    Raises :class:`BenchError` for a device that is not there, or that does not compute what the CPU does.
    """
    device = named_device(name)
    found = kept(device)
    if not is_checked(device) or found.findings:
        return found
    with _alone(device):
        found = kept(device)
        if not found.findings:
            print(f"{found.device}: a self-check, once, of about a minute", file=sys.stderr, flush=True)
            found = check_apart(device)
    return found.require()


@contextlib.contextmanager
def _alone(device: torch.device) -> Iterator[None]:
    """While the body runs, no other process of this user checks a device; where nothing can be locked, in vain."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(BenchError):
            stack.enter_context(locked(folder(), f"the self-check of {device}", wait=True))
        yield


def main(arguments: list[str]) -> None:
    """DEVICE: what the check found, as JSON; with the folder of a corpus and a model: losses of twenty steps."""
    device = choose_device(arguments[0])
    if len(arguments) == 1:
        print(json.dumps(check(device).content()))
    else:
        side = Side(systems(SIZES)[arguments[2]], Prepared.load(Path(arguments[1])), device)
        losses = side.losses()
        print(json.dumps(losses if all(map(math.isfinite, losses)) else [math.nan] * STEPS))


if __name__ == "__main__":
    main(sys.argv[1:])
