"""Whether the order of two systems turns with the number of samples that their likelihoods are estimated from."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from bench.analysis.numbers import fixed

SIDES = {-1: "below zero", 1: "above zero"}


def turning(sides: Mapping[int, int]) -> str:
    """What the signs of a difference, each by its number of samples, say: where it turns, if it does.

    A sign is 1 or -1 where the interval lies above or below zero, else 0. It turns between two numbers next to each
    other among those that have a sign.
    """
    counts = sorted(sides, reverse=True)
    decided = [count for count in counts if sides[count]]
    if len(counts) < 2:
        return f"measured with one number of samples alone ({_numbers(counts)})" if counts else "not measured"
    turns = [f"{a} and {b}" for a, b in pairwise(decided) if sides[a] != sides[b]]
    open_ = [count for count in counts if not sides[count]]
    parts = [f"turns between {' samples and between '.join(turns)} samples"] if turns else []
    parts += ["the same at each number of samples"] if not turns and not open_ else []
    parts += [f"undecided with {_numbers(open_)}: intervals hold 0"] if open_ else []
    by_side = ((name, [c for c in decided if sides[c] == side]) for side, name in SIDES.items())
    told = [f"{name} with {_numbers(found)}" for name, found in by_side if found]
    return "; ".join(parts) + (f" ({', '.join(told)})" if told else "")


def printed_turning(changes: Mapping[str, tuple[float, int]]) -> str:
    """What printed differences, each with its decimals by the name of its quantity, say of the order."""
    if len(changes) < 2:
        return ""
    told = ", ".join(
        f"{name} {fixed(change, decimals, signed=True)}" for name, (change, decimals) in changes.items()
    )
    signs = {(change > 0) - (change < 0) for change, _ in changes.values()}
    return f" Printed: {told}: {'the same sign' if len(signs) == 1 else 'the sign turns'}."


def _numbers(counts: list[int]) -> str:
    return ", ".join(map(str, counts))
