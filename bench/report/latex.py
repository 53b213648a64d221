"""A table of a report in LaTeX, for the package booktabs: set by pandas, which escapes what LaTeX would run."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from string import ascii_lowercase

import pandas

from bench.analysis.compare import NO_BOUND, Cell
from bench.analysis.numbers import DASH, MINUS, PRIME
from bench.analysis.tables import TableRow, TableView
from bench.store.records import Source

BOLD = "textbf: --rwrap;"
# Levels of the header that are not shown, by whether the table was printed.
HIDDEN = {True: [0, 2], False: [0, 1, 2, 4]}
# Letters that look like Latin ones have no command.
GREEK = (  # noqa: SIM905 - one name after the other is easier to read
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi "
    "omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega"
).split()
SIGNS = {
    "≥": "geq",
    "≤": "leq",
    "≠": "neq",
    "≈": "approx",
    "±": "pm",
    "\u00d7": "times",
    "∂": "partial",
    "‖": "Vert",
}
SIGNS |= {"→": "to", "↑": "uparrow", "↓": "downarrow", "∞": "infty", "·": "cdot"}


def _letter(name: str) -> str:
    size = "SMALL" if name.islower() else "CAPITAL"
    return unicodedata.lookup(f"GREEK {size} LETTER {name.upper().replace('LAMBDA', 'LAMDA')}")


# What pandas leaves as it is, but LaTeX does not print, or prints as another character.
SYMBOLS = str.maketrans(
    {_letter(name): rf"$\{name}$" for name in GREEK}
    | {sign: rf"$\{name}$" for sign, name in SIGNS.items()}
    | {"<": "$<$", ">": "$>$", "|": "$|$", PRIME: "$'$", MINUS: "$-$", DASH: "--"}
)


def symbols(text: object) -> str:
    """A text with commands for Greek letters and signs of mathematics."""
    return str(text).translate(SYMBOLS)


def latex_table(view: TableView, titles: Mapping[str, str]) -> str:
    """One column per corpus and metric, ours beside the printed number.

    Bold: in our columns the best number in the direction in which the metric is better, among runs of one source
    (origin and tier); in the printed ones what the paper set in bold. Where there are several sources, letters tell
    them apart. ``titles`` names the corpora.
    """
    marks = _marks(view)
    best = [_best(column) for column in zip(*(row.cells for row in view.rows), strict=True)]
    lines = [list(_line(row, best, marks, printed=view.printed)) for row in view.rows]
    frame = pandas.DataFrame([[text for text, _ in line] for line in lines], columns=_header(view, titles))
    bold = pandas.DataFrame([[BOLD * strong for _, strong in line] for line in lines], columns=frame.columns)
    styler = frame.style.hide(axis="index").hide(axis="columns", level=[*HIDDEN[view.printed]])
    styler.format_index(symbols, axis="columns", escape="latex")
    styler.format(symbols, subset=[frame.columns[0]], escape="latex")
    styler.apply(lambda _: bold, axis=None)
    layout = "l" + "r" * (len(frame.columns) - 1)
    table = styler.to_latex(hrules=True, column_format=layout, multicol_align="c")
    return f"% {sources_of(view.cells)}\n{_with_letters(table, marks, len(frame.columns))}"


def _header(view: TableView, titles: Mapping[str, str]) -> pandas.MultiIndex:
    """Corpus, its title, metric, its symbol, whose number; two of one title or symbol stay apart by their names."""
    whose = ("ours", "printed") if view.printed else ("",)
    first = ("", "", "", "", "System") if view.printed else ("", "", "", "System", "")
    columns = [(c.corpus, titles[c.corpus], c.metric, c.name, each) for c in view.columns for each in whose]
    return pandas.MultiIndex.from_tuples([first, *columns])


def _line(
    row: TableRow,
    best: Sequence[Mapping[Source | None, float]],
    marks: Mapping[Source, str],
    *,
    printed: bool,
) -> Iterator[tuple[str, bool]]:
    """The cells of a row: the label as it is, numbers in LaTeX; and whether each is bold."""
    yield f"{row.label} ({row.setting})" if row.setting else row.label, False
    for sources, winners in zip(row.cells, best, strict=True):
        cell, source = sources[0], _source(sources[0])
        mark = f"$^{{{marks[source]}}}$" if len(marks) > 1 and source else ""
        yield _number(cell.measured, cell.decimals) + mark, _is_best(cell, winners)
        if printed:
            yield _number(cell.reported, cell.decimals), cell.reported is not None and bool(cell.bold)


def _number(value: float | None, decimals: int) -> str:
    return "--" if value is None else f"{value:.{decimals}f}".replace("-", "$-$")


def _with_letters(table: str, marks: Mapping[Source, str], columns: int) -> str:
    """The table with a last line that says what the letters mean, where there are several."""
    if len(marks) < 2:
        return table
    told = "; ".join(f"$^{{{mark}}}$ {_source_name(source)}" for source, mark in marks.items())
    end = "\\end{tabular}\n"
    line = rf"\multicolumn{{{columns}}}{{l}}{{\footnotesize {told}}} \\"
    return f"{table.removesuffix(end)}{line}\n{end}"


def _source(cell: Cell) -> Source | None:
    return (cell.origin, cell.tier) if cell.measured is not None else None


def _source_name(source: Source) -> str:
    origin, tier = source
    return f"{origin} runs, tier {tier}" if origin != "external" else f"external, {tier}"


def _marks(view: TableView) -> dict[Source, str]:
    """A letter for each source of the numbers that the table shows."""
    found = dict.fromkeys(_source(sources[0]) for row in view.rows for sources in row.cells)
    return dict(zip((source for source in found if source), ascii_lowercase, strict=False))


def sources_of(cells: Iterable[Cell]) -> str:
    """Where the numbers of a table come from, on one line."""
    measured = [cell for cell in cells if cell.measured is not None]
    named = dict.fromkeys(_source_name((cell.origin, cell.tier)) for cell in measured)
    seeds = sorted({seed for cell in measured for seed in cell.seeds})
    if not named:
        return "nothing was measured"
    return f"ours: {'; '.join(named)}; seeds {', '.join(map(str, seeds))}; needs the package booktabs"


def _best(column: Sequence[Sequence[Cell]]) -> dict[Source | None, float]:
    """The best of our numbers of each source in a column; estimates that bound nothing are left out."""
    values: dict[Source | None, list[float]] = {}
    for cell in (sources[0] for sources in column):
        if cell.measured is not None and cell.better and cell.validity != NO_BOUND:
            values.setdefault(_source(cell), []).append(cell.measured)
    better = next((sources[0].better for sources in column if sources[0].better), None)
    return {source: min(found) if better == "lower" else max(found) for source, found in values.items()}


def _is_best(cell: Cell, best: Mapping[Source | None, float]) -> bool:
    """Whether the number, as it is printed, is the best one of its column and source."""
    winner = best.get(_source(cell))
    if winner is None or cell.measured is None or not cell.better or cell.validity == NO_BOUND:
        return False
    return round(cell.measured, cell.decimals) == round(winner, cell.decimals)
