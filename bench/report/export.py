"""What stands beside each table: CSV and JSON with nothing rounded, LaTeX as papers print it, BibTeX."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import pandas

from bench.analysis.compare import Cell, Source
from bench.analysis.numbers import MINUS, PRIME
from bench.analysis.tables import TableView
from bench.base.files import write_json, write_text, write_with
from bench.catalog.papers import Paper

LISTS = ("seeds", "values", "failed_seeds", "files")
TEXTS = ("label", "setting", "reason", "note", "bias", "definition")
# How LaTeX writes what is no plain letter in a label or the name of a metric.
LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "β": r"$\beta$",
    "λ": r"$\lambda$",
    "∂": r"$\partial$",
    PRIME: "$'$",
    MINUS: "$-$",
}


def rows_of(cells: Iterable[Cell], base: Path) -> list[dict[str, Any]]:
    """Cells as rows of plain values; source files are named relative to ``base``."""
    return [asdict(cell) | {"files": [relative(Path(f), base) for f in cell.files]} for cell in cells]


def write_cells(cells: Iterable[Cell], path: Path, base: Path) -> None:
    """Write cells as CSV and, beside it, as JSON: lists as lists, what was not measured as null.

    In the CSV lists are joined by spaces, and a text that a spreadsheet would run as a formula is preceded by an
    apostrophe.
    """
    rows = rows_of(cells, base)
    frame = pandas.DataFrame(rows, columns=list(Cell.__dataclass_fields__), dtype=object)
    for column in LISTS:
        frame[column] = [" ".join(map(str, row[column])) for row in rows]
    for column in TEXTS:
        frame[column] = frame[column].map(harmless)
    write_with(path, lambda part: frame.to_csv(part, index=False))
    write_json(path.with_suffix(".json"), rows)


def write_rows(rows: Iterable[Mapping[str, Any]], path: Path, base: Path) -> None:
    """Write rows of plain values as CSV and, beside it, as JSON.

    In the CSV lists are joined by spaces and texts are harmless; files are named relative to ``base``.
    """

    def plain(value: Any) -> Any:
        if isinstance(value, Path):
            return relative(value, base)
        return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value

    def joined(value: Any) -> Any:
        if isinstance(value, list):
            return " ".join(map(str, value))
        return harmless(value) if isinstance(value, str) else value

    kept = [{key: plain(value) for key, value in row.items()} for row in rows]
    frame = pandas.DataFrame([{key: joined(value) for key, value in row.items()} for row in kept])
    write_with(path, lambda part: frame.to_csv(part, index=False))
    write_json(path.with_suffix(".json"), kept)


def relative(path: Path, base: Path) -> str:
    """``path`` below ``base``, else as it is."""
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else path.as_posix()


def harmless(text: str) -> str:
    """The same text, not a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def latex(text: str) -> str:
    """``text`` with everything escaped that LaTeX would run."""
    return "".join(LATEX.get(character, character) for character in text)


def latex_table(view: TableView, titles: Mapping[str, str]) -> str:
    """A table for the package booktabs: one column per corpus and metric, ours beside the printed number.

    Bold: in our columns the best number in the direction in which the metric is better, among runs of one source
    (origin and tier); in the printed ones what the paper set in bold. Where there are several sources, letters tell
    them apart. ``titles`` names the corpora.
    """
    each = 2 if view.printed else 1
    marks = _marks(view)
    best = [_best(column) for column in zip(*(row.cells for row in view.rows), strict=True)]
    lines = [
        f"% {sources_of(view.cells)}",
        r"\begin{tabular}{l" + "r" * each * len(view.columns) + "}",
        r"\toprule",
    ]
    if view.printed:
        width = each * len(view.metrics)
        heads = [rf"\multicolumn{{{width}}}{{c}}{{{latex(titles[corpus])}}}" for corpus in view.corpora]
        lines.append(" & ".join(["", *heads]) + r" \\")
        ends = [(2 + width * i, 1 + width * (i + 1)) for i in range(len(view.corpora))]
        lines.append(" ".join(rf"\cmidrule(lr){{{first}-{last}}}" for first, last in ends))
    names = [latex(column.name) for column in view.columns]
    pairs = [rf"\multicolumn{{2}}{{c}}{{{name}}}" for name in names] if view.printed else names
    lines.append(" & ".join(["System", *pairs]) + r" \\")
    if view.printed:
        lines.append(" & ".join(["", *(["ours", "printed"] * len(names))]) + r" \\")
    lines.append(r"\midrule")
    for row in view.rows:
        label = f"{row.label} ({row.setting})" if row.setting else row.label
        cells = [latex(label)]
        for sources, winners in zip(row.cells, best, strict=True):
            cell, source = sources[0], _source(sources[0])
            mark = f"$^{{{marks[source]}}}$" if len(marks) > 1 and source else ""
            cells.append(_latex_number(cell.measured, cell.decimals, _is_best(cell, winners)) + mark)
            if view.printed:
                cells.append(_latex_number(cell.reported, cell.decimals, bool(cell.bold)))
        lines.append(" & ".join(cells) + r" \\")
    lines.append(r"\bottomrule")
    if len(marks) > 1:
        told = "; ".join(f"$^{{{mark}}}$ {_source_name(source)}" for source, mark in marks.items())
        lines.append(rf"\multicolumn{{{1 + each * len(view.columns)}}}{{l}}{{\footnotesize {told}}} \\")
    return "\n".join([*lines, r"\end{tabular}", ""])


def _source(cell: Cell) -> Source | None:
    return (cell.origin, cell.tier) if cell.measured is not None else None


def _source_name(source: Source) -> str:
    return f"{'published' if source[0] == 'published' else 'own'} runs, tier {source[1]}"


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
    """The best of our numbers of each source in a column; none where neither direction is better."""
    values: dict[Source | None, list[float]] = {}
    for cell in (sources[0] for sources in column):
        if cell.measured is not None and cell.better:
            values.setdefault(_source(cell), []).append(cell.measured)
    better = next((sources[0].better for sources in column if sources[0].better), None)
    return {source: min(found) if better == "lower" else max(found) for source, found in values.items()}


def _is_best(cell: Cell, best: Mapping[Source | None, float]) -> bool:
    """Whether the number, as it is printed, is the best one of its column and source."""
    winner = best.get(_source(cell))
    if winner is None or cell.measured is None:
        return False
    return round(cell.measured, cell.decimals) == round(winner, cell.decimals)


def _latex_number(value: float | None, decimals: int, bold: bool) -> str:
    if value is None:
        return "--"
    text = f"{value:.{decimals}f}".replace("-", "$-$")
    return rf"\textbf{{{text}}}" if bold else text


def bibtex(name: str, paper: Paper) -> str:
    """A paper as a BibTeX entry, from its declaration."""
    fields = {
        "title": f"{{{paper.title}}}",
        **({"author": " and ".join(_authors(paper))} if _authors(paper) else {}),
        "year": str(paper.year),
        **{key: value for key, value in paper.citation.items() if key != "type"},
    }
    kind = paper.citation.get("type", "misc")
    if kind == "misc":
        fields.setdefault("note", paper.venue)
    first = re.sub(r"\W", "", next((one.split()[-1].lower() for one in _authors(paper)), ""))
    lines = [f"  {key} = {{{value}}}," for key, value in fields.items()]
    return "\n".join([f"@{kind}{{{first}{paper.year}{re.sub(r'[^a-z0-9]', '', name)},", *lines, "}", ""])


def _authors(paper: Paper) -> list[str]:
    return [name.strip() for name in paper.authors.split(",") if name.strip()]


def write_bibtex(papers: Mapping[str, Paper], path: Path) -> None:
    """Write the entries of all papers into one file."""
    write_text(path, "\n".join(bibtex(name, paper) for name, paper in papers.items()))
