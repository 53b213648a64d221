"""The tokenisers of the papers' own preparations, as small functions of a string."""

from __future__ import annotations

import re

_WORD_PUNCT = re.compile(r"\w+|[^\w\s]+")

# Treebank conventions: (pattern, replacement), applied in this order.
_TREEBANK = [
    (re.compile(r'^"'), "`` "),
    (re.compile(r'(?<=[ (\[{<])"'), "`` "),
    (re.compile(r"([:,])(?=[^\d]|$)"), r" \1 "),
    (re.compile(r"\.\.\."), " ... "),
    (re.compile(r"[;@#$%&?!]"), r" \g<0> "),
    (re.compile(r"([^.])(\.)([\])}>\"']*)\s*$"), r"\1 \2\3 "),
    (re.compile(r"([^'])' "), r"\1 ' "),
    (re.compile(r"[\]\[(){}<>]"), r" \g<0> "),
    (re.compile(r"--"), " -- "),
    (re.compile(r'"'), " '' "),
    (re.compile(r"([^' ])('[sSmMdD]|'ll|'LL|'re|'RE|'ve|'VE|n't|N'T) "), r"\1 \2 "),
    (
        re.compile(r"\b(can(?=not\b)|gim(?=me\b)|gon(?=na\b)|got(?=ta\b)|lem(?=me\b)|wan(?=na\b))", re.I),
        r"\1 ",
    ),
]
_KERAS = str.maketrans(dict.fromkeys('!"#$%&()*+/:;<=>@[\\]^`{|}~\t\n', " "))


def word_punct(text: str) -> list[str]:
    """Runs of word characters and runs of other characters: "don't" -> don ' t."""
    return _WORD_PUNCT.findall(text)


def treebank(text: str) -> list[str]:
    """The words of one sentence by the Treebank conventions: "don't stop." -> do n't stop .

    A full stop is split off at the end of the text only.
    """
    text = f"{text.strip()} "
    for pattern, replacement in _TREEBANK:
        text = pattern.sub(replacement, text)
    return text.split()


def without_symbols(words: list[str]) -> list[str]:
    """Lower-case; symbols become blanks, which may split a word; full stop, comma, ?, ', - and _ stay."""
    return " ".join(words).lower().translate(_KERAS).split()
