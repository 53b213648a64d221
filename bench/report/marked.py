"""A text beside another: which words it lost, and which it made up."""

from __future__ import annotations

from difflib import SequenceMatcher

from markupsafe import Markup


def marked(source: str, output: str) -> Markup:
    """``output`` as HTML: words of ``source`` that it lacks as ``del``, words that it adds as ``ins``."""
    before, after = source.split(), output.split()
    pieces = []
    for change, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if change == "equal":
            pieces.append(Markup("{}").format(" ".join(after[c:d])))
            continue
        for element, words in (("del", before[a:b]), ("ins", after[c:d])):
            if words:
                pieces.append(Markup("<{0}>{1}</{0}>").format(Markup(element), " ".join(words)))
    return Markup(" ").join(pieces)
