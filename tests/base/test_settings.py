"""What a run is: the protocols to the last number, what does not fit together, what the identity hashes."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from bench.base.errors import BenchError
from bench.base.settings import Optimiser, RunSettings
from bench.catalog.catalog import load_catalog
from bench.cli.main import main
from bench.planning.resolve import find_run

NONE: dict[str, Any] = {"kind": "none", "options": {}}


def constant(value: float = 1.0) -> dict[str, Any]:
    return {"kind": "constant", "options": {"value": value}}


def kl(start: int = 2000, ceiling: float = 1.0) -> dict[str, Any]:
    ramp = {"start": start, "length": 40000, "ceiling": ceiling, "floor": 0.0}
    return {"kind": "kl", "options": {}, "weight": {"kind": "linear", "options": ramp}}


RECONSTRUCTION = {"kind": "reconstruction", "options": {"mean": "texts"}, "weight": constant()}
TEXT = {
    "min_count": 1,
    "max_words": None,
    "vocabulary_from": ["train"],
    "unknown": ["<unk>"],
    "oov": "error",
    "max_length": 200,
    "overlong": "truncate",
    "lowercase": False,
    "min_length": 1,
}
VAE_ON_PTB: dict[str, Any] = {
    "tier": "paper",
    "paper": "coupled-vae",
    "corpus": "ptb",
    "system": "vae",
    "seed": 0,
    "text": TEXT,
    "embedding": 200,
    "latent": 32,
    "encoder": {"kind": "gru", "options": {"hidden": 128, "bidirectional": True, "dropout": 0.2}},
    "posterior": {"kind": "gaussian", "options": {"batch_norm": False, "hidden": 0, "spread": "deviation"}},
    "prior": {"kind": "standard-normal", "options": {}},
    "signal": {"kind": "mlp", "options": {}},
    "decoder": {"kind": "gru", "options": {"hidden": 256, "projection": 200, "dropout": 0.2}},
    "condition": NONE,
    "reads": None,
    "coupling": NONE,
    "objective": {"reconstruction": RECONSTRUCTION, "kl": kl()},
    "procedure": {"kind": "standard", "options": {}},
    "initial": {"weights": None, "embedding": None, "vectors": None},
    "starts_from": None,
    "optimiser": {
        "kind": "adam",
        "learning_rate": 0.001,
        "betas": [0.9, 0.999],
        "epsilon": 1e-8,
        "clip": 30.0,
        "decay_factor": 0.5,
        "decay_after": 30000,
        "decay_every": 2000,
        "smoothing": 0.99,
        "clip_by": "norm",
        "decay": "steps",
        "patience": 2,
        "most_decays": 5,
    },
    "groups": {},
    "training": {
        "steps": 60000,
        "batch": 32,
        "pool": 50,
        "equal_lengths": False,
        "same_batches": False,
        "ends": "all",
        "keep": "best",
        "criterion": "auto",
        "validate_every": 1000,
        "validation_samples": 10,
        "log_every": 100,
        "gradient_texts": 128,
        "word_dropout": None,
        "precision": "auto",
    },
    "evaluation": {
        "samples": 100,
        "information_block": 513,
        "reconstructions": 10,
        "prior_samples": 3200,
        "reverse_samples": None,
        "gradient_batch": 16,
        "gradient_texts": None,
        "longest": 200,
        "examples": 20,
        "measures": None,
        "also": [],
        "evaluators": {},
    },
}
MATCHING = {"distance": "rational-quadratic", "constant": 64.0, "of": "signal"}
TWIN = {
    "matching": {"kind": "matching", "options": MATCHING, "weight": constant(0.1)},
    "twin_reconstruction": {"kind": "twin_reconstruction", "options": {}, "weight": constant()},
}
WRITTEN_OUT: dict[str, dict[str, Any]] = {
    "paper/coupled-vae/ptb/vae/seed0": VAE_ON_PTB,
    "paper/coupled-vae/ptb/gru-lm/seed0": {
        **VAE_ON_PTB,
        "system": "gru-lm",
        **dict.fromkeys(("encoder", "posterior", "prior", "signal"), NONE),
        "objective": {"reconstruction": RECONSTRUCTION},
    },
    "paper/coupled-vae/ptb/coupled-beta-0.8-vae/seed0": {
        **VAE_ON_PTB,
        "system": "coupled-beta-0.8-vae",
        "objective": {"reconstruction": RECONSTRUCTION, "kl": kl(ceiling=0.8), **TWIN},
        "coupling": {"kind": "twin", "options": {}},
    },
    "paper/coupled-vae/yahoo/vae/seed0": {
        **VAE_ON_PTB,
        "corpus": "yahoo",
        "text": {**TEXT, "unknown": []},  # _UNK is a word of this corpus like any other
        "encoder": {"kind": "gru", "options": {"hidden": 256, "bidirectional": True, "dropout": 0.2}},
        "decoder": {"kind": "gru", "options": {"hidden": 512, "projection": 200, "dropout": 0.2}},
        "objective": {"reconstruction": RECONSTRUCTION, "kl": kl(start=1000)},
    },
}


@pytest.mark.parametrize("name", WRITTEN_OUT)
def test_the_printed_settings_are_the_protocol_to_the_last_number(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["settings", name]) == 0
    assert yaml.safe_load(capsys.readouterr().out) == WRITTEN_OUT[name]


def test_settings_survive_their_own_dump() -> None:
    for name in WRITTEN_OUT:
        settings = find_run(load_catalog(), name)
        again = RunSettings.model_validate(settings.model_dump(mode="json"))
        assert again == settings
        assert again.identity == settings.identity
        assert again.name == name


def test_short_and_long_forms_mean_the_same() -> None:
    forms: list[Any] = ["gaussian", {"kind": "gaussian"}, {"kind": "gaussian", "options": {}}]
    assert (
        len({RunSettings.model_validate({**VAE_ON_PTB, "posterior": form}).identity for form in forms}) == 1
    )
    short = {"kind": "gru", "hidden": 128}  # defaults filled in
    assert RunSettings.model_validate({**VAE_ON_PTB, "encoder": short}).model_dump(mode="json") == VAE_ON_PTB


def test_validation_leaves_its_input_alone() -> None:
    values = copy.deepcopy(VAE_ON_PTB)
    values["encoder"]["options"] = {"hidden": 128}
    before = copy.deepcopy(values)
    RunSettings.model_validate(values)
    assert values == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"posterior": "none"}, "encoder 'gru' needs a posterior: codes are drawn"),
        (
            {"encoder": "none"},
            "posterior 'gaussian' needs an encoder: it reads(.|\\n)*allowed: encoder 'gru'",
        ),
        ({"encoder": "none", "posterior": "none", "signal": "none"}, "a language model has no codes"),
        ({"signal": "none"}, "encoder 'gru' needs a signal: the decoder reads h"),
        ({"posterior": "point"}, "term 'kl' needs the property 'density': .*(.|\\n)*posterior 'gaussian'"),
        ({"posterior": "point", "objective": {}}, "nothing would use the prior(.|\\n)*allowed: .*term 'mmd'"),
        ({"coupling": "twin"}, "nothing would use the twin(.|\\n)*allowed: term 'matching', term 'twin_rec"),
        ({"objective": {"matching": {}}}, "term 'matching' needs the property 'twin'(.|\\n)*coupling 'twin'"),
        (
            {"procedure": "semi-amortised", "posterior": "planar-flow"},
            "'semi-amortised' needs the property 'gaussian': it refines a mean(.|\\n)*posterior 'gaussian'",
        ),
        (
            {"procedure": "semi-amortised", "posterior": "point", "prior": "none", "objective": {}},
            "'semi-amortised' needs the property 'gaussian'",
        ),
        *(
            (
                {"procedure": procedure, "objective": {}}
                | dict.fromkeys(("encoder", "posterior", "prior", "signal"), "none"),
                message,
            )
            for procedure, message in (
                ("semi-amortised", "needs the property 'gaussian'"),
                ("aggressive", "needs the property 'density'"),
            )
        ),
        (
            {"procedure": "aggressive", "posterior": "point", "prior": "none", "objective": {}},
            "needs the property 'density'",
        ),
        (
            {"posterior": "vmf"},
            "codes in space 'sphere', prior .* in 'euclidean'(.|\\n)*allowed: .*'uniform-sph",
        ),
        ({"prior": "uniform-sphere"}, "codes in space 'euclidean', prior 'uniform-sphere' in 'sphere'"),
        ({"prior": "none"}, "needs a prior: the likelihood of a text is measured with both"),
        ({"prior": "none", "objective": {}}, "posterior 'gaussian' needs a prior"),
        ({"decoder": "none"}, r"unknown decoder 'none'(.|\n)*allowed: cnn, gru, layer-norm-lstm, lstm"),
        (
            {"procedure": "none"},
            r"unknown procedure 'none'(.|\n)*allowed: aggressive, alternating, clustered, semi-amortised, standard",
        ),
        ({"coupling": {"kind": "none", "constant": 3}}, "coupling is 'none' and takes no options, found"),
        (
            {"objective": {"kl": {"kind": "none", "weight": 2}}},
            "'kl' is 'none' and takes neither options nor a",
        ),
        ({"objective": {"kll": {}}}, "unknown term 'kll'(.|\\n)*did you mean 'kl'"),
        ({"objective": {"kl": {"kind": "free-bits", "taget": 3}}}, "kl: term free-bits(.|\\n)*'target'"),
        (
            {"objective": {"kl": {"weight": {"kind": "linear"}}}},
            "kl: weight: weight linear(.|\\n)*missing|missing",
        ),
        ({"objective": {"kl": {"weight": "lineer"}}}, "unknown weight 'lineer'(.|\\n)*did you mean 'linear'"),
        ({"objective": {"kl": {"weight": -1}}}, "value is -1(.|\\n)*greater than or equal to 0"),
        ({"objective": {"total": {"kind": "kl"}}}, "cannot be named 'total'"),
        ({"objective": {"kl_weight": {"kind": "kl"}}}, "cannot be named 'kl_weight'"),
        ({"objective": {"Kl": {"kind": "kl"}}}, "objective"),
        ({"objective": {"kl": 3}}, "expected the name of a part, or {kind: name, option: value}; found 3"),
        ({"objective": [1]}, "objective"),
        ({"encoder": "gruu"}, "unknown encoder 'gruu'(.|\n)*did you mean 'gru'"),
        ({"encoder": {"kind": "gru", "hiden": 3}}, "unknown key 'hiden'(.|\n)*'hidden'"),
        ({"encoder": {"kind": "gru", "hidden": 0}}, "hidden is 0(.|\n)*greater than or equal to 1"),
        ({"encoder": {"kind": "gru"}}, "hidden is missing"),
        ({"encoder": {"hidden": 3}}, "encoder"),
        ({"encoder": 5}, "expected the name of a part, or {kind: name, option: value}; found 5"),
        ({"encoder": {"kind": "gru", "options": {"hidden": 3}, "x": 1}}, "encoder"),
        ({"latent": 0}, "latent"),
        ({"seed": -1}, "seed"),
        ({"system": "My VAE"}, "system"),
        ({"optimiser": {"betas": [0.9, 1.0]}}, "betas"),
        ({"optimiser": {"learning_rate": float("inf")}}, "learning_rate"),
        ({"latnet": 3}, "latnet"),
    ],
)
def test_what_does_not_fit_together_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        RunSettings.model_validate(VAE_ON_PTB | changes)


LANGUAGE_MODEL = "paper/coupled-vae/ptb/gru-lm/seed0"
AUTOENCODER = "paper/coupled-vae/ptb/dae/seed0"


@pytest.mark.parametrize(
    ("name", "settings", "what"),
    [
        (LANGUAGE_MODEL, {"coupling": "twin"}, "coupling 'twin' needs a posterior"),
        (LANGUAGE_MODEL, {"objective": {"kl": {"kind": "kl"}}}, "term 'kl' needs the property 'density'"),
        (
            AUTOENCODER,
            {"objective": {"kl": {"kind": "kl"}}, "prior": "standard-normal"},
            "term 'kl' needs the property 'density'",
        ),
        (AUTOENCODER, {"objective": {"kll": {"weight": 1}}}, "unknown term 'kll'"),
        (AUTOENCODER, {"prior": "standard"}, "unknown prior 'standard'(.|\n)*'standard-normal'"),
    ],
)
def test_a_combination_that_does_not_exist_is_told_with_the_run(
    name: str, settings: dict[str, Any], what: str
) -> None:
    with pytest.raises(BenchError, match=what) as caught:
        find_run(load_catalog(), name, settings)
    assert caught.value.where in (f"run {name.rpartition('/')[0]}", "settings: objective")


def test_a_coupled_autoencoder_exists() -> None:
    terms = {name: {"kind": name} for name in ("matching", "twin_reconstruction")}
    run = find_run(load_catalog(), AUTOENCODER, {"coupling": "twin", "objective": terms})
    assert (run.coupling.kind, list(run.objective)) == ("twin", ["reconstruction", *terms])


def test_a_deterministic_code_may_have_a_prior_that_a_term_uses() -> None:
    mmd = {"mmd": {"kind": "mmd", "weight": 3}}
    run = find_run(load_catalog(), AUTOENCODER, {"prior": "standard-normal", "objective": mmd})
    assert (run.prior.kind, run.objective["mmd"].weight.options) == ("standard-normal", {"value": 3.0})


def test_terms_are_computed_in_one_order_whatever_the_order_they_are_written_in() -> None:
    terms: dict[str, Any] = {
        name: {} for name in ("twin_reconstruction", "mmd", "matching", "kl", "reconstruction")
    }
    run = RunSettings.model_validate(VAE_ON_PTB | {"coupling": "twin", "objective": terms})
    assert list(run.objective) == ["reconstruction", "kl", "mmd", "matching", "twin_reconstruction"]


def test_a_term_has_a_name_of_its_own_and_the_weight_one() -> None:
    terms: dict[str, Any] = {
        "reconstruction": "none",
        "floor": {"kind": "free-bits", "target": 2},
        "kl": None,
    }
    run = RunSettings.model_validate(VAE_ON_PTB | {"objective": terms})
    assert {name: (term.kind, term.weight.options) for name, term in run.objective.items()} == {
        "floor": ("free-bits", {"value": 1.0}),
        "kl": ("kl", {"value": 1.0}),
    }


@pytest.mark.parametrize(
    ("step", "decays"),
    [(1, 0), (30_000, 0), (32_000, 0), (32_001, 1), (34_000, 1), (34_001, 2), (60_000, 14)],
)
def test_the_rate_is_halved_after_each_later_multiple(step: int, decays: int) -> None:
    assert Optimiser().rate(step) == pytest.approx(1e-3 * 0.5**decays)


def test_the_rate_starts_to_fall_at_the_next_multiple_whatever_the_step_after_which_it_may() -> None:
    optimiser = Optimiser(learning_rate=1.0, decay_after=5, decay_every=2, decay_factor=0.1)
    assert [optimiser.rate(step) for step in (5, 6, 7, 8, 9)] == pytest.approx([1, 1, 0.1, 0.1, 0.01])
