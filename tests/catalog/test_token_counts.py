"""The page of the survey: the printed numbers of tokens a text, from the printed numbers of the catalog."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.declared import CATALOG

PAGE = Path(__file__).parents[2] / "docs" / "papers" / "survey.md"
PAPERS = ("wae-rnf", "ivae", "apo-vae", "prefb", "flow-prior")


def counts(paper: str) -> Iterator[tuple[str, str, float]]:
    """Corpus, row, and -ELBO / ln PPL as printed; WAE-RNF's loss is called NLL, that of others may be in two parts."""
    rows: dict[tuple[str, str, str], dict[str, float]] = defaultdict(dict)
    for number in CATALOG.papers[paper].reported:
        row = " ".join(filter(None, (number.label, number.setting)))
        rows[number.table, number.corpus, row][number.metric] = number.value
    for (_, corpus, row), found in rows.items():
        loss = found.get("neg_elbo", found.get("nll"))
        if loss is None and {"recon", "kl"} <= found.keys():
            loss = found["recon"] + found["kl"]
        if "ppl" in found and loss is not None:
            yield corpus, row, loss / math.log(found["ppl"])


def test_the_page_has_every_row_with_its_printed_number_of_tokens() -> None:
    expected = [
        f"| {CATALOG.papers[paper].short} | {corpus} | {row} | {value:.2f} |"
        for paper in PAPERS
        for corpus, row, value in counts(paper)
    ]
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.count("|") == 5 and line[-3:-2].isdigit()] == expected
