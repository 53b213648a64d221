"""Word vectors with which embeddings begin: of word2vec, or of a file; made once for all runs on a corpus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
from pydantic import Field
from safetensors.numpy import load_file, save_file
from torch import Tensor

from bench.base.errors import BenchError
from bench.base.files import read_json, sha256_file, write_json, write_with
from bench.base.registry import part
from bench.corpora.raw import Treatments, decoded_lines, read_bytes
from bench.corpora.vocabulary import SPECIALS, Vocabulary
from bench.store.evaluators import RECORD, evaluator_identity, load_evaluator

if TYPE_CHECKING:
    from bench.base.settings import RunSettings
    from bench.corpora.prepared import Prepared
    from bench.models.model import TextModel

VECTORS, WORDS = "vectors.safetensors", "words.json"
# What gensim takes unless it is told otherwise, as the released code does not: continuous bag of words.
DEFAULTS = {
    "sg": 0,
    "hs": 0,
    "cbow_mean": 1,
    "alpha": 0.025,
    "min_alpha": 1e-4,
    "sample": 1e-3,
    "ns_exponent": 0.75,
}


@dataclass(frozen=True)
class WordVectors:
    """The numbers of words by word, and their vectors (words, E) in float32."""

    numbers: Mapping[str, int]
    values: Tensor

    @classmethod
    def load(cls, folder: Path) -> WordVectors:
        """Read the word vectors in the ``folder`` of an evaluator."""
        words: list[str] = read_json(folder / WORDS)
        values = torch.from_numpy(load_file(folder / VECTORS)["vectors"])
        return cls({word: number for number, word in enumerate(words)}, values)


def _write(folder: Path, words: Sequence[str], values: np.ndarray) -> dict[str, Any]:
    """Write vectors (words, E) into ``folder``; what is to be known of them."""
    found = {"vectors": np.ascontiguousarray(values, dtype=np.float32)}
    write_with(folder / VECTORS, lambda path: save_file(found, path))
    write_json(folder / WORDS, list(words))
    return {"words": len(words), "size": int(values.shape[1])}


@part("evaluator", "word2vec")
class Word2Vec:
    """Vectors of the words of the training texts, by the word2vec of gensim.

    The settings are those of the released code of Bahuleyan et al. 2019: no word is too rare, 50 epochs, the rest as
    gensim has it. The fields of an example are one sentence, in their order. One thread makes them, since with more
    the order of the updates is left to chance.
    """

    def __init__(
        self,
        embedding: int,
        *,
        epochs: Annotated[int, Field(ge=1)] = 50,
        window: Annotated[int, Field(ge=1)] = 5,
        negative: Annotated[int, Field(ge=1)] = 5,
        seed: Annotated[int, Field(ge=0)] = 1,
    ) -> None:
        self.size = embedding
        self.given = {"epochs": epochs, "window": window, "negative": negative, "seed": seed}

    def make(self, corpus: Prepared, folder: Path) -> Mapping[str, Any]:
        """Train the vectors and write them. Raises :class:`BenchError` where gensim is not installed."""
        try:
            import gensim
            from gensim.models import Word2Vec as Model
        except ImportError as error:
            what, remedy = (
                f"word2vec needs gensim: {error}",
                "pip install gensim, or set initial.vectors to null",
            )
            raise BenchError(what, where=corpus.name, remedy=remedy) from error
        texts = list(self._texts(corpus))
        made = Model(texts, vector_size=self.size, min_count=1, workers=1, **self.given, **DEFAULTS)
        facts = _write(folder, made.wv.index_to_key, made.wv.vectors)
        return {**facts, "texts": len(texts), "gensim": gensim.__version__}

    def load(self, corpus: Prepared, folder: Path) -> WordVectors:
        """The vectors."""
        return WordVectors.load(folder)

    def _texts(self, corpus: Prepared) -> Iterator[list[str]]:
        """The training texts with all of their words, those outside the vocabulary too."""
        fields = [corpus.raw("train", field) for field in corpus.vocabularies]
        for example in zip(*fields, strict=True):
            yield [word for text in example for word in text]


@part("evaluator", "word-vectors")
class VectorsOfFile:
    """Vectors from a file of the user's: in each line a word and its numbers, as word2vec and GloVe write text.

    A first line with two numbers is a header. ``sha256`` is that of the file, which a run depends on.
    """

    def __init__(self, embedding: int, *, text: Annotated[str, Field(min_length=1)], sha256: str) -> None:
        self.size, self.file, self.sha256 = embedding, Path(text), sha256

    def make(self, corpus: Prepared, folder: Path) -> Mapping[str, Any]:
        """Keep the vectors of the words of the corpus.

        Raises :class:`BenchError` for another file than is meant, for vectors of another size than the embedding, for
        what is no vector, and where no word of the corpus has one.
        """
        if (digest := sha256_file(self.file)) != self.sha256:
            what = f"another file of vectors than is meant: its sha256 is {digest}"
            raise BenchError(what, where=self.file, remedy="write this into initial.vectors.sha256")
        wanted = {word for vocabulary in corpus.vocabularies.values() for word in _words(vocabulary)}
        found = {word: vector for word, vector in self._lines() if word in wanted}
        if not found:
            raise BenchError(f"no word of {corpus.name} has a vector in this file", where=self.file)
        facts = _write(folder, list(found), np.stack(list(found.values())))
        return {**facts, "words_without": len(wanted) - len(found)}

    def load(self, corpus: Prepared, folder: Path) -> WordVectors:
        """The vectors."""
        return WordVectors.load(folder)

    def _lines(self) -> Iterator[tuple[str, np.ndarray]]:
        """Each word and its vector (E,)."""
        for number, line in decoded_lines(read_bytes(self.file), self.file, "train", Treatments()):
            word, *numbers = line.rstrip().split(" ")
            if number == 1 and len(numbers) == 1:
                continue
            yield word, self._vector(numbers, f"{self.file}, line {number}")

    def _vector(self, numbers: list[str], where: str) -> np.ndarray:
        if len(numbers) != self.size:
            raise BenchError(
                f"a word vector of {len(numbers)} numbers for an embedding of {self.size}",
                where=where,
                remedy=f"set embedding to {len(numbers)}, or name vectors of {self.size} numbers",
            )
        try:
            vector = np.array(numbers, dtype=np.float32)
        except ValueError as error:
            raise BenchError(f"not a vector: {error}", where=where) from error
        if not np.isfinite(vector).all():
            raise BenchError("a vector whose numbers are not all finite", where=where)
        return vector


def _words(vocabulary: Vocabulary) -> list[str]:
    """The words of a vocabulary without the special symbols."""
    return vocabulary.words[len(SPECIALS) :]


def give_vectors(
    model: TextModel, settings: RunSettings, corpus: Prepared, evaluators: Path
) -> dict[str, Any] | None:
    """Give each word of each embedding of the model its vector, if it has one; made first where they are not there.

    The special symbols keep their initial values. ``evaluators`` is the folder of all evaluators. Returns which one it
    was and its files by their sha256; None for settings without vectors. Raises :class:`BenchError` where they cannot
    be made.
    """
    declared = settings.initial.vectors
    if declared is None:
        return None
    wiring = {"embedding": settings.embedding}
    identity = evaluator_identity(declared, corpus.data_hash, wiring)
    name = f"{declared.kind}-{identity[:12]}"  # runs of several sizes share the folder of a corpus
    folder = evaluators / settings.paper / settings.corpus / name
    vectors: WordVectors = load_evaluator(declared, corpus, folder, wiring)
    _fill(model.embedding.weight, corpus.vocabulary, vectors)
    if (own := getattr(model.encoder, "table", None)) is not None:
        _fill(own.weight, corpus.vocabulary, vectors)
    for field, embedding in model.embeddings.items():
        _fill(embedding.get_parameter("weight"), corpus.vocabularies[field], vectors)
    return {"evaluator": name, "files": read_json(folder / RECORD)["files"]}


def _fill(embedding: Tensor, vocabulary: Vocabulary, vectors: WordVectors) -> None:
    """Write the vectors of the words that have one into an embedding (vocabulary, E)."""
    words = [word for word in _words(vocabulary) if word in vectors.numbers]
    ids = torch.tensor(vocabulary.encode(words), dtype=torch.long, device=embedding.device)
    numbers = torch.tensor([vectors.numbers[word] for word in words], dtype=torch.long)
    with torch.no_grad():
        embedding[ids] = vectors.values[numbers].to(embedding)
