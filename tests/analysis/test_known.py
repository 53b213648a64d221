"""What is said of systems where the truth is known."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar, cast

from bench.analysis.known import _apart, known
from bench.analysis.pairs import Pairing, Setting
from bench.analysis.statistics import Difference
from bench.base.files import read_json, write_json
from bench.catalog.catalog import load_catalog
from bench.planning.plan import Request, make_plan
from bench.store.records import load_records
from tests.made_up import EXACT, Results, measurement


def test_what_is_known_is_said_in_numbers(tmp_path: Path) -> None:
    catalog = load_catalog()
    results = Results(tmp_path, catalog)
    results.corpus(corpus="generated-clear", exact=EXACT)
    for system, kl, excess, told in (("vae", 0.02, 2.0, -0.1), ("coupled-vae", 1.5, 1.5, 0.4)):
        made = [
            measurement("mi", "leave-one-out", kl / 2),
            measurement("kl", "monte-carlo", kl),
            measurement("excess_nll", "importance-sampling", excess),
            measurement("excess_nll", "defensive", excess + (0.5 if system == "vae" else -0.25)),
            measurement("attribute_information", "softmax-probe", told, part="tense"),
        ]
        for seed in (0, 1):
            path = results.run(f"demo/coupled-vae/generated-clear/{system}/seed{seed}") / "measurements.json"
            write_json(path, read_json(path) | {"measurements": made})
    plan = make_plan(catalog, Request(systems=("vae", "coupled-vae"), seeds=(0, 1)))
    records = load_records(tmp_path, plan.runs)
    found = known(EXACT, [Pairing(catalog, records, ("own", "demo", "coupled-vae", "generated-clear"))])
    vae, coupled = found.rows
    assert (vae.kl, vae.excess, vae.told, vae.bleu, vae.seeds) == (0.02, 2.0, 0.0, None, 2)
    assert (coupled.kl, coupled.excess, coupled.told) == (1.5, 1.25, 0.4)  # of two bounds the lower one
    said = "\n".join(found.sentences)
    assert "an entropy of 90.00 nats" in said
    assert "Less than 0.1 nats, so that the code is hardly used: VAE (0.01 of 0.02)." in said
    assert "Mutual information of code and text, of the KL in nats: Coupled-VAE (0.75 of 1.50)." in said
    assert "Told apart from VAE by their KL, on the same texts: Coupled-VAE +1.48" in said
    assert "Nearest to the entropy is Coupled-VAE, 1.25 nats above it, furthest from it VAE at 2.00" in said
    assert (
        "tells most in Coupled-VAE 0.40 and VAE 0.00; nothing that was measurable in 1 of 2 systems" in said
    )


def test_one_seed_tells_no_systems_apart() -> None:
    """Whatever its interval over texts."""

    class Alone:
        runs: ClassVar = {"vae": [0], "coupled-vae": [0]}
        title = staticmethod({"vae": "VAE", "coupled-vae": "Coupled-VAE"}.get)
        find = contrast = staticmethod(
            lambda *_: SimpleNamespace(
                difference=Difference((1.48,), 1.4, 1.5, 3), effect="+1.48 [1.40, 1.50]"
            )
        )

    assert list(_apart([cast(Pairing, Alone)])) == [
        "KL beside that of VAE, by one seed each, which tells runs apart alone: Coupled-VAE +1.48 [1.40, 1.50]."
    ]


def test_systems_of_one_title_are_told_apart_by_their_papers(tmp_path: Path) -> None:
    """One of them has collapsed and the other has not: neither is said of the other."""
    catalog = load_catalog()
    results = Results(tmp_path, catalog)
    for paper, kl in (("coupled-vae", 0.02), ("wae-rnf", 1.5)):
        path = results.run(f"demo/{paper}/generated-clear/vae/seed0") / "measurements.json"
        made = [measurement("kl", "monte-carlo", kl), measurement("mi", "leave-one-out", kl)]
        write_json(path, read_json(path) | {"measurements": made})
    plan = make_plan(catalog, Request(systems=("vae",), papers=("coupled-vae", "wae-rnf")))
    records = load_records(tmp_path, plan.runs)
    settings: list[Setting] = [
        ("own", "demo", paper, "generated-clear") for paper in ("coupled-vae", "wae-rnf")
    ]
    said = "\n".join(known(EXACT, [Pairing(catalog, records, setting) for setting in settings]).sentences)
    assert "hardly used: VAE (Coupled-VAE) (0.02 of 0.02)." in said
    assert "in nats: VAE (WAE-RNF) (1.50 of 1.50)." in said


def test_a_corpus_of_pairs_has_two_entropies(tmp_path: Path) -> None:
    results = Results(tmp_path, catalog := load_catalog())
    results.run("demo/coupled-vae/generated-clear/vae/seed0")
    records = load_records(tmp_path, make_plan(catalog, Request(systems=("vae",))).runs)
    pairing = Pairing(catalog, records, ("own", "demo", "coupled-vae", "generated-clear"))
    said = known(EXACT | {"conditional_entropy": 80.0}, [pairing]).sentences[0]
    assert (
        "an entropy of 90.00 nats, and of 80.00 nats given what it answers, below which no NLL can be" in said
    )
