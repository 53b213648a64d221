"""Printing on a terminal and in a pipe: tables and lines."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from itertools import chain

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

NARROW = 90  # columns below which a row is stacked
NUMBER = 7  # columns of a number, at least
Rows = Iterable[Sequence[str]]
Row = Sequence[str | Text]
VERDICT_STYLES = {
    "reproduced": "green",
    "better": "cyan",
    "worse": "red",
    "different": "magenta",
    "undecided": "yellow",
    "incomparable": "blue",
    "failed": "bold red",
    "unmeasured": "dim",
    "notrun": "dim",
    "notprinted": "dim",
}


def terminal() -> Console:
    """Where the commands print: without any escape code when ``NO_COLOR`` is set."""
    return Console(color_system=None) if os.environ.get("NO_COLOR") else Console()


def print_rows(console: Console, rows: Rows, header: Sequence[str] = (), numbers: bool = False) -> None:
    """Print ``rows``; the first column is a name; with ``numbers``, all the others lean right."""
    rows = list(rows)
    if numbers:  # in a narrow table of numbers, the names give way
        columns = range(1, max(map(len, [*rows, header]), default=0))
        print_grid(console, rows, header, columns, whole=columns)
    elif console.is_terminal and console.width < NARROW:
        for name, *more in rows:
            console.print(Text(one_line(name), "bold"), highlight=False)
            for line in filter(None, map(one_line, more)):
                console.print(Padding(Text(line), (0, 0, 0, 2)), highlight=False)
    else:
        print_grid(console, rows, header)


def stream_rows(console: Console, rows: Rows, header: Sequence[str], longest: int) -> None:
    """Print rows as they come: a name, and numbers under their titles; ``longest`` is the length of a name.

    A name that leaves no room for its numbers has a line of its own.
    """
    wide = [max(len(title), NUMBER) for title in header[1:]]
    room = min(longest, max(console.width - sum(wide) - 2 * len(wide), 0))
    for name, *numbers in chain([header], rows):
        if not console.is_terminal:
            print_line(console, name, *numbers)
            continue
        cells = "".join(f"  {one_line(cell):>{width}}" for cell, width in zip(numbers, wide, strict=True))
        if len(one_line(name)) > room:
            console.print(Text(one_line(name)), highlight=False)
            name = ""
        console.print(Text(f"{one_line(name):<{room}}{cells}"), highlight=False)


def print_grid(
    console: Console,
    rows: Sequence[Row],
    header: Sequence[str] = (),
    numbers: Collection[int] = (),
    whole: Collection[int] = (0,),
    gap: int = 0,
) -> None:
    """Columns under their titles, ``gap`` lines between rows: of ``numbers`` leaning right, ``whole`` unbroken."""
    if not console.is_terminal:
        for row in [*([header] if header else []), *rows]:
            print_line(console, *(cell.plain if isinstance(cell, Text) else cell for cell in row))
        return
    grid = Table(box=None, show_header=bool(header), pad_edge=False, padding=(0, 2, gap, 0))
    for index in range(max(map(len, [*rows, header]), default=0)):
        title, right = header[index] if header else "", index in numbers
        grid.add_column(title, justify="right" if right else "left", no_wrap=index in whole, overflow="fold")
    for row in rows:
        grid.add_row(*(cell if isinstance(cell, Text) else Text(one_line(cell)) for cell in row))
    console.print(grid, highlight=False)


def print_line(console: Console, *parts: str) -> None:
    """Print ``parts`` on one line, between them blanks or, in a pipe, tabs."""
    if console.is_terminal:
        console.print(Text("  ".join(map(one_line, parts))), highlight=False, soft_wrap=True)
    else:
        print("\t".join(map(one_line, parts)), file=console.file, flush=True)


def one_line(text: str) -> str:
    """``text`` without line ends and control characters: a text of a corpus must not move the cursor."""
    return "".join(character for character in " ".join(text.split()) if character.isprintable())
