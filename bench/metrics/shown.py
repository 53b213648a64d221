"""Texts that are shown of a run: reconstructions, and what lies between and around codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.metrics.definitions import TextKind
from bench.metrics.measures import measure
from bench.store.shown import Role, ShownColumn

if TYPE_CHECKING:
    from bench.metrics.context import Context
    from bench.metrics.record import Record

PAIRS, INNER = 3, 5  # interpolations that are shown, and the texts between their ends
DIMENSIONS = 4  # that are traversed


def _columns(role: Role, names: Sequence[str]) -> list[ShownColumn]:
    return [ShownColumn(name=name, role=role) for name in names]


@measure(
    "reconstructions",
    needs=("posterior",),
    shows=[
        TextKind(
            "reconstructions",
            "Reconstructions",
            "Decoded from the centre of the posterior, and from samples of it.",
            marked=True,
        )
    ],
)
def reconstructions(context: Context, record: Record) -> None:
    """Greedy texts of the centre and of some codes of each of some texts."""
    chosen = context.chosen(context.wanted.examples)
    centers = context.decoded(context.latent.center()[chosen], chosen)
    sampled = context.reconstructions()
    columns = [
        *_columns("key", ["index"]),
        *_columns("corpus", ["input"]),
        *_columns("decoded", ["centre", *(f"sample {i + 1}" for i in range(context.reconstructed))]),
    ]
    rows = [
        [i, " ".join(context.raw[i]), center, *map(context.text, sampled[i])]
        for i, center in zip(chosen, centers, strict=True)
    ]
    record.show("reconstructions", columns, rows)


@measure(
    "interpolations",
    needs=("posterior",),
    shows=[
        TextKind(
            "interpolations",
            "Interpolations",
            "Decoded between the centres of two sentences of the test split.",
            upright=True,
        )
    ],
)
def interpolations(context: Context, record: Record) -> None:
    """Greedy texts between the centres of two texts, for some pairs of texts."""
    chosen, raw = context.chosen(2 * PAIRS), context.raw
    steps = [f"{step / (INNER + 1):.2f}" for step in range(INNER + 2)]
    columns = [*_columns("corpus", ["from", "to"]), *_columns("decoded", steps)]
    rows = [
        [" ".join(raw[a]), " ".join(raw[b]), *context.interpolated(context.latent, a, b, INNER)]
        for a, b in zip(chosen[0::2], chosen[1::2], strict=False)
    ]
    record.show("interpolations", columns, rows)


@measure(
    "traversals",
    needs=("posterior",),
    shows=[
        TextKind(
            "traversals",
            "Traversals",
            "Decoded from the centre of one test text, moved along one latent dimension at a time, in standard "
            "deviations of the codes of all test texts: the dimensions in which the centres vary most.",
            upright=True,
        )
    ],
)
def traversals(context: Context, record: Record) -> None:
    """Greedy texts from the centre of one text, moved along the dimensions in which the centres vary most.

    A step is one standard deviation of the codes of all texts in that dimension, so that a traversal stays
    where the model has seen codes, whatever its prior.
    """
    import torch

    latent, (chosen,) = context.latent, context.chosen(1)
    center = latent.center()
    with torch.no_grad():
        spread = context.codes(latent, 1, "codes").squeeze(1).std(0)
    shifts = torch.arange(-2.0, 3.0, device=context.device)
    rows = []
    for unit in center.var(0).topk(min(DIMENSIONS, center.shape[1])).indices.tolist():
        shift = center.new_zeros(len(shifts), center.shape[1])
        shift[:, unit] = shifts * spread[unit]
        steps = context.decoded(context.model.space.move(center[chosen], shift), [chosen])
        rows.append([" ".join(context.raw[chosen]), unit, float(spread[unit]), *steps])
    columns = [
        *_columns("corpus", ["from"]),
        *_columns("key", ["dimension", "step"]),
        *_columns("decoded", [f"{shift:.0f}" for shift in shifts.tolist()]),
    ]
    record.show("traversals", columns, rows)
