"""All that was measured of a run: the records of its measures together, read from its folder and written to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas

from bench.base.files import read_json, write_json, write_with
from bench.metrics.record import Record
from bench.store.shown import Shown, read_shown

INDEX = ("index", "words")  # columns that belong to no measure


@dataclass
class Results:
    """The content of a run's measurement files; ``measures`` says of each measure what it made."""

    measures: dict[str, dict[str, Any]] = field(default_factory=dict)
    measurements: list[dict[str, Any]] = field(default_factory=list)
    columns: dict[str, Any] = field(default_factory=dict)
    shown: list[Shown] = field(default_factory=list)
    histograms: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path, content: Mapping[str, Any]) -> Results:
        """The results in a run's folder; ``content`` is that of ``measurements.json``."""
        table = pandas.read_parquet(folder / "sentences.parquet")
        return cls(
            dict(content["measures"]),
            list(content["measurements"]),
            {str(name): table[name].to_numpy() for name in table.columns},
            read_shown(read_json(folder / "texts.json")),
            {k: v for k, v in read_json(folder / "histograms.json").items() if v is not None},
        )

    @classmethod
    def empty(cls, words: np.ndarray) -> Results:
        """No results of texts of so many words (texts,)."""
        return cls(columns={"index": np.arange(len(words)), "words": words})

    def drop(self, names: Iterable[str]) -> None:
        """Remove what some measures made."""
        for name in names:
            made = self.measures.pop(name, {})
            self.measurements = [one for one in self.measurements if one.get("measure") != name]
            self.shown = [one for one in self.shown if one.kind not in made.get("texts", ())]
            for column in made.get("columns", ()):
                self.columns.pop(column, None)
            for histogram in made.get("histograms", ()):
                self.histograms.pop(histogram, None)

    def add(self, record: Record, made: Mapping[str, Any]) -> None:
        """Take over what a measure made; ``made`` is what is to be known of how."""
        self.measurements += record.measurements
        self.columns |= {name: _narrow(values) for name, values in record.columns.items()}
        self.shown += record.shown
        self.histograms |= record.histograms
        self.measures[record.measure.name] = {
            **made,
            "columns": list(record.columns),
            "texts": [one.kind for one in record.shown],
            "histograms": list(record.histograms),
        }

    def sort(self, order: Iterable[str]) -> None:
        """Bring everything into the order of the measures: the same, whichever was measured first."""
        known = {name: place for place, name in enumerate(order)}

        def place(name: Any) -> int:
            return known.get(name, len(known))

        self.measures = dict(sorted(self.measures.items(), key=lambda item: place(item[0])))
        self.measurements.sort(key=lambda one: place(one.get("measure")))
        made = list(self.measures.values())
        kinds = [kind for one in made for kind in one.get("texts", ())]
        self.shown.sort(key=lambda one: kinds.index(one.kind) if one.kind in kinds else len(kinds))
        owned = [column for one in made for column in one.get("columns", ())]
        free = [column for column in self.columns if column not in owned]
        self.columns = {name: self.columns[name] for name in (*free, *owned)}
        drawn = [name for one in made for name in one.get("histograms", ())]
        self.histograms = dict(
            sorted(self.histograms.items(), key=lambda item: drawn.index(item[0]) if item[0] in drawn else -1)
        )

    def write(self, folder: Path) -> None:
        """Write all files but ``measurements.json``."""
        write_with(folder / "sentences.parquet", pandas.DataFrame(self.columns).to_parquet)
        write_json(folder / "texts.json", [one.model_dump() for one in self.shown])
        write_json(folder / "histograms.json", {"sigma": None, "units": None} | self.histograms)


def _narrow(values: np.ndarray) -> np.ndarray:
    """Values in single precision where they are not counts."""
    return values.astype(np.float32) if values.dtype == np.float64 else values
