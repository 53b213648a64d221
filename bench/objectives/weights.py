"""Weights of terms, as functions of the step (1-based) and of what the steps before have given."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field

from bench.base.registry import part
from bench.objectives.contracts import Observed


class Stateless:
    """Base of weights that are functions of the step alone."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}


@part("weight", "constant")
class Constant(Stateless):
    """The same weight at every step."""

    fixed = True

    def __init__(self, *, value: Annotated[float, Field(ge=0)] = 1.0) -> None:
        super().__init__()
        self.value = value

    def __call__(self, step: int, observed: Observed) -> float:
        """The weight at ``step``."""
        return self.value


@part("weight", "linear")
class Linear(Stateless):
    """A ramp from ``floor`` that rises by 1/``length`` a step after ``start`` and ends at ``ceiling``."""

    def __init__(
        self,
        *,
        start: Annotated[int, Field(ge=0)],
        length: Annotated[int, Field(ge=1)],
        ceiling: Annotated[float, Field(ge=0)] = 1.0,
        floor: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    ) -> None:
        super().__init__()
        self.start, self.length, self.ceiling, self.floor = start, length, ceiling, floor

    def __call__(self, step: int, observed: Observed) -> float:
        """The weight at ``step``."""
        return min(self.floor + max((step - self.start) / self.length, 0.0), self.ceiling)


@part("weight", "falling")
class Falling(Stateless):
    """A weight that is ``first`` until ``start``, then falls by 1/``length`` a step until it has fallen by ``depth``.

    So it is ``first`` minus the weight of a linear ramp up to ``depth``: lambda = 10 - alpha of Wang & Wang 2019 (5.2).
    """

    def __init__(
        self,
        *,
        first: Annotated[float, Field(ge=0)],
        start: Annotated[int, Field(ge=0)],
        length: Annotated[int, Field(ge=1)],
        depth: Annotated[float, Field(ge=0)] = 1.0,
    ) -> None:
        super().__init__()
        self.first, self.start, self.length, self.depth = first, start, length, depth

    def __call__(self, step: int, observed: Observed) -> float:
        """The weight at ``step``, never below 0."""
        return max(self.first - min(max((step - self.start) / self.length, 0.0), self.depth), 0.0)


@part("weight", "sigmoid")
class Sigmoid(Stateless):
    """A logistic curve over the ``length`` steps after ``start``, then the ceiling (Bowman et al. 2016).

    With N the length, the weight is the ceiling times 1/(1 + exp(-(t - N/2)/(N/10))) at the t-th of these steps, as
    in the code of ControlVAE: 0.007 of the ceiling before the first, 0.993 at the last.
    """

    def __init__(
        self,
        *,
        start: Annotated[int, Field(ge=0)] = 0,
        length: Annotated[int, Field(ge=1)],
        ceiling: Annotated[float, Field(ge=0)] = 1.0,
    ) -> None:
        super().__init__()
        self.start, self.length, self.ceiling = start, length, ceiling

    def __call__(self, step: int, observed: Observed) -> float:
        """The weight at ``step``."""
        share = max(step - self.start, 0) / self.length
        return self.ceiling * (_logistic(10 * share - 5) if share <= 1 else 1.0)


@part("weight", "cyclical")
class Cyclical(Stateless):
    """Cycles of a linear ramp from the floor and a plateau, then the ceiling (Fu et al. 2019).

    They divide the steps from ``start`` to ``start + length``, as in Wu et al. 2020; before them the weight is
    the ``floor``. With tau = ((step - start) mod P) / P in a cycle of P = length/cycles steps, the weight is floor +
    (ceiling - floor) min(tau/ratio, 1): the floor at the first step of each cycle, the ceiling from tau = ratio on.
    As in the released code the last step, ``start + length``, still counts: tau falls to 0 there and the weight to
    the floor, for this one step, and the weight is the ceiling from the step after.
    """

    def __init__(
        self,
        *,
        start: Annotated[int, Field(ge=0)],
        length: Annotated[int, Field(ge=1)],
        cycles: Annotated[int, Field(ge=1)] = 4,
        ratio: Annotated[float, Field(gt=0, le=1)] = 0.5,
        ceiling: Annotated[float, Field(ge=0)] = 1.0,
        floor: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    ) -> None:
        super().__init__()
        self.start, self.length, self.cycles = start, length, cycles
        self.ratio, self.ceiling, self.floor = ratio, ceiling, floor

    def __call__(self, step: int, observed: Observed) -> float:
        """The weight at ``step``."""
        since = step - self.start
        if since < 0:
            return self.floor
        if since > self.length:
            return self.ceiling
        tau = since * self.cycles % self.length / self.length  # in whole numbers up to here: P may be none
        return self.floor + (self.ceiling - self.floor) * min(tau / self.ratio, 1.0)


@part("weight", "tanh")
class Tanh(Stateless):
    """A tanh ramp from near 0 to near 1 that ends at the step ``stop`` (Bahuleyan et al. 2019, released code).

    Step n uses the value after the step n - 1, at most ``stop``: (tanh(9 (s - 1/2)) + 1)/2 with s its share of the
    ``length``; the first step uses 0. With a length of 9,000 this is sigmoid((n - 1 - 4500)/500).
    """

    def __init__(self, *, length: Annotated[int, Field(ge=1)], stop: Annotated[int, Field(ge=1)]) -> None:
        super().__init__()
        self.length, self.stop = length, stop

    def __call__(self, step: int, observed: Observed) -> float:
        """The weight at ``step``."""
        return _tanh(min(step - 1, self.stop) / self.length) if step > 1 else 0.0


@part("weight", "peak-stopped")
class PeakStopped:
    """A ramp that stops where the weighted term has its peak (Bahuleyan et al. 2019, section 3).

    The weight rises from 0 to 1 in the ``length`` steps after ``start``: by 1/``length`` a step, or as
    (tanh(9 (s - 1/2)) + 1)/2 of the share s of the ramp, which is the released code's curve for a length of 9,000.
    The product of ``term`` and its weight is averaged over about ``smooth`` steps (an exponential mean). Once that
    mean has not exceeded its highest value for ``patience`` steps, the weight is for good the one at which it was
    highest. The released code stops at a fixed step that was chosen by eye.
    """

    def __init__(
        self,
        *,
        start: Annotated[int, Field(ge=0)] = 0,
        length: Annotated[int, Field(ge=1)],
        shape: Literal["tanh", "linear"] = "tanh",
        term: str = "kl",
        smooth: Annotated[int, Field(ge=1)] = 50,
        patience: Annotated[int, Field(ge=1)] = 200,
    ) -> None:
        self.start, self.length, self.shape, self.term = start, length, shape, term
        self.smooth, self.patience = smooth, patience
        # The mean of the weighted term and its highest value; the weights of the last step and at the peak; steps
        # since the peak; whether the ramp has ended there.
        numbers: dict[str, Any] = {"mean": 0.0, "highest": 0.0, "last": 0.0, "peak": 0.0}
        self.state = {**numbers, "since": 0, "stopped": False}

    def __call__(self, step: int, observed: Observed) -> float:
        """The weight at ``step``; as long as it rises, the term of the step before is asked for."""
        if not self.state["stopped"]:
            value = observed().get(self.term)
            if value is not None:
                self._look(value)
        self.state["last"] = self.state["peak"] if self.state["stopped"] else self._ramp(step)
        weight: float = self.state["last"]
        return weight

    def _look(self, value: float) -> None:
        """Take note of the term's ``value`` at the step before, whose weight is the last one."""
        state = self.state
        state["mean"] += (state["last"] * value - state["mean"]) / self.smooth
        if state["mean"] > state["highest"]:
            state.update(highest=state["mean"], peak=state["last"], since=0)
            return
        state["since"] += 1
        # Before the ramp nothing has a peak.
        state["stopped"] = state["highest"] > 0 and state["since"] >= self.patience

    def _ramp(self, step: int) -> float:
        share = min(max((step - self.start) / self.length, 0.0), 1.0)
        return share if self.shape == "linear" else _tanh(share)


def _tanh(share: float) -> float:
    """Half a tanh, from near 0 at a share of 0 to near 1 at a share of 1."""
    return (math.tanh(9 * (share - 0.5)) + 1) / 2


@part("weight", "pi-controlled")
class PIControlled:
    """A weight that is steered so that a term, the KL, comes to a ``target`` (ControlVAE, algorithm 1).

    With the error e = target - term of the step before, P = kp/(1 + exp(e)) and I = I - ki e, the weight is
    P + I + ``least``, cut off at ``least`` and ``most``; it is ``least`` at the first step, and I begins with 0. That
    I stays as it is while the weight is at a limit (anti-windup) is meant by all of the sources, which test it
    differently. ``form``:

    - ``printed``: whether the weight before was between the limits, after it was cut off. It always was, so I never
      stays;
    - ``language-model``, as in the code for the Penn Treebank: whether what was there before the cut was below
      ``least`` and at once above ``most``. It never is, so I never stays either;
    - ``dialogue``, as in the code for dialogues but for the KL, which is there that of the same step: whether what
      was there before the cut was outside of the limits.

    The first two give the same weights. In the third I stays for good once it is below -kp, because P is at most kp:
    a target of kp/ki nats and more does so at the first step at which the KL is 0.
    """

    def __init__(
        self,
        *,
        target: Annotated[float, Field(gt=0)],
        kp: Annotated[float, Field(ge=0)] = 0.01,
        ki: Annotated[float, Field(ge=0)] = 0.0001,
        least: Annotated[float, Field(ge=0)] = 0.0,
        most: Annotated[float, Field(gt=0)] = 1.0,
        form: Literal["printed", "language-model", "dialogue"] = "dialogue",
        term: str = "kl",
    ) -> None:
        self.target, self.kp, self.ki, self.term = target, kp, ki, term
        self.least, self.most, self.form = least, most, form
        # I, and the weight of the last step before and after it was cut off.
        self.state: dict[str, Any] = {"integral": 0.0, "uncut": least, "weight": least}

    def __call__(self, step: int, observed: Observed) -> float:
        """The weight at ``step``; the term of the step before is asked for."""
        value = observed().get(self.term)
        if value is not None:
            self._follow(self.target - value)
        weight: float = self.state["weight"]
        return weight

    def _follow(self, error: float) -> None:
        """The weight that follows from the ``error`` of the step before."""
        state = self.state
        if not self._stays():
            state["integral"] -= self.ki * error
        state["uncut"] = self.kp * _logistic(-error) + state["integral"] + self.least
        state["weight"] = min(max(state["uncut"], self.least), self.most)

    def _stays(self) -> bool:
        """Whether I stays as it is."""
        before: float = self.state["weight" if self.form == "printed" else "uncut"]
        below, above = before < self.least, before > self.most
        return below and above if self.form == "language-model" else below or above


def _logistic(x: float) -> float:
    """1/(1 + exp(-x)), which overflows for no x."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))
