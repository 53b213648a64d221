"""Texts between two sentences of the user's own, by a trained run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from bench.base.device import choose_device, prepare_process
from bench.base.errors import BenchError
from bench.base.settings import RunSettings
from bench.corpora.batches import Collator
from bench.corpora.prepared import Prepared, Texts
from bench.corpora.vocabulary import SPECIALS, UNK
from bench.metrics.context import Context
from bench.metrics.evaluate import check_run


@torch.no_grad()
def between(
    run: dict[str, Any],
    folder: Path,
    settings: RunSettings,
    corpora: Path,
    sentences: tuple[str, str],
    inner: int,
    *,
    device: str,
    threads: int | None,
) -> tuple[tuple[str, str], list[str]]:
    """The sentences as the model read them, and greedy texts on the way from one centre to the other.

    ``run`` is the content of the ``run.json`` in ``folder``; the texts are those of both centres and of
    ``inner`` codes between them. Raises :class:`BenchError` if the weights or the corpus are not there or are
    others than the run's, for a system without codes, and for a sentence that the protocol does not take.
    """
    if settings.encoder.absent:
        raise BenchError("a language model has no codes to interpolate", where=settings.name)
    if settings.conditions:
        field = settings.conditions[0]
        raise BenchError(
            f"its texts depend on the field {field!r}, which a sentence has not", where=settings.name
        )
    corpus = Prepared.load(corpora / settings.paper / settings.corpus)
    check_run(run, corpus, folder)
    ids = [_encoded(sentence, corpus) for sentence in sentences]
    prepare_process(threads)
    place = choose_device(device)
    context = Context(settings, corpus, folder, place)
    flat = torch.tensor([index for words in ids for index in words], dtype=torch.int32)
    texts = Texts(flat, torch.tensor([0, len(ids[0]), len(flat)]))
    latent = context.infer(Collator(texts, place)([0, 1]))
    read = [" ".join(corpus.vocabulary.decode(words)) for words in ids]
    return (read[0], read[1]), context.interpolated(latent, 0, 1, inner)


def _encoded(sentence: str, corpus: Prepared) -> list[int]:
    """Ids of a sentence, its words parted by blanks, under the rules of the corpus."""
    rules, vocabulary = corpus.rules, corpus.vocabulary
    words = (sentence.lower() if rules.lowercase else sentence).split()
    if not words:
        raise BenchError("a sentence without words", remedy="give two sentences, each in quotation marks")
    if rules.max_length is not None and len(words) > rules.max_length:
        raise BenchError(f"a sentence of {len(words)} words", allowed=[f"at most {rules.max_length} words"])
    for word in words:
        if word in SPECIALS[:UNK] and word not in vocabulary.unknown:
            raise BenchError(f"the reserved symbol {word!r}", where=sentence, remedy="remove it")
        if rules.oov == "error" and word not in vocabulary:
            raise BenchError(
                f"{word!r} is not in the vocabulary of {corpus.name}",
                where=sentence,
                remedy=f"choose another word, or write {SPECIALS[UNK]}",
            )
    ids: list[int] = vocabulary.encode(words)
    return ids
