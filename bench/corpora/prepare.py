"""Prepare a corpus: verified files and rules in, a folder with vocabulary, ids, kept texts and card out."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.base.errors import BenchError
from bench.base.files import sha256_file, write_json, write_text, write_with
from bench.base.outputs import CORPUS, claim
from bench.base.text_rules import SPLITS, TextRules
from bench.corpora.card import make_card
from bench.corpora.entry import CorpusEntry
from bench.corpora.raw import RawCorpus
from bench.corpora.readers import Files, read
from bench.corpora.vocabulary import SPECIALS, UNK, Vocabulary, build_vocabulary

if TYPE_CHECKING:
    import numpy

Ids = dict[str, "numpy.ndarray[Any, Any]"]


def prepare(entry: CorpusEntry, paths: Files, rules: TextRules, out: Path) -> dict[str, Any]:
    """Write the prepared corpus into ``out`` and return the content of its ``corpus.json``, written last.

    A pure function of the files and the rules. Raises :class:`BenchError` for a split with fewer than two
    texts, a number of texts other than the catalog's, a reserved symbol in the text, or, under
    ``oov="error"``, a word outside the vocabulary; and where ``out`` holds what is not ours.
    """
    if out.exists():
        (claim(out, CORPUS) / "corpus.json").unlink(missing_ok=True)
    paths = {**paths, **entry.own_paths()}  # these may have moved since they were fetched
    corpus = read(entry, paths)
    _check_sizes(entry, corpus)
    read_sizes = {split: len(texts) for split, texts in corpus.splits.items()}
    apply_rules(corpus, rules)
    vocabulary = build_vocabulary((t for s in rules.vocabulary_from for t in corpus.splits[s]), rules)
    _check_words(corpus, vocabulary, rules)
    ids = encode(corpus, vocabulary)

    out = claim(out, CORPUS)
    write_json(out / "vocabulary.json", {"words": vocabulary.words, "rules": rules.model_dump(mode="json")})
    for split in SPLITS:
        write_text(out / f"{split}.txt", "".join(" ".join(words) + "\n" for words in corpus.splits[split]))
    _write_ids(out / "ids.safetensors", ids)
    _write_attributes(out / "attributes.parquet", corpus)
    card = make_card(entry, corpus, vocabulary, ids, read_sizes)
    write_json(out / "card.json", card)
    summary = {
        "name": entry.name,
        "title": entry.title,
        "comparable": entry.comparable,
        "rules": rules.model_dump(mode="json"),
        "sources": {path: sha256_file(paths[path]) for path in sorted(f.path for f in entry.files)},
        "sizes": {split: len(corpus.splits[split]) for split in SPLITS},
        "vocabulary_size": vocabulary.size,
        "attributes": [] if corpus.attributes is None else list(corpus.attributes["train"].columns),
        "exact": corpus.exact,
        "data_hash": data_hash(vocabulary, ids),
    }
    write_json(out / "corpus.json", summary)
    return summary


def apply_rules(corpus: RawCorpus, rules: TextRules) -> None:
    """Lower-case, shorten and drop texts as ``rules`` say, in place; every change is counted.

    Raises :class:`BenchError` for a split that keeps fewer than two texts.
    """
    shortest, longest = rules.min_length, rules.max_length
    for split in SPLITS:
        texts, kept = corpus.splits.get(split, []), []
        for index, words in enumerate(texts):
            if rules.lowercase:
                words[:] = [word.lower() for word in words]
            overlong = longest is not None and len(words) > longest
            if len(words) < shortest:
                corpus.treatments.add(f"texts of fewer than {shortest} words dropped", split, index + 1)
            elif overlong and rules.overlong == "drop":
                corpus.treatments.add(f"texts of more than {longest} words dropped", split, index + 1)
            else:
                kept.append(index)
            if overlong and rules.overlong == "truncate":
                corpus.treatments.add(f"texts cut to {longest} words", split, index + 1)
                del words[longest:]
        if len(kept) < 2:
            raise BenchError(
                f"the {split} split of {corpus.name} has {len(kept)} text(s) after treatment; two are needed",
                remedy="add texts, or relax min_length and max_length",
            )
        if len(kept) < len(texts):
            corpus.keep(split, kept)


def encode(corpus: RawCorpus, vocabulary: Vocabulary) -> Ids:
    """``{split}.tokens``, int32, all texts end to end, and ``{split}.offsets``, int64, (texts + 1)."""
    import numpy

    ids: Ids = {}
    for split in SPLITS:
        texts = corpus.splits[split]
        flat = [index for words in texts for index in vocabulary.encode(words)]
        ids[f"{split}.tokens"] = numpy.array(flat, dtype=numpy.int32)
        lengths = numpy.fromiter((len(words) for words in texts), dtype=numpy.int64, count=len(texts))
        ids[f"{split}.offsets"] = numpy.concatenate([numpy.zeros(1, numpy.int64), numpy.cumsum(lengths)])
    return ids


def data_hash(vocabulary: Vocabulary, ids: Ids) -> str:
    """Hex sha256 over the words and the ids: equal if and only if a model would see the same data."""
    digest = hashlib.sha256(json.dumps(vocabulary.words, ensure_ascii=True).encode())
    for key in sorted(ids):
        digest.update(f"\0{key}:{len(ids[key])}\0".encode())
        digest.update(ids[key].astype(ids[key].dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def _check_sizes(entry: CorpusEntry, corpus: RawCorpus) -> None:
    if entry.is_local:
        return
    for split, expected in entry.expect.items():
        found = len(corpus.splits.get(split, []))
        if found != expected:
            raise BenchError(
                f"{entry.name}: the {split} split has {found} texts where the catalog expects {expected}",
                where=", ".join(file.path for file in entry.files),
            )


def _check_words(corpus: RawCorpus, vocabulary: Vocabulary, rules: TextRules) -> None:
    """No reserved symbol among the words; under ``oov="error"``, no word outside the vocabulary."""
    reserved = set(SPECIALS[:UNK]) - vocabulary.unknown
    for split in SPLITS:
        for number, words in enumerate(corpus.splits[split], 1):
            for word in words:
                if word in reserved:
                    raise _word_error(corpus, split, number, f"the reserved symbol {word!r}", "remove it")
                if rules.oov == "error" and word not in vocabulary:
                    problem, remedy = f"{word!r}, which is not in the vocabulary", 'set oov to "unknown"'
                    raise _word_error(corpus, split, number, problem, remedy)


def _word_error(corpus: RawCorpus, split: str, number: int, problem: str, remedy: str) -> BenchError:
    text = " ".join(corpus.splits[split][number - 1])
    return BenchError(
        f"{corpus.name}: line {number} of the {split} split (counting kept lines) has {problem}",
        where=text if len(text) <= 120 else text[:117] + "...",
        remedy=remedy,
    )


def _write_ids(path: Path, ids: Ids) -> None:
    from safetensors.numpy import save_file

    write_with(path, lambda part: save_file(ids, part))


def _write_attributes(path: Path, corpus: RawCorpus) -> None:
    """One table of all splits, columns ``split`` and ``index`` first; no file if there are no attributes."""
    path.unlink(missing_ok=True)
    if corpus.attributes is None:
        return
    import pandas

    frames = []
    for split in SPLITS:
        frame = corpus.attributes[split].copy()
        frame.insert(0, "split", split)
        frame.insert(1, "index", range(len(frame)))
        frames.append(frame)
    table = pandas.concat(frames, ignore_index=True)
    write_with(path, lambda part: table.to_parquet(part, index=False))
