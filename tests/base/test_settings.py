"""What a run is: the protocols to the last number, what does not fit together, what the identity hashes."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from bench.base.errors import BenchError
from bench.base.settings import Optimiser, RunSettings
from bench.catalog.declarations import load_catalog
from bench.cli.commands import main
from bench.planning.plan import find_run

NONE: dict[str, Any] = {"kind": "none", "options": {}}
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
    "posterior": {"kind": "gaussian", "options": {}},
    "prior": {"kind": "standard-normal", "options": {}},
    "signal": {"kind": "mlp", "options": {}},
    "decoder": {"kind": "gru", "options": {"hidden": 256, "projection": 200, "dropout": 0.2}},
    "regulariser": {"kind": "kl", "options": {}},
    "aggregate": NONE,
    "schedule": {"kind": "linear", "options": {"start": 2000, "length": 40000, "ceiling": 1.0, "floor": 0.0}},
    "coupling": NONE,
    "procedure": {"kind": "standard", "options": {}},
    "initial": {"weights": None, "embedding": None},
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
        "embedding_updates": "deduplicated",
        "decay": "steps",
        "patience": 2,
        "most_decays": 5,
    },
    "training": {
        "steps": 60000,
        "batch": 32,
        "pool": 50,
        "validate_every": 1000,
        "validation_samples": 10,
        "log_every": 100,
        "gradient_texts": 128,
        "precision": "auto",
    },
    "evaluation": {
        "samples": 100,
        "information_block": 513,
        "reconstructions": 10,
        "prior_samples": 3200,
        "gradient_batch": 16,
        "gradient_texts": None,
        "longest": 200,
        "examples": 20,
    },
}
TWIN = {
    "reconstruction_weight": 1.0,
    "matching_weight": 0.1,
    "distance": "rational-quadratic",
    "constant": 64.0,
}
WRITTEN_OUT: dict[str, dict[str, Any]] = {
    "paper/coupled-vae/ptb/vae/seed0": VAE_ON_PTB,
    "paper/coupled-vae/ptb/gru-lm/seed0": {
        **VAE_ON_PTB,
        "system": "gru-lm",
        **dict.fromkeys(("encoder", "posterior", "prior", "signal", "regulariser", "schedule"), NONE),
    },
    "paper/coupled-vae/ptb/coupled-beta-0.8-vae/seed0": {
        **VAE_ON_PTB,
        "system": "coupled-beta-0.8-vae",
        "schedule": {
            "kind": "linear",
            "options": {"start": 2000, "length": 40000, "ceiling": 0.8, "floor": 0.0},
        },
        "coupling": {"kind": "twin", "options": TWIN},
    },
    "paper/coupled-vae/yahoo/vae/seed0": {
        **VAE_ON_PTB,
        "corpus": "yahoo",
        "text": {**TEXT, "unknown": []},  # _UNK is a word of this corpus like any other
        "encoder": {"kind": "gru", "options": {"hidden": 256, "bidirectional": True, "dropout": 0.2}},
        "decoder": {"kind": "gru", "options": {"hidden": 512, "projection": 200, "dropout": 0.2}},
        "schedule": {
            "kind": "linear",
            "options": {"start": 1000, "length": 40000, "ceiling": 1.0, "floor": 0.0},
        },
    },
}


@pytest.mark.parametrize("name", WRITTEN_OUT)
def test_the_printed_settings_are_the_protocol_to_the_last_number(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["settings", name]) == 0
    assert yaml.safe_load(capsys.readouterr().out) == WRITTEN_OUT[name]


def test_the_identity_of_a_protocol_is_that_of_earlier_versions() -> None:
    """Runs that were made before must not be orphaned; a change here must be meant."""
    settings = RunSettings.model_validate(VAE_ON_PTB)
    assert (settings.identity, settings.training_identity) == ("08c744b07968b3aa", "48bdde80bc8242d0")


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
        ({"posterior": "none"}, "an encoder and a posterior come together"),
        ({"encoder": "none"}, "an encoder and a posterior come together"),
        (
            {"encoder": "none", "posterior": "none", "signal": "none"},
            "a language model .* has no prior",
        ),
        ({"signal": "none"}, "a map from z to h .signal. come together"),
        ({"regulariser": "none"}, "a regulariser and its schedule come together"),
        ({"schedule": "none"}, "a regulariser and its schedule come together"),
        ({"posterior": "point"}, "a regulariser needs a posterior with a density and a prior"),
        ({"posterior": "point", "regulariser": "none", "schedule": "none"}, "nothing would use the prior"),
        ({"procedure": "semi-amortised", "posterior": "planar-flow"}, "it needs posterior 'gaussian'"),
        (
            {"procedure": "semi-amortised", "posterior": "point", "prior": "none"}
            | {"regulariser": "none", "schedule": "none"},
            "it needs posterior 'gaussian'",
        ),
        *(
            (
                {"procedure": procedure}
                | dict.fromkeys(
                    ("encoder", "posterior", "prior", "signal", "regulariser", "schedule"), "none"
                ),
                message,
            )
            for procedure, message in (
                ("semi-amortised", "it needs posterior 'gaussian'"),
                ("aggressive", "needs a density and a prior"),
            )
        ),
        (
            {"procedure": "aggressive", "posterior": "point", "prior": "none"}
            | {"regulariser": "none", "schedule": "none"},
            "needs a density and a prior",
        ),
        ({"posterior": "vmf"}, "both live on the sphere"),
        ({"prior": "uniform-sphere"}, "both live on the sphere"),
        ({"prior": "none"}, "a regulariser needs a posterior with a density and a prior"),
        (
            {"prior": "none", "regulariser": "none", "schedule": "none"},
            "a posterior with a density needs a prior",
        ),
        ({"decoder": "none"}, r"unknown decoder 'none'(.|\n)*allowed: cnn, gru, lstm"),
        (
            {"procedure": "none"},
            r"unknown procedure 'none'(.|\n)*allowed: aggressive, semi-amortised, standard",
        ),
        ({"coupling": {"kind": "none", "constant": 3}}, "coupling is 'none' and takes no options, found"),
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
        (LANGUAGE_MODEL, {"coupling": "twin"}, "a language model .* no coupling"),
        (LANGUAGE_MODEL, {"regulariser": "kl", "schedule": "constant"}, "a language model .* no regulariser"),
        (
            AUTOENCODER,
            {"regulariser": "kl", "schedule": "constant", "prior": "standard-normal"},
            "with a density",
        ),
        (AUTOENCODER, {"prior": "standard"}, "unknown prior 'standard'(.|\n)*'standard-normal'"),
    ],
)
def test_a_combination_that_does_not_exist_is_told_with_the_run(
    name: str, settings: dict[str, Any], what: str
) -> None:
    with pytest.raises(BenchError, match=what) as caught:
        find_run(load_catalog(), name, settings)
    assert caught.value.where == f"run {name.rpartition('/')[0]}"


def test_a_coupled_autoencoder_exists() -> None:
    assert find_run(load_catalog(), AUTOENCODER, {"coupling": "twin"}).coupling.kind == "twin"


@pytest.mark.parametrize(
    ("step", "decays"),
    [(1, 0), (30_000, 0), (32_000, 0), (32_001, 1), (34_000, 1), (34_001, 2), (60_000, 14)],
)
def test_the_rate_is_halved_after_each_later_multiple(step: int, decays: int) -> None:
    assert Optimiser().rate(step) == pytest.approx(1e-3 * 0.5**decays)


def test_the_rate_starts_to_fall_at_the_next_multiple_whatever_the_step_after_which_it_may() -> None:
    optimiser = Optimiser(learning_rate=1.0, decay_after=5, decay_every=2, decay_factor=0.1)
    assert [optimiser.rate(step) for step in (5, 6, 7, 8, 9)] == pytest.approx([1, 1, 0.1, 0.1, 0.01])
