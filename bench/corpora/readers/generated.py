"""The generated corpora, whose entropy and whose information with their attributes are known exactly."""

from __future__ import annotations

from typing import Literal

from bench.corpora.raw import RawCorpus
from bench.corpora.readers import Files, Options, reader


class GeneratedOptions(Options):
    """Which of the generated corpora."""

    size: Literal["tiny", "small", "medium"]


@reader("generated", GeneratedOptions)
def read_generated(name: str, options: GeneratedOptions, files: Files) -> RawCorpus:
    """Draw the corpus from its grammar (the same every time) with its attributes and exact values."""
    from bench.corpora.generated import generate

    drawn = generate(options.size)
    return RawCorpus(name, drawn.splits, attributes=drawn.attributes, exact=drawn.exact)
