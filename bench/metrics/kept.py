"""What stays of an earlier evaluation when only some of its measures are measured again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas

from bench.base.errors import BenchError
from bench.base.files import read_json
from bench.base.upgrade import measure_of


@dataclass(frozen=True)
class Kept:
    """Measurements that are current, and the files that an evaluation of the same weights wrote."""

    measurements: list[dict[str, Any]]
    table: pandas.DataFrame
    texts: dict[str, Any]
    histograms: dict[str, Any]

    @classmethod
    def load(cls, folder: Path, measured: Mapping[str, Any], asked: frozenset[str]) -> Kept | None:
        """What ``folder`` holds besides the measures that are ``asked`` for again; None if a file cannot be read."""
        try:
            return cls(
                [found for found in measured["measurements"] if measure_of(found) not in asked],
                pandas.read_parquet(folder / "sentences.parquet"),
                dict(read_json(folder / "texts.json")),
                dict(read_json(folder / "histograms.json")),
            )
        except (BenchError, OSError, ValueError, TypeError):
            return None

    def joined(self, frame: pandas.DataFrame) -> pandas.DataFrame:
        """The earlier table with the columns of ``frame``, but for those that a measurement that stays was made of."""
        own = {"index", "words", *(found["column"] for found in self.measurements)}
        new = [column for column in frame if column not in own or column not in self.table]
        return self.table.drop(columns=new, errors="ignore").join(frame[new])
