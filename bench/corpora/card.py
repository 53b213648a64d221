"""The card of a prepared corpus: sizes, lengths, unknown words, duplicates, treatments, word frequencies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from bench.base.text_rules import SPLITS
from bench.corpora.encode import Encoded
from bench.corpora.entry import CorpusEntry
from bench.corpora.names import id_keys
from bench.corpora.raw import RawCorpus, Texts
from bench.corpora.vocabulary import UNK, Vocabulary

HISTOGRAM_BINS = 50
RANKS_PER_DECADE = 10


def make_card(
    entry: CorpusEntry, corpus: RawCorpus, encoded: Encoded, read_sizes: dict[str, int]
) -> dict[str, Any]:
    """The content of ``card.json``. ``read_sizes`` counts the examples before the rules dropped any.

    All lengths are in words; ``targets`` counts the words and one end symbol per text. ``splits`` is about
    the field that is decoded, but for ``duplicates`` and ``shared``, which compare whole examples; a corpus
    of several fields has the same facts of each in ``fields``.
    """
    splits = field_facts(corpus, encoded, encoded.decodes)
    overlaps = overlap(corpus, list(corpus.fields))
    for split in SPLITS:
        splits[split] |= overlaps[split]
        frame = None if corpus.attributes is None else corpus.attributes[split]
        if frame is not None and "dialogue" in frame and frame["dialogue"].notna().all():
            splits[split]["dialogues"] = int(frame["dialogue"].nunique())
    return {
        "name": entry.name,
        "title": entry.title,
        "about": entry.about,
        "licence": entry.licence,
        "citation": entry.citation,
        "comparable": entry.comparable,
        "vocabulary_size": encoded.vocabulary.size,
        "splits": splits,
        "treatments": corpus.treatments.as_list(),
        "expected": {
            split: {"expected": n, "read": read_sizes[split], "matches": n == read_sizes[split]}
            for split, n in entry.expect.items()
        },
        "frequencies": rank_frequency(corpus.fields[encoded.decodes]["train"]),
        **_structure(corpus, encoded),
    }


def _structure(corpus: RawCorpus, encoded: Encoded) -> dict[str, Any]:
    """What the card of a corpus of several fields, or with labels, says besides."""
    found: dict[str, Any] = {}
    if len(corpus.fields) > 1:
        found |= {"decodes": encoded.decodes, "encodes": encoded.encodes}
        found["fields"] = {
            name: {
                "vocabulary_size": encoded.vocabularies[name].size,
                "splits": field_facts(corpus, encoded, name),
                "frequencies": rank_frequency(splits["train"]),
            }
            for name, splits in corpus.fields.items()
        }
    if corpus.labels:
        found["labels"] = {
            name: {split: dict(sorted(Counter(values[split]).items())) for split in SPLITS}
            for name, values in corpus.labels.items()
        }
    return found


def field_facts(corpus: RawCorpus, encoded: Encoded, name: str) -> dict[str, dict[str, Any]]:
    """By split: how many texts and words a field has, how long they are, how many words are unknown."""
    facts: dict[str, dict[str, Any]] = {}
    overlaps = overlap(corpus, [name])
    for split in SPLITS:
        texts = corpus.fields[name][split]
        unknown = int((encoded.ids[id_keys(split, name)[0]] == UNK).sum())
        outside = _out_of_vocabulary(texts, encoded.vocabularies[name])
        facts[split] = {**_sizes(texts, unknown), **outside, **overlaps[split]}
    return facts


def overlap(corpus: RawCorpus, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """By split: how often the texts of some fields, taken together, occur again in it and in other splits."""
    keys = {}
    for split in SPLITS:
        examples = zip(*(corpus.fields[name][split] for name in names), strict=True)
        keys[split] = ["\0".join(map(" ".join, texts)) for texts in examples]
    sets = {split: set(keys[split]) for split in SPLITS}
    return {
        split: {
            "duplicates": len(keys[split]) - len(sets[split]),
            "shared": {
                other: sum(k in sets[other] for k in keys[split]) for other in SPLITS if other != split
            },
        }
        for split in SPLITS
    }


def _sizes(texts: Texts, unknown: int) -> dict[str, Any]:
    import numpy

    lengths = numpy.array([len(words) for words in texts])
    words = int(lengths.sum())
    width = -(-(int(lengths.max()) + 1) // HISTOGRAM_BINS)
    return {
        "texts": len(texts),
        "words": words,
        "targets": words + len(texts),
        "length": {
            "min": int(lengths.min()),
            "mean": float(lengths.mean()),
            "median": float(numpy.median(lengths)),
            "max": int(lengths.max()),
        },
        "histogram": {"bin_width": width, "counts": numpy.bincount(lengths // width).tolist()},
        "unknown_tokens": unknown,
        "unknown_share": unknown / words,
    }


def _out_of_vocabulary(texts: Texts, vocabulary: Vocabulary) -> dict[str, int]:
    """Words without an id of their own, those already written as unknown in the source not counted."""
    outside = Counter(word for words in texts for word in words if word not in vocabulary)
    return {"oov_types": len(outside), "oov_tokens": outside.total()}


def rank_frequency(texts: Texts) -> list[dict[str, Any]]:
    """Word, count and 1-based rank of the training words, at log-spaced ranks (the first ten all)."""
    ranked = Counter(word for words in texts for word in words).most_common()
    ranks, power = set(), 0
    while (rank := round(10 ** (power / RANKS_PER_DECADE))) <= len(ranked):
        ranks.add(rank)
        power += 1
    ranks |= set(range(1, min(10, len(ranked)) + 1)) | {len(ranked)}
    return [{"rank": r, "word": ranked[r - 1][0], "count": ranked[r - 1][1]} for r in sorted(ranks)]
