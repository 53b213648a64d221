"""The generated corpora, whose entropy and whose information with their attributes are known exactly."""

from __future__ import annotations

from typing import Literal

from bench.base.text_rules import TEXT
from bench.corpora.raw import RawCorpus
from bench.corpora.readers import Files, ReaderOptions, reader
from bench.corpora.readers.dialogue import PAIR


class GeneratedOptions(ReaderOptions):
    """Which of the generated corpora."""

    size: Literal["tiny", "clear", "small", "medium"]


class GeneratedPairsOptions(GeneratedOptions):
    """Which of the generated corpora of pairs."""

    def fields(self) -> tuple[str, ...]:
        """An utterance and its reply."""
        return PAIR


class GeneratedStylesOptions(GeneratedOptions):
    """Which of the generated corpora with styles."""

    def labels(self) -> tuple[str, ...]:
        """The style."""
        return ("style",)


@reader("generated", GeneratedOptions)
def read_generated(name: str, options: GeneratedOptions, files: Files) -> RawCorpus:
    """Draw the corpus from its grammar (the same every time) with its attributes and exact values."""
    from bench.corpora.generated import generate

    drawn = generate(options.size)
    return RawCorpus(name, drawn.splits, attributes=drawn.attributes, exact=drawn.exact)


@reader("generated-pairs", GeneratedPairsOptions)
def read_generated_pairs(name: str, options: GeneratedPairsOptions, files: Files) -> RawCorpus:
    """Draw utterances and replies, with the attributes of both; I(utterance; reply) is exact."""
    from bench.corpora.generated import generate_pairs

    drawn = generate_pairs(options.size)
    fields = dict(zip(PAIR, (drawn.contexts, drawn.splits), strict=True))
    return RawCorpus(name, fields=fields, attributes=drawn.attributes, exact=drawn.exact)


@reader("generated-styles", GeneratedStylesOptions)
def read_generated_styles(name: str, options: GeneratedStylesOptions, files: Files) -> RawCorpus:
    """Draw sentences with the label ``style``; I(text; style) is exact."""
    from bench.corpora.generated import STYLE, generate_styles

    drawn = generate_styles(options.size)
    return RawCorpus(
        name,
        fields={TEXT: drawn.splits},
        labels={STYLE: drawn.styles},
        attributes=drawn.attributes,
        exact=drawn.exact,
    )
