"""What is printed on terminals of any width and into a pipe."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from rich.console import Console

from bench.cli.console import print_grid, print_line, print_rows, stream_rows

LONG = "A text that is longer than a narrow terminal is wide, and so has to be broken into lines."

ROWS = [("first", "One [b]title[/b]", LONG), ("second", "", "Short\n and   broken.")]

NUMBERS = [["coupled-vae/generated-clear/coupled-beta-0.8-vae*", "2", "1,800", "3 min", "45 s", "41 s"]]

HEADER = ("run", "seeds", "steps", "train", "validate", "evaluate")


def printed(width: int, *, terminal: bool, numbers: bool = False) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)
    print_rows(console, NUMBERS if numbers else ROWS, HEADER if numbers else (), numbers=numbers)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [20, 80, 200])
def test_a_pipe_gets_a_line_for_each_row_whatever_the_width(width: int) -> None:
    assert printed(width, terminal=False) == f"first\tOne [b]title[/b]\t{LONG}\nsecond\t\tShort and broken.\n"
    assert (
        printed(width, terminal=False, numbers=True)
        == "\t".join(HEADER) + "\n" + "\t".join(NUMBERS[0]) + "\n"
    )


@pytest.mark.parametrize("width", [30, 60, 100, 140])
def test_a_terminal_is_not_exceeded_and_no_word_is_lost(width: int) -> None:
    text = printed(width, terminal=True)
    assert max(map(len, text.splitlines())) <= width
    if width < 90:
        assert text.splitlines()[0] == "first"
    words = set(" ".join(word for row in ROWS for word in row).split())
    assert words <= set(text.split())


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("width", [40, 120])
def test_no_text_moves_the_cursor(width: int, terminal: bool) -> None:
    console = Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)
    print_rows(console, [("a\x1b[2J", "failed", "no\rsuch \x07file")])
    print_grid(console, [("a\x1b[2J", "no\rsuch \x07file")])
    print_line(console, "a\x1b[2J", "no\rsuch \x07file")
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert text.count("a[2J") == text.count("no such file") == 3
    assert all(character.isprintable() for line in text.split("\n") for character in line.replace("\t", ""))


@pytest.mark.parametrize("width", [50, 80, 120])
def test_numbers_stay_whole(width: int) -> None:
    text = printed(width, terminal=True, numbers=True)
    assert max(map(len, text.splitlines())) <= width
    assert all(number in text for number in NUMBERS[0][1:])


@pytest.mark.parametrize("width", [50, 120])
def test_streamed_rows_come_one_by_one_and_keep_their_numbers_whole(width: int) -> None:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    assert isinstance(console.file, io.StringIO)
    seen: list[int] = []

    def rows() -> Iterator[list[str]]:
        for row in [NUMBERS[0], NUMBERS[0]]:
            seen.append(len(console.file.getvalue().splitlines()))  # type: ignore[attr-defined]
            yield row

    stream_rows(console, rows(), HEADER, len(NUMBERS[0][0]))
    lines = console.file.getvalue().splitlines()
    assert seen == [1, len(lines) // 2 + 1]
    assert all(number in console.file.getvalue() for number in NUMBERS[0])
