"""The card of a prepared corpus: sizes, lengths, unknown words, duplicates, treatments, word frequencies."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from bench.base.text_rules import SPLITS
from bench.corpora.entry import CorpusEntry
from bench.corpora.raw import RawCorpus, Texts
from bench.corpora.vocabulary import UNK, Vocabulary

if TYPE_CHECKING:
    import numpy

HISTOGRAM_BINS = 50
RANKS_PER_DECADE = 10


def make_card(
    entry: CorpusEntry,
    corpus: RawCorpus,
    vocabulary: Vocabulary,
    ids: dict[str, numpy.ndarray[Any, Any]],
    read_sizes: dict[str, int],
) -> dict[str, Any]:
    """The content of ``card.json``. ``read_sizes`` counts the texts before the rules dropped any.

    All lengths are in words; ``targets`` counts the words and one end symbol per text.
    """
    lines = {split: [" ".join(words) for words in corpus.splits[split]] for split in SPLITS}
    sets = {split: set(lines[split]) for split in SPLITS}
    splits = {}
    for split in SPLITS:
        unknown = int((ids[f"{split}.tokens"] == UNK).sum())
        splits[split] = {
            **_sizes(corpus.splits[split], unknown),
            **_out_of_vocabulary(corpus.splits[split], vocabulary),
            "duplicates": len(lines[split]) - len(sets[split]),
            "shared": {
                other: sum(line in sets[other] for line in lines[split]) for other in SPLITS if other != split
            },
        }
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
        "vocabulary_size": vocabulary.size,
        "splits": splits,
        "treatments": corpus.treatments.as_list(),
        "expected": {
            split: {"expected": n, "read": read_sizes[split], "matches": n == read_sizes[split]}
            for split, n in entry.expect.items()
        },
        "frequencies": rank_frequency(corpus.splits["train"]),
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
