"""Small tables of numbers: what an audit shows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GridCell:
    """A number, how it is shown, its interval, and whether it is impossible."""

    text: str
    number: float | None
    interval: str = ""
    marked: bool = False


@dataclass(frozen=True)
class Grid:
    """A small table: a caption, the head, rows of a label and cells, and what it comes to in one sentence."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, tuple[GridCell, ...]], ...]
    summary: str = ""
