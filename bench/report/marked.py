"""A text as it is shown: beside another, which words it lost and which it made up; a repeated word once."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from markupsafe import Markup

REPEATED = re.compile(r"(?<!\S)(\S+)(?: \1){4,}(?!\S)")  # five times or more in a row


def folded(text: str) -> str:
    """``text`` with a word that repeats itself written once, and how often it stood there: ``_UNK (118 times)``."""
    return REPEATED.sub(lambda found: f"{found[1]} ({found[0].count(' ') + 1} times)", text)


def marked(source: str, output: str) -> Markup:
    """``output`` as HTML: words of ``source`` that it lacks as ``del``, words that it adds as ``ins``."""
    before, after = source.split(), output.split()
    pieces = []
    for change, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if change == "equal":
            pieces.append(Markup("{}").format(folded(" ".join(after[c:d]))))
            continue
        for element, words in (("del", before[a:b]), ("ins", after[c:d])):
            if words:
                pieces.append(Markup("<{0}>{1}</{0}>").format(Markup(element), folded(" ".join(words))))
    return Markup(" ").join(pieces)
