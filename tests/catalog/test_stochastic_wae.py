"""The protocol as printed is one setting away from that of the released code, as the page of the paper says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bench.catalog.catalog import Catalog
from bench.planning.plan import Request, make_plan
from bench.planning.resolve import find_run

PAGE = (Path(__file__).parents[2] / "docs" / "papers" / "stochastic-wae.md").read_text(encoding="utf-8")
PRINTED: dict[str, Any] = json.loads(re.findall(r"bench settings demo.* --settings '(.*)'", PAGE)[0])
ANNEALED: dict[str, Any] = json.loads(re.findall(r"as printed is `(.*)`", PAGE)[0])


@pytest.mark.parametrize("system", ["dae", "vae", "wae-d-10", "wae-s-0.01"])
def test_as_printed(system: str, catalog: Catalog) -> None:
    run = find_run(catalog, f"paper/stochastic-wae/snli/{system}/seed0", PRINTED)
    assert (run.encoder.kind, run.encoder.options["hidden"]) == ("lstm", 100)
    assert not run.encoder.options["bidirectional"]
    assert (run.decoder.kind, run.decoder.options["hidden"]) == ("lstm", 100)
    assert run.encoder.options["dropout"] == run.decoder.options["dropout"] == 0
    assert run.objective["reconstruction"].options["mean"] == "texts"
    released = find_run(catalog, f"paper/stochastic-wae/snli/{system}/seed0")
    assert (run.groups["words"].frozen, released.groups["words"].frozen) == (False, True)
    assert released.encoder.kind == released.decoder.kind == "layer-norm-lstm"
    assert (run.text, run.embedding, run.latent) == (released.text, released.embedding, released.latent)


def test_the_annealing_as_printed(catalog: Catalog) -> None:
    run = find_run(catalog, "paper/stochastic-wae/snli/vae/seed0", ANNEALED)
    assert run.objective["kl"].weight.kind == "peak-stopped"


def test_the_plain_encoder_decoder_is_planned_where_its_number_was_printed(catalog: Catalog) -> None:
    """And has no bottleneck: its code has as many numbers as two directions of the encoder give."""
    runs = make_plan(catalog, Request(tier="paper", papers=("stochastic-wae",))).runs.values()
    official = [run for run in runs if run.corpus == "dailydialog-pairs-official"]
    assert [run.system for run in official] == ["seq2seq"]
    (run,) = official
    assert run.latent == 2 * run.encoder.options["hidden"]
    assert run.training.steps == 200 * 594
    assert "overlap" in run.evaluation.also
