"""Every corpus of the catalog, also those added after this test."""

from __future__ import annotations

import re

import pytest

from bench.base.errors import BenchError
from bench.corpora.readers import kinds as readers
from bench.planning.resolve import resolve
from tests.declared import CATALOG


@pytest.mark.parametrize("name", CATALOG.corpora)
def test_every_corpus_says_where_it_is_from_and_how_it_is_verified(name: str) -> None:
    entry = CATALOG.corpora[name]
    assert entry.name == name
    assert entry.title
    assert entry.about
    assert entry.licence
    assert entry.citation
    if entry.missing:
        return
    assert entry.reader.kind in readers()
    assert bool(entry.files) != entry.reader.kind.startswith("generated")
    for file in entry.files:
        assert file.url, "a file of the package can be downloaded"
        assert re.search(r"[0-9a-f]{40}", file.url) or file.sha256 or file.git_blob or file.git_tree
        assert file.sha256 or file.git_blob or file.git_tree, "a size proves nothing"
    assert entry.comparable or not any(name in paper.corpora for paper in CATALOG.papers.values())


def test_a_corpus_that_is_missing_is_left_out_and_refused_with_the_reason() -> None:
    assert CATALOG.readable("emb2emb") == ["yelp-sentiment"]
    with pytest.raises(BenchError, match="corpus 'wikilarge' cannot be had: it is trained on an archive"):
        resolve(CATALOG, "quick", "emb2emb", "wikilarge", "dae", 0)
