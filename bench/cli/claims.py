"""``bench show claims``: the claims of papers, with verdict, effect and tier."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from bench.analysis.tables import CLAIM_SIGNS
from bench.catalog.catalog import Catalog
from bench.cli.console import VERDICT_STYLES, Row, print_grid
from bench.cli.results import load


def show_claims(console: Console, catalog: Catalog, results: Path, paper: str | None) -> None:
    """Print the claims of a paper, or of all: one row for each tier that tests it, the most expensive first."""
    papers = list(catalog.papers) if paper is None else [paper]
    for name in papers:
        catalog.paper(name)
    rows: list[Row] = []
    for name, claims in load(catalog, results, papers).claims.items():
        for judged in claims:
            of_claim = [(_claim_sign(r.word), r.effect, " ".join(r.source)) for r in judged.rulings]
            for verdict, found, source in of_claim or [(_claim_sign(judged.word), "", "")]:
                rows.append((judged.key if paper else f"{name}/{judged.key}", verdict, found, source))
    print_grid(console, rows, ("claim", "verdict", "effect [95 %]", "tier"))


def _claim_sign(word: Any) -> Text:
    sign, css = CLAIM_SIGNS[word]
    return Text(f"{sign} {word}", VERDICT_STYLES[css])
