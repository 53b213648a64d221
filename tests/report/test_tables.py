"""The tables as a reader sees them: a snapshot of one, and what its cells tell."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

VOID = ("br", "input", "meta", "link")

# Table 1 on the Penn Treebank: a row that was published, and one of which there is no run.
PRINTED = """\
VAE | 103.5 [102.1, 104.9] ? undecided | 103.6 -0.1 | 8.6 [7.2, 10.0] ? undecided | 8.6 0.0 | \
110.4 [109.0, 111.8] ? undecided | 112.9 -2.5
Coupled-VAE a | ○ not run | 103.1 | ○ not run | 9.5 | ○ not run | 110.5"""

# The same table on the generated corpus, of which the paper printed nothing.
OWN = """\
System | NLL ↓ nats | KL nats | PPL ↓ | NLL - entropy ↓ nats
The grammar itself exact: no model can do better | 90.00 |  | 42.10 | 0.00
VAE | 103.50 [102.10, 104.90] | 8.60 [7.20, 10.00] | 110.45 [109.05, 111.85] | 13.50 [12.10, 14.90]
Coupled-VAE | 103.00 [101.60, 104.40] | 8.60 [7.20, 10.00] | 107.97 [106.57, 109.37] | 13.00 [11.60, 14.40]"""


class Tables(HTMLParser):
    """The visible text of each table cell, by the id of the section that the table stands in."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.rows: dict[str, list[list[str]]] = {}
        self.section = ""
        self.open: list[tuple[str, bool]] = []
        self.cell: list[str] | None = None
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in VOID:
            return
        given = dict(attrs)
        if tag == "section":
            self.section = given.get("id") or ""
        if not self.hidden and tag == "tr":
            self.rows.setdefault(self.section, []).append([])
        if not self.hidden and tag in ("td", "th"):
            self.cell = []
        self.open.append((tag, "popover" in given))

    @property
    def hidden(self) -> bool:
        return any(hidden for _, hidden in self.open)

    def handle_endtag(self, tag: str) -> None:
        self.open.pop()
        if not self.hidden and tag in ("td", "th") and self.cell is not None:
            self.rows[self.section][-1].append(" ".join(" ".join(self.cell).split()))
            self.cell = None

    def handle_data(self, data: str) -> None:
        if self.cell is not None and not self.hidden:
            self.cell.append(data)


@pytest.fixture(scope="module")
def tables(index: Path) -> dict[str, list[list[str]]]:
    folder = index.parent / "papers" / "coupled-vae"
    names = ("table1", "demo-coupled-vae-generated-clear")
    return {name: rows for page in names for name, rows in Tables(folder / f"{page}.html").rows.items()}


def lines(rows: list[list[str]], columns: int) -> str:
    """The first cells of each row; a true minus sign as the one on a keyboard."""
    return "\n".join(" | ".join(row[:columns]) for row in rows).replace("\u2212", "-")


def test_ours_beside_the_print(tables: dict[str, list[list[str]]]) -> None:
    assert lines(tables["table1"][4:6], 7) == PRINTED


def test_a_corpus_that_the_paper_did_not_print(tables: dict[str, list[list[str]]]) -> None:
    assert lines(tables["demo-coupled-vae-generated-clear"][:4], 5) == OWN
