"""Prepare a corpus: verified files and rules in, a folder with vocabulary, ids, kept texts and card out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.base.errors import BenchError, unknown
from bench.base.files import sha256_file, stable_hash, write_json, write_text, write_with
from bench.base.identity import corpus_identity
from bench.base.outputs import CORPUS, claim
from bench.base.text_rules import SPLITS, TextRules
from bench.corpora.card import make_card
from bench.corpora.encode import Encoded, Ids, encode
from bench.corpora.entry import CorpusEntry
from bench.corpora.names import WHOLE, text_file
from bench.corpora.raw import RawCorpus
from bench.corpora.readers import Files, read, versions_of
from bench.corpora.vocabulary import SPECIALS, UNK

NAME = re.compile(r"[a-z][a-z0-9_]*")


def prepare(entry: CorpusEntry, paths: Files, rules: TextRules, out: Path) -> dict[str, Any]:
    """Write the prepared corpus into ``out`` and return the content of its ``corpus.json``, written last.

    A pure function of the files and the rules. Raises :class:`BenchError` for a split with fewer than two
    examples, a number of examples other than the catalog's, a field that the corpus does not have, a reserved
    symbol in the text, or, under ``oov="error"``, a word outside the vocabulary; and where ``out`` holds what is
    not ours.
    """
    if out.exists():
        (claim(out, CORPUS) / "corpus.json").unlink(missing_ok=True)
    paths = {**paths, **entry.own_paths()}  # these may have moved since they were fetched
    corpus = read(entry, paths)
    _check_names(corpus, rules)
    read_sizes: dict[str, int] = {split: corpus.size(split) for split in SPLITS}
    _check_sizes(entry, read_sizes)
    apply_rules(corpus, rules)
    encoded = encode(corpus, rules)
    _check_words(corpus, encoded, rules)
    _count_unknown_texts(corpus, encoded)

    out = claim(out, CORPUS)
    for name, splits in corpus.fields.items():
        for split in SPLITS:
            text = "".join(" ".join(words) + "\n" for words in splits[split])
            write_text(out / text_file(split, name), text)
    write_json(out / WHOLE, corpus.whole)
    write_json(out / "vocabulary.json", encoded.vocabulary_file(rules))
    _write_ids(out / "ids.safetensors", encoded.ids)
    _write_attributes(out / "attributes.parquet", corpus)
    write_json(out / "card.json", make_card(entry, corpus, encoded, read_sizes))
    content, versions = stable_hash(entry.content()), versions_of(entry)
    summary = {
        "name": entry.name,
        "identity": corpus_identity(content, rules, versions),
        "entry": content,
        "versions": versions,
        "title": entry.title,
        "comparable": entry.comparable,
        "rules": rules.model_dump(mode="json"),
        "sources": {path: sha256_file(paths[path]) for path in sorted(f.path for f in entry.files)},
        "sizes": {split: corpus.size(split) for split in SPLITS},
        "vocabulary_size": encoded.vocabulary.size,
        "attributes": [] if corpus.attributes is None else list(corpus.attributes["train"].columns),
        "exact": corpus.exact,
        "data_hash": encoded.data_hash,
        **encoded.structure,
    }
    write_json(out / "corpus.json", summary)
    return summary


def apply_rules(corpus: RawCorpus, rules: TextRules) -> None:
    """Lower-case, shorten and drop texts as ``rules`` say, in place; every change is counted.

    An example is dropped whole when one of its fields is. Raises :class:`BenchError` for a split that keeps
    fewer than two examples.
    """
    for split in SPLITS:
        size = corpus.size(split)
        kept = [index for index in range(size) if _treated(corpus, rules, split, index)]
        if len(kept) < 2:
            raise BenchError(
                f"the {split} split of {corpus.name} has {len(kept)} text(s) after treatment; two are needed",
                remedy="add texts, or relax min_length and max_length",
            )
        if len(kept) < size:
            corpus.keep(split, kept)
        place = {index: number for number, index in enumerate(kept)}
        for name, cut in corpus.whole.get(split, {}).items():
            corpus.whole[split][name] = {place[index]: text for index, text in cut.items()}


def _treated(corpus: RawCorpus, rules: TextRules, split: str, index: int) -> bool:
    """Apply the rules to one example; False if it is to be dropped."""
    cuts = []
    for name, splits in corpus.fields.items():
        texts, own = splits[split], rules.of(name)
        if own.lowercase:
            texts[index] = [word.lower() for word in texts[index]]
        length, longest = len(texts[index]), own.max_length
        overlong = longest is not None and length > longest
        noun = "texts" if len(corpus.fields) == 1 else f"examples with a {name}"
        if length < own.min_length:
            corpus.treatments.add(f"{noun} of fewer than {own.min_length} words dropped", split, index + 1)
            return False
        if overlong and own.overlong == "drop":
            corpus.treatments.add(f"{noun} of more than {longest} words dropped", split, index + 1)
            return False
        if overlong:
            cuts.append((name, texts, longest))
    for name, texts, longest in cuts:
        noun = "texts" if len(corpus.fields) == 1 else f"texts of {name}"
        corpus.treatments.add(f"{noun} cut to {longest} words", split, index + 1)
        corpus.whole.setdefault(split, {}).setdefault(name, {})[index] = " ".join(texts[index])
        texts[index] = texts[index][:longest]
    return True


def _check_names(corpus: RawCorpus, rules: TextRules) -> None:
    for name in (*corpus.fields, *corpus.labels):
        if not NAME.fullmatch(name):
            raise BenchError(
                f"{name!r} cannot be the name of a field or label",
                where=corpus.name,
                allowed=["a-z, 0-9 and _"],
            )
    for name in rules.named:
        if name not in corpus.fields:
            raise unknown("field of this corpus", name, corpus.fields, where=f"{corpus.name}: text")


def _check_sizes(entry: CorpusEntry, read_sizes: Mapping[str, int]) -> None:
    if entry.is_local:
        return
    for split, expected in entry.expect.items():
        if read_sizes[split] != expected:
            raise BenchError(
                f"{entry.name}: the {split} split has {read_sizes[split]} texts where the catalog expects {expected}",
                where=", ".join(file.path for file in entry.files),
            )


def _check_words(corpus: RawCorpus, encoded: Encoded, rules: TextRules) -> None:
    """No reserved symbol among the words; under ``oov="error"``, no word outside the vocabulary."""
    for name, splits in corpus.fields.items():
        vocabulary, strict = encoded.vocabularies[name], rules.of(name).oov == "error"
        reserved = set(SPECIALS[:UNK]) - vocabulary.unknown
        for split in SPLITS:
            for number, words in enumerate(splits[split], 1):
                for word in words:
                    if word in reserved:
                        problem, remedy = f"the reserved symbol {word!r}", "remove it"
                    elif strict and word not in vocabulary:
                        problem, remedy = f"{word!r}, which is not in the vocabulary", 'set oov to "unknown"'
                    else:
                        continue
                    raise _word_error(corpus, name, split, number, problem, remedy)


def _word_error(
    corpus: RawCorpus, name: str, split: str, number: int, problem: str, remedy: str
) -> BenchError:
    text = " ".join(corpus.fields[name][split][number - 1])
    of = "" if len(corpus.fields) == 1 else f" of {name}"
    return BenchError(
        f"{corpus.name}: line {number}{of} of the {split} split (counting kept lines) has {problem}",
        where=text if len(text) <= 120 else text[:117] + "...",
        remedy=remedy,
    )


def _count_unknown_texts(corpus: RawCorpus, encoded: Encoded) -> None:
    """Count the texts of pairs that hold no word of the vocabulary; they are kept."""
    if len(corpus.fields) == 1:
        return
    for name, splits in corpus.fields.items():
        vocabulary = encoded.vocabularies[name]
        for split in SPLITS:
            for number, words in enumerate(splits[split], 1):
                if all(vocabulary.id(word) == UNK for word in words):
                    corpus.treatments.add(f"texts of {name} of unknown words alone kept", split, number)


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
