"""The real positions of a batch as rows, so that nothing is computed at padding."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.models.second_order import second_order

ANSWERING = ("cpu",)  # kinds of device whose values can be looked at without a wait
WORTH = 0.85  # a recurrence over more real positions than this is faster over all of them


@dataclass(frozen=True)
class Packing:
    """Positions of a batch (time, batch), flattened, as rows: earlier times first, then longer texts.

    ``rows`` (n,) numbers the positions; ``order`` (batch,) the texts by falling length; ``sizes`` says how many
    texts have each time.
    """

    rows: Tensor
    order: Tensor
    sizes: list[int]
    positions: int

    @classmethod
    def of(cls, lengths: Tensor, time: int) -> Packing:
        """The packing of texts that have ``lengths`` (batch,) of ``time`` positions."""
        device = lengths.device
        order = torch.argsort(lengths, descending=True, stable=True)
        steps = torch.arange(time, device=device)[:, None]
        inside = steps < lengths[order]
        sizes = inside.sum(1)
        rows = (steps * len(order) + order)[inside]
        return cls(rows, order, sizes[sizes > 0].tolist(), time * len(order))

    @classmethod
    def for_steps(cls, lengths: Tensor, time: int) -> Packing:
        """The packing for a recurrence, which leaves padding out only where that is faster.

        That is in batches of mixed lengths on the CPU; plain operations cannot shrink.
        """
        known = lengths.device.type in ANSWERING and not second_order()
        if known and int(lengths.sum()) < WORTH * time * len(lengths):
            return cls.of(lengths, time)
        every = torch.arange(time * len(lengths), device=lengths.device)
        return cls(every, every[: len(lengths)], [len(lengths)] * time, len(every))

    @property
    def shape(self) -> tuple[int, int]:
        """Time and batch."""
        return self.positions // len(self.order), len(self.order)

    @property
    def texts(self) -> Tensor:
        """The text of each row (n,)."""
        return self.rows % len(self.order)

    @property
    def whole(self) -> bool:
        """Whether every position is a row: then the rows are in the order of the positions, which are not copied."""
        return len(self.rows) == self.positions

    def take(self, values: Tensor) -> Tensor:
        """The rows (n, features) of values (time, batch, features)."""
        flat = values.flatten(0, 1)
        return flat if self.whole else flat.index_select(0, self.rows)

    def repeat(self, values: Tensor) -> Tensor:
        """What each text has (batch, features), at each of its rows (n, features).

        Where kernels count it is not looked up: a sum over times is one kernel, and the same from call to call.
        """
        if self.whole and values.device.type not in ANSWERING:
            return values.expand(self.shape[0], *values.shape).flatten(0, 1)
        return values.index_select(0, self.texts)

    def put(self, rows: Tensor) -> Tensor:
        """Rows (n, features) as (time, batch, features), zero at padding."""
        flat = rows
        if not self.whole:
            flat = rows.new_zeros(self.positions, rows.shape[-1]).index_copy(0, self.rows, rows)
        return flat.view(-1, len(self.order), rows.shape[-1])

    def last(self, rows: Tensor, lengths: Tensor) -> Tensor:
        """The rows (batch, features) at the last position of each text."""
        at = (lengths - 1) * len(self.order) + torch.arange(len(lengths), device=lengths.device)
        return rows.index_select(0, self._numbers[at])

    def before(self, steps: int) -> Tensor:
        """The row that is ``steps`` positions before each row (n,), n where the text has none."""
        return self._numbers[(self.rows - steps * len(self.order)).clamp_min(-1)]

    @functools.cached_property
    def _numbers(self) -> Tensor:
        """The row of each position, and of one more before the first; n where there is none."""
        numbers = torch.full((self.positions + 1,), len(self.rows), device=self.rows.device)
        return numbers.index_copy(0, self.rows, torch.arange(len(self.rows), device=self.rows.device))
