"""``bench diff``: what two reports differ in, printed."""

from __future__ import annotations

import math
from pathlib import Path

from rich.console import Console

from bench.analysis.numbers import metric_name, significant
from bench.cli.console import print_line, print_rows
from bench.report.diff import Flip, Move, compare_reports


def show_diff(console: Console, before: Path, after: Path) -> None:
    """Print the comparison: tables on a terminal, lines with tabs in a pipe."""
    found = compare_reports(before, after)
    beyond = sorted((m for m in found.moves if m.beyond), key=_strength, reverse=True)
    if beyond:
        print_rows(
            console, map(_move_row, beyond), ("number", "before", "after", "change", "noise"), numbers=True
        )
    if found.flips:
        print_rows(console, map(_flip_row, found.flips), ("cell", "before", "after", "why"))
    for name, groups in (("only in the first", found.gone), ("only in the second", found.new)):
        systems = list(dict.fromkeys("/".join(group[:5]) for group in groups))
        if systems:
            print_rows(console, [(name, f"{len(groups)} numbers", " ".join(systems))])
    print_line(
        console,
        f"{found.shared} numbers in both: {len(found.moves)} changed, {len(beyond)} beyond noise; "
        f"{len(found.flips)} verdicts flipped; {len(found.gone)} numbers gone, {len(found.new)} new",
    )


def _strength(move: Move) -> float:
    size, _ = move.noise
    return abs(move.change) / size if size else math.inf


def _move_row(move: Move) -> tuple[str, ...]:
    size, kind = move.noise
    name = f"{'/'.join(move.group[:5])} {metric_name(move.group[5])} ({move.group[6]})"
    numbers = (significant(value, 5) for value in (move.before.value, move.after.value))
    sign = "+" if move.change > 0 else ""
    noise = f"{significant(size, 2)} ({kind})" if size is not None else kind
    return (name, *numbers, f"{sign}{significant(move.change, 3)}", noise)


def _flip_row(flip: Flip) -> tuple[str, str, str, str]:
    paper, table, _, label, setting, corpus, metric, origin, tier = flip.cell
    row = f"{label} ({setting})" if setting else label
    source = " ".join(part for part in (tier, "published" if origin == "published" else "") if part)
    return (
        f"{paper}/{table} {row}, {corpus}, {metric_name(metric)}" + (f" [{source}]" if source else ""),
        flip.before,
        flip.after,
        flip.reason,
    )
