"""Interpolated modified Kneser-Ney estimates of an n-gram language model, written as ARPA.

Chen and Goodman 1998, section 3: with a(h w) the count of an n-gram of the highest order, or the number of words
that precede it for a lower order (the count, if the n-gram begins a text),

    p(w | h) = max(a(h w) - D(a(h w)), 0) / a(h) + g(h) p(w | h'),    g(h) = sum_w D(a(h w)) / a(h),

where a(h) sums over w, h' is h without its first word, and the unigrams are interpolated with the uniform
distribution over all words and the end of a text. The discount is D(k) = k - (k + 1) Y n(k+1) / n(k) for k = 1, 2
and for 3 or more, with Y = n(1) / (n(1) + 2 n(2)) and n(k) the number of n-grams of that order with a = k.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.base.files import replacing

Ints = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]
FALLBACK = (0.5, 1.0, 1.5)  # discounts where the counts of counts give none that are valid
NO_PROBABILITY = -99.0  # in an ARPA file: the start of a text, which is never predicted


@dataclass(frozen=True)
class Order:
    """All n-grams of one order that occur.

    ``context`` (n-grams,) is the number of the n-gram of the first n - 1 words among those of that order, and
    ``suffix`` that of the last n - 1; ``word`` is the last word. ``probability`` is that of the word, ``backoff``
    the weight g of the shorter context after the n-gram, 1 where nothing follows it.
    """

    context: Ints
    suffix: Ints
    word: Ints
    probability: Floats
    backoff: Floats
    discounts: tuple[float, float, float]
    estimated: bool  # whether the discounts are those of the counts of counts


def estimate(texts: Iterable[Sequence[int]], words: int, start: int, end: int, order: int) -> list[Order]:
    """The n-gram models of orders 1 to ``order`` of texts of ids below ``words``.

    ``start`` and ``end`` are the ids of the two ends of a text; the start is never predicted. Each id, ``start``
    alone excepted, has a probability, also one that no text holds: leave out ids that cannot occur.
    """
    flat = np.concatenate([np.array([start, *text, end], dtype=np.int64) for text in texts])
    begins = flat == start
    tables = [_unigrams(flat, words)]
    for _ in range(1, order):
        tables.append(_longer(tables[-1], flat, begins, words))
    made: list[Order] = []
    for n, table in enumerate(tables):
        above = tables[n + 1] if n + 1 < order else None
        adjusted = _adjusted(table, above, start)
        made.append(_estimated(table, adjusted, made[-1] if made else None, words))
    return made


@dataclass(frozen=True)
class _Table:
    context: Ints
    suffix: Ints
    word: Ints
    first: Ints  # the first word of each n-gram
    count: Ints
    ending: Ints  # the n-gram that ends at each place of the texts, -1 where the text is too short for one


def _unigrams(flat: Ints, words: int) -> _Table:
    every = np.arange(words, dtype=np.int64)
    count = np.bincount(flat, minlength=words)
    zeros = np.zeros(words, dtype=np.int64)
    return _Table(zeros, zeros, every, every, count, flat)


def _longer(below: _Table, flat: Ints, begins: Ints, words: int) -> _Table:
    """The n-grams of one word more than those of ``below``."""
    before = np.concatenate([[-1], below.ending[:-1]])
    inside = (before >= 0) & (below.ending >= 0) & ~begins
    keys = before[inside] * words + flat[inside]
    unique, where, count = np.unique(keys, return_inverse=True, return_counts=True)
    ending = np.full(len(flat), -1, dtype=np.int64)
    ending[inside] = where
    suffix = np.empty(len(unique), dtype=np.int64)
    suffix[where] = below.ending[inside]
    context = unique // words
    return _Table(context, suffix, unique % words, below.first[context], count, ending)


def _adjusted(table: _Table, above: _Table | None, start: int) -> Ints:
    """What stands for the count of each n-gram: of a lower order, how many words precede it."""
    if above is None:
        adjusted = table.count.copy()
    else:
        preceding = np.bincount(above.suffix, minlength=len(table.word))
        adjusted = np.where(table.first == start, table.count, preceding)
    adjusted[table.word == start] = 0
    return adjusted


def discounts(adjusted: Ints) -> tuple[tuple[float, float, float], bool]:
    """D(1), D(2), D(3+) of the adjusted counts of one order, and whether the counts of counts gave them.

    They do not where one of n(1) to n(4) is zero or a discount is not above zero, as on very small texts.
    """
    n = np.bincount(np.minimum(adjusted, 5), minlength=6)[1:5].astype(float)
    if not n.all():
        return FALLBACK, False
    y = n[0] / (n[0] + 2 * n[1])
    one, two, three = (float(k - (k + 1) * y * n[k] / n[k - 1]) for k in (1, 2, 3))
    return ((one, two, three), True) if min(one, two, three) > 0 else (FALLBACK, False)


def _estimated(table: _Table, adjusted: Ints, below: Order | None, words: int) -> Order:
    """The probabilities of one order from those of the order below; backoffs are not known yet."""
    found, estimated = discounts(adjusted)
    discount = np.array([0.0, *found])[np.minimum(adjusted, 3)]
    contexts = 1 if below is None else len(below.word)
    total = np.bincount(table.context, weights=adjusted, minlength=contexts)
    weight = np.bincount(table.context, weights=discount, minlength=contexts)
    seen = np.maximum(total, 1)
    share = np.where(total > 0, weight / seen, 1.0)
    lower = np.full(len(table.word), 1 / (words - 1)) if below is None else below.probability[table.suffix]
    probability = (adjusted - discount) / seen[table.context] + share[table.context] * lower
    if below is not None:
        below.backoff[:] = share
    return Order(
        table.context,
        table.suffix,
        table.word,
        probability,
        np.ones(len(table.word)),
        found,
        estimated,
    )


def write_arpa(made: Sequence[Order], names: Sequence[str], start: int, path: Path) -> None:
    """Write the model as an ARPA file; ``names`` are the words of the ids."""
    with replacing(path) as part, part.open("w", encoding="utf-8") as file:
        file.write("\\data\\\n")
        file.writelines(f"ngram {n}={len(one.word)}\n" for n, one in enumerate(made, 1))
        for n in range(1, len(made) + 1):
            file.write(f"\n\\{n}-grams:\n")
            file.writelines(_lines(made, n, names, start, last=n == len(made)))
        file.write("\n\\end\\\n")


def _lines(made: Sequence[Order], n: int, names: Sequence[str], start: int, *, last: bool) -> Iterator[str]:
    one = made[n - 1]
    probability = np.log10(one.probability)
    if n == 1:
        probability[one.word == start] = NO_PROBABILITY
    backoff = np.log10(one.backoff)
    columns = [[names[word] for word in one.word.tolist()]]
    context = one.context
    for shorter in reversed(made[: n - 1]):
        columns.append([names[word] for word in shorter.word[context].tolist()])
        context = shorter.context[context]
    texts = map(" ".join, zip(*columns[::-1], strict=True))
    for p, text, b in zip(probability.tolist(), texts, backoff.tolist(), strict=True):
        yield f"{p:.9g}\t{text}\n" if last else f"{p:.9g}\t{text}\t{b:.9g}\n"
