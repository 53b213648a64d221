"""Systems of the catalog, one of each kind that can be built, as runs that are small enough for a test of each."""

from __future__ import annotations

from bench.base.settings import RunSettings
from bench.planning.resolve import resolve
from tests.conftest import CORPUS, TINY
from tests.declared import CATALOG, UNLIKE, corpus_of
from tests.golden.golden import settings_of

BUILT = [system for paper, system in UNLIKE if paper == "coupled-vae"]
CONVOLUTIONS = [name for name in BUILT if "cnn" in name]
LAGGING = [name for name in BUILT if "lagging" in name]


def small(system: str) -> RunSettings:
    """A small run whose clipping, rate and weight differ from step to step."""
    decoder = TINY["decoder"]
    third_party = system in ("lagging-vae", "coupled-lagging-vae", "sa-vae")
    if third_party or system in CONVOLUTIONS:  # their decoders have other options
        decoder = {"hidden": 16} if third_party else {"channels": 8}
    settings = TINY | {
        "decoder": decoder,
        "objective": {"kl": {"weight": {"start": 0, "length": 20}}},
        "optimiser": {"clip": 1.0} | ({} if third_party else {"decay_after": 4, "decay_every": 3}),
    }
    corpus = corpus_of(resolve(CATALOG, "demo", "coupled-vae", CORPUS, system, 0))
    return resolve(CATALOG, "demo", "coupled-vae", corpus, system, 0, settings)


# Systems of all papers whose step is more than one update of everything, but for those that one paper has above.
TURNS = [
    (paper, system)
    for paper, system in UNLIKE
    if settings_of(paper, system).procedure.kind in ("alternating", "clustered")
]


def taking_turns(paper: str, system: str) -> RunSettings:
    """A golden run whose terms are looked at in the end only."""
    run = settings_of(paper, system).model_dump(mode="json")
    run["training"] |= {"log_every": 100, "validate_every": 100, "steps": 60}
    return RunSettings.model_validate(run)
