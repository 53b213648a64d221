"""What the pages of questions show, as plain values for their template."""

from __future__ import annotations

from typing import Any

from bench.analysis.questions import Answered, OfPaper, rows_of
from bench.report.context import Material
from bench.report.export import relative


def path_of(key: str) -> str:
    """The address of a question's page."""
    return f"questions/{key}.html"


def question(material: Material, found: Answered) -> dict[str, Any]:
    """The page of one question; ``csv`` holds the rows of its file."""
    groups = [group for part in found.papers for group in part.groups]
    return {
        "found": found,
        "commands": {part.asked.paper: _command(part) for part in found.papers},
        "evidence": [(f, relative(f, material.results)) for group in groups for f in group.files],
        "csv": {f"tables/question-{found.key}.csv": list(rows_of(found))},
    }


def _command(part: OfPaper) -> str:
    systems = ",".join(part.asked.systems)
    return f"snakemake --cores 4 --config tier=paper papers={part.asked.paper} systems={systems}"
