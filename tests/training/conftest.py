"""Corpora for the systems of all kinds."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from bench.corpora.prepare import prepare
from bench.corpora.prepared import Prepared
from bench.planning.resolve import text_rules
from tests.declared import CATALOG
from tests.golden.golden import World
from tests.training.systems import small


@pytest.fixture(scope="session")
def corpus_for(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Prepared]:
    """The tiny generated corpus that has the fields of a system, by the name of the system."""
    folder: Path = tmp_path_factory.mktemp("fitting")

    @cache
    def prepared(name: str) -> Prepared:
        prepare(CATALOG.corpus(name), {}, text_rules(CATALOG, "coupled-vae", name), folder / name)
        return Prepared.load(folder / name)

    return lambda system: prepared(small(system).corpus)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The corpora of the golden runs, prepared as each paper has it."""
    return World(tmp_path_factory.mktemp("world"))
