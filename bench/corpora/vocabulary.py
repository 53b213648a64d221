"""The vocabulary: words, their ids, and the four special symbols."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from bench.base.errors import BenchError
from bench.base.text_rules import FieldRules

PAD, GO, EOS, UNK = range(4)
SPECIALS = ("<pad>", "<go>", "<eos>", "<unk>")


class Vocabulary:
    """Words in id order; the first four are :data:`SPECIALS`."""

    def __init__(self, words: Sequence[str], unknown: Iterable[str] = ("<unk>",)) -> None:
        """``unknown``: surface forms that have id 3, besides ``<unk>``. Raises :class:`BenchError`."""
        self.words = list(words)
        self._ids = {word: index for index, word in enumerate(self.words)}
        if tuple(self.words[:4]) != SPECIALS or len(self._ids) != len(self.words):
            raise BenchError(
                "a vocabulary begins with the special symbols and holds no word twice",
                where=f"{len(self.words)} words beginning with {self.words[:4]}",
                allowed=SPECIALS,
            )
        self.unknown = frozenset(unknown) | {SPECIALS[UNK]}
        self._ids.update(dict.fromkeys(self.unknown, UNK))

    def __len__(self) -> int:
        return len(self.words)

    @property
    def size(self) -> int:
        """Number of ids, the specials included."""
        return len(self.words)

    def __contains__(self, word: str) -> bool:
        return word in self._ids

    def id(self, word: str) -> int:
        """The id of ``word``; 3 when it has none of its own."""
        return self._ids.get(word, UNK)

    def encode(self, words: Iterable[str]) -> list[int]:
        """Ids of ``words``, without start or end symbol."""
        get = self._ids.get
        return [get(word, UNK) for word in words]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """The words of ``ids`` (any iterable of integers, a 1-d tensor included)."""
        return [self.words[int(index)] for index in ids]


def build_vocabulary(texts: Iterable[Sequence[str]], rules: FieldRules) -> Vocabulary:
    """The vocabulary of ``texts`` under ``rules`` (see :class:`FieldRules` for the order of the words)."""
    counts: Counter[str] = Counter()
    for words in texts:
        counts.update(words)  # a Counter keeps the order of first occurrence
    excluded = {*SPECIALS, *rules.unknown}
    kept = [w for w, n in counts.items() if n >= rules.min_count and w not in excluded]
    if rules.max_words is not None and len(kept) > rules.max_words:
        by_count = sorted(kept, key=lambda word: -counts[word])  # stable, so ties keep their order
        frequent = set(by_count[: rules.max_words])
        kept = [word for word in kept if word in frequent]
    return Vocabulary([*SPECIALS, *kept], rules.unknown)
