"""When the learning rate decays on a plateau of the validation criterion.

Two rules: each plateau is one decay (He et al. 2019, released code), or the first plateau begins a decay at
every validation (Kim et al. 2018, released code).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Plateau:
    """What the rule remembers; lower values of the criterion are better.

    The reference is the last value that was not above it, or the one at which the rate decayed: not the best.
    """

    reference: float | None = None
    above: int = 0
    decays: int = 0

    def decays_at(self, value: float, patience: int, *, allowed: bool, onwards: bool = False) -> bool:
        """Take note of a validation's ``value``; whether the rate decays now.

        It decays at the ``patience``-th value in a row above the reference, or at the next one at which that
        is ``allowed``; ``onwards``, and then at every one.
        """
        if onwards and self.decays:
            self.decays += 1
            return True
        if self.reference is None or value <= self.reference:
            self.reference, self.above = value, 0
            return False
        self.above += 1
        if self.above < patience or not allowed:
            return False
        self.reference, self.above, self.decays = value, 0, self.decays + 1
        return True
