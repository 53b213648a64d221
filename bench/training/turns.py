"""Turns: the updates of which a training step is made."""

from __future__ import annotations

from dataclasses import dataclass


def inside(name: str, modules: tuple[str, ...]) -> bool:
    """Whether the parameter ``name`` is of one of these ``modules``, or is one of them."""
    return any(name == module or name.startswith(f"{module}.") for module in modules)


@dataclass(frozen=True)
class Turn:
    """One update of a step: which terms it minimises, and the parameters of which modules it moves.

    ``terms`` and ``moves`` are all where they are None; ``without`` and ``stays`` are left out of them. ``whole``: the
    gradients of the parameters that stay count in the norm by which the others are clipped.
    """

    terms: tuple[str, ...] | None = None
    without: tuple[str, ...] = ()
    moves: tuple[str, ...] | None = None
    stays: tuple[str, ...] = ()
    whole: bool = False

    def takes(self, term: str) -> bool:
        """Whether it minimises that term."""
        return (self.terms is None or term in self.terms) and term not in self.without

    def changes(self, parameter: str) -> bool:
        """Whether it moves the parameter of that name."""
        moves = self.moves is None or inside(parameter, self.moves)
        return moves and not inside(parameter, self.stays)


ALL = Turn()  # one update of everything, with all terms
