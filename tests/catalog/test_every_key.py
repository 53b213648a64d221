"""Every setting counts: it changes the identity of a run and what the run computes, and nothing else does.

Each leaf of a run's settings has another value in a table below. A leaf that is missing from the tables, or
that changes nothing, is a fault.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.base.errors import BenchError
from bench.base.registry import SINGLE
from bench.base.settings import RunSettings
from bench.corpora.entries import load_entry
from bench.corpora.fetch import fetch
from bench.corpora.prepare import prepare
from bench.corpora.prepared import Prepared
from bench.metrics.evaluate import evaluate_run
from bench.training.loop import Trainer
from bench.training.run import train_run
from tests.conftest import tiny_settings

Outcome = dict[str, Any]
BASE = tiny_settings(
    "coupled-vae",
    text={"max_length": 6},
    objective={"kl": {"weight": {"start": 2, "length": 10, "ceiling": 0.5}}},
    optimiser={"clip": 1.0, "decay_after": 4, "decay_every": 2},
    training={"steps": 10, "validate_every": 5, "log_every": 4},
    evaluation={"gradient_batch": 4, "longest": 2},
)
# A run that has learnt to write more than the end symbol, so that it matters how much is decoded.
ABLE = tiny_settings(
    "coupled-vae",
    optimiser={"learning_rate": 0.03, "decay_after": 1000},
    training={"steps": 60, "validate_every": 60, "gradient_texts": 0},
    evaluation={"gradient_batch": 4, "longest": 2, "also": ["released-ngrams"]},
)

# A run whose rate is so high that it decays on plateaus of the validation, until it may no more.
RESTLESS = tiny_settings(
    "coupled-vae",
    optimiser={
        "kind": "sgd",
        "learning_rate": 1.0,
        "decay": "plateau",
        "decay_after": 2,
        "patience": 1,
        "most_decays": 2,
    },
    training={"steps": 20, "validate_every": 1, "gradient_texts": 0},
)

WILD = RESTLESS.optimiser.model_copy(update={"learning_rate": 10.0, "decay": "steps", "clip": 100.0})

NAMES: dict[str, Any] = {
    "tier": "quick",
    "paper": "another",
    "system": "another",
}  # they name and seed nothing
TRAINING: dict[str, Any] = {
    "corpus": "another",
    "seed": 1,
    "embedding": 13,
    "latent": 5,
    "encoder.options.hidden": 9,
    "encoder.options.bidirectional": False,
    "encoder.options.dropout": 0.3,
    "decoder.options.hidden": 17,
    "decoder.options.projection": 13,
    "decoder.options.dropout": 0.3,
    "objective.reconstruction.weight.options.value": 2.0,
    "objective.reconstruction.options.mean": "tokens",
    "objective.kl.weight.options.start": 3,
    "objective.kl.weight.options.length": 11,
    "objective.kl.weight.options.ceiling": 0.4,
    "objective.kl.weight.options.floor": 0.1,
    "objective.twin_reconstruction.weight.options.value": 0.5,
    "objective.matching.weight.options.value": 0.2,
    "objective.matching.options.distance": "euclidean",
    "objective.matching.options.constant": 48.0,
    "optimiser.kind": "sgd",
    "initial.weights": 0.1,
    "initial.embedding": 0.1,
    "optimiser.learning_rate": 0.02,
    "optimiser.betas.0": 0.8,
    "optimiser.betas.1": 0.99,
    "optimiser.epsilon": 1e-3,
    "optimiser.clip": 0.5,
    "optimiser.decay": "plateau",
    "optimiser.decay_factor": 0.6,
    "optimiser.decay_after": 6,
    "optimiser.decay_every": 3,
    "optimiser.clip_by": "value",
    "posterior.options.batch_norm": True,
    "posterior.options.hidden": 5,
    "posterior.options.spread": "variance",
    "training.steps": 11,
    "training.batch": 16,
    "training.pool": 1,
    "training.equal_lengths": True,
    "training.same_batches": True,
    "training.validate_every": 6,
    "training.validation_samples": 3,
    "training.log_every": 3,
    "training.gradient_texts": 9,
    "training.word_dropout": {"rise": 0.5, "every": 5, "most": 0.5},
    "training.ends": "short",
    "training.precision": "bfloat16",
}
PLATEAU: dict[str, Any] = {"optimiser.patience": 3, "optimiser.most_decays": 1}
# What is chosen of a training, and not how it goes on: test_the_last_weights_are_kept_or_the_best, test_criterion.py.
UNSELECTED: dict[str, Any] = {"training.keep": "last", "training.criterion": "reconstruction"}
RMSPROP: dict[str, Any] = {"optimiser.smoothing": 0.9}
TREATMENT: dict[str, Any] = {
    "text.min_count": 2,
    "text.max_words": 3,
    "text.vocabulary_from": ["train", "valid"],
    "text.unknown": ["<unk>", "dog"],
    "text.oov": "error",
    "text.max_length": 5,
    "text.overlong": "drop",
    "text.lowercase": True,
    "text.min_length": 3,
}
EVALUATION: dict[str, Any] = {
    "evaluation.samples": 6,
    "evaluation.information_block": 50,
    "evaluation.reconstructions": 3,
    "evaluation.prior_samples": 17,
    "evaluation.reverse_samples": 19,
    "evaluation.gradient_batch": 5,
    "evaluation.gradient_texts": 9,
    "evaluation.longest": 3,
    "evaluation.examples": 4,
}
START: dict[str, Any] = {  # tests/training/test_start.py and test_vectors.py show what it changes
    "initial.vectors": {"kind": "word2vec", "options": {}},
    "starts_from": {"system": "dae", "modules": ["embedding"], "identity": "0"},
}
GIVEN: dict[str, Any] = {  # tests/models/test_conditions.py and tests/training/test_fields.py show it
    "objective.matching.options.of": "code",
    "reads": "context",
}
SELECTED: dict[str, Any] = {  # what is measured, and not how
    "evaluation.measures": ["likelihood"],
    "evaluation.also": ["unigrams"],
}
ABSENT: dict[str, Any] = {"kind": "none", "options": {}}
TERMS: dict[str, Any] = BASE.model_dump(mode="json")["objective"]


def without(*names: str) -> dict[str, Any]:
    """The objective without some of its terms."""
    return {"objective": {name: term for name, term in TERMS.items() if name not in names}}


KINDS: dict[str, dict[str, Any]] = {  # per choice, another kind of it and what that entails
    "encoder": dict.fromkeys(("encoder", "posterior", "prior", "signal", "coupling"), ABSENT)
    | without("kl", "matching", "twin_reconstruction"),
    "condition": {"condition": {"kind": "gru", "options": {"field": "text", "hidden": 9}}},
    "posterior": {"posterior": {"kind": "point", "options": {}}, "prior": ABSENT} | without("kl"),
    "prior": {"posterior": {"kind": "point", "options": {}}, "prior": ABSENT} | without("kl"),
    "signal": {
        "signal": {"kind": "identity", "options": {}},
        "decoder": {"kind": "lstm", "options": {"hidden": 9}},
    },
    "decoder": {"decoder": {"kind": "lstm", "options": {"hidden": 9}}},
    "no term": without("kl"),
    "another term": {"objective": TERMS | {"mmd": {"kind": "mmd", "options": {}}}},
    "term": {"objective": TERMS | {"kl": TERMS["kl"] | {"kind": "free-bits", "options": {"target": 90.0}}}},
    "weight": {"objective": TERMS | {"kl": TERMS["kl"] | {"weight": 0.5}}},
    "coupling": {"coupling": ABSENT} | without("matching", "twin_reconstruction"),
    "procedure": {"procedure": {"kind": "aggressive", "options": {"inner": 2}}},
    "group that is updated more often": {"groups": {"e": {"modules": ["embedding"], "updates": "owners"}}},
    "group that is frozen": {"groups": {"e": {"modules": ["embedding"], "frozen": True}}},
    "group with a rate": {"groups": {"e": {"modules": ["embedding"], "learning_rate": 0.1}}},
    "group that is clipped by itself": {"groups": {"e": {"modules": ["embedding"], "clip": 0.01}}},
}
ALL = NAMES | TRAINING | PLATEAU | UNSELECTED | RMSPROP | TREATMENT | EVALUATION | START | GIVEN


def leaves(value: Any, path: str = "") -> Iterator[str]:
    """Dotted paths of everything that can be set; a list of numbers is set number by number."""
    items: dict[Any, Any] = value if isinstance(value, dict) else {}
    if isinstance(value, list) and all(isinstance(item, float) for item in value):
        items = dict(enumerate(value))
    if not items and value != {}:
        yield path
    for key, inner in items.items():
        yield from leaves(inner, f"{path}.{key}".removeprefix("."))


def changed(path: str, value: Any, run: RunSettings = BASE) -> RunSettings:
    """A run, the base one by default, with another value of one leaf."""
    dump: Any = copy.deepcopy(run.model_dump(mode="json"))
    *groups, last = path.split(".")
    place = functools.reduce(lambda held, key: held[int(key) if key.isdigit() else key], groups, dump)
    key = int(last) if last.isdigit() else last
    assert place[key] != value, "the table must name another value"
    place[key] = value
    return RunSettings.model_validate(dump)


def test_the_tables_hold_every_leaf() -> None:
    found = set(leaves(BASE.model_dump(mode="json")))
    assert {"term", "weight", *SINGLE} <= set(KINDS)
    kinds = {path for path in found if path.endswith(".kind") and path != "optimiser.kind"}
    assert found - kinds == {*ALL, *SELECTED}
    assert len(ALL) == sum(
        map(len, (NAMES, TRAINING, PLATEAU, UNSELECTED, RMSPROP, TREATMENT, EVALUATION, START, GIVEN))
    )


@pytest.mark.parametrize("path", ALL)
def test_every_leaf_changes_the_identity(path: str) -> None:
    other = changed(path, ALL[path])
    assert other.identity != BASE.identity
    assert (other.training_identity == BASE.training_identity) == path.startswith("evaluation.")


@pytest.mark.parametrize("path", SELECTED)
def test_a_selection_of_measures_changes_no_identity(path: str) -> None:
    assert changed(path, SELECTED[path]).identity == BASE.identity


@pytest.mark.parametrize("choice", KINDS)
def test_every_kind_changes_the_identity(choice: str) -> None:
    other = BASE.model_dump(mode="json") | KINDS[choice]
    assert RunSettings.model_validate(other).training_identity != BASE.training_identity


def test_the_identities_of_all_changes_differ() -> None:
    identities = [changed(path, value).identity for path, value in ALL.items()]
    assert len({BASE.identity, *identities}) == len(identities) + 1


def train(settings: RunSettings, corpus: Prepared, folder: Path) -> Outcome:
    """Weights and histories of a run, without what only measures time."""
    trainer = Trainer(settings, corpus, folder, torch.device("cpu"))
    trainer.train()
    timed = ("seconds", "tokens_per_second")
    tables = {"history": trainer.progress.history, "validations": trainer.progress.validations}
    kept = {name: [{k: v for k, v in r.items() if k not in timed} for r in rs] for name, rs in tables.items()}
    return {"weights": [(name, value.tolist()) for name, value in trainer.best.items()], **kept}


@pytest.fixture(scope="module")
def base(corpus: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What the unchanged run gives."""
    return train(BASE, corpus, tmp_path_factory.mktemp("base"))


@pytest.mark.parametrize("path", TRAINING)
def test_every_leaf_of_training_changes_what_is_trained(
    path: str, corpus: Prepared, base: Outcome, tmp_path: Path
) -> None:
    assert train(changed(path, TRAINING[path]), corpus, tmp_path) != base


@pytest.fixture(scope="module")
def restless(corpus: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What the run gives whose rate decays on plateaus."""
    return train(RESTLESS, corpus, tmp_path_factory.mktemp("restless"))


@pytest.mark.parametrize("path", [*PLATEAU, "optimiser.decay_after", "optimiser.decay_factor"])
def test_every_leaf_of_the_decay_on_plateaus_changes_what_is_trained(
    path: str, corpus: Prepared, restless: Outcome, tmp_path: Path
) -> None:
    assert train(changed(path, ALL[path], RESTLESS), corpus, tmp_path) != restless


def test_the_last_weights_are_kept_or_the_best(corpus: Prepared, tmp_path: Path) -> None:
    """At a rate at which the validation gets worse."""
    trainers = []
    for keep in ("best", "last"):
        training = RESTLESS.training.model_copy(update={"keep": keep, "steps": 2})
        other = RESTLESS.model_copy(update={"training": training, "optimiser": WILD})
        trainers.append(Trainer(other, corpus, tmp_path / keep, torch.device("cpu")))
        trainers[-1].train()
    best, last = trainers
    assert best.progress.best is not None
    assert best.progress.best["step"] == 1
    assert last.progress.best is not None
    assert last.progress.best["step"] == 2
    assert all(torch.equal(last.best[name], value) for name, value in last.composition.state_dict().items())
    with pytest.raises(BenchError, match="takes the best weights back"):
        tiny_settings("vae", training={"keep": "last"}, optimiser={"decay": "plateau"})


@pytest.mark.parametrize("path", RMSPROP)
def test_every_leaf_of_rmsprop_changes_what_is_trained(path: str, corpus: Prepared, tmp_path: Path) -> None:
    run = changed("optimiser.kind", "rmsprop")
    other = changed(path, RMSPROP[path], run)
    assert train(run, corpus, tmp_path / "run") != train(other, corpus, tmp_path / "other")


@pytest.mark.parametrize("choice", KINDS)
def test_every_kind_changes_what_is_trained(
    choice: str, corpus: Prepared, base: Outcome, tmp_path: Path
) -> None:
    settings = RunSettings.model_validate(BASE.model_dump(mode="json") | KINDS[choice])
    assert train(settings, corpus, tmp_path) != base


@pytest.mark.parametrize("path", [*NAMES, *EVALUATION])
def test_names_and_evaluation_do_not_change_what_is_trained(
    path: str, corpus: Prepared, base: Outcome, tmp_path: Path
) -> None:
    """A baseline and its twin differ in name: were the name a seed, they would not be paired."""
    other = train(changed(path, ALL[path]), corpus, tmp_path)
    assert other == base


TEXTS = {
    "train": [
        "the dog ran",
        "The dog ran to <unk> house now",
        "a cat sat on the dog",
        "a cat",
        "dog dog Cat ran on",
    ],
    "valid": ["the bird ran", "a cat sat on the red dog there", "the Dog ran on"],
    "test": ["a dog sat", "the cat ran on a fish"],
}


def prepared(settings: RunSettings, folder: Path) -> Prepared:
    """A small corpus that gives every rule something to do, prepared as ``settings`` say."""
    folder.mkdir(exist_ok=True)
    for split, texts in TEXTS.items():
        (folder / f"{split}.txt").write_text("".join(f"{text}\n" for text in texts))
    files = ", ".join(f"{split}: {split}.txt" for split in TEXTS)
    (folder / "mine.yaml").write_text(f"name: mine\ntitle: Mine\nfiles: {{{files}}}\n")
    entry = load_entry(folder / "mine.yaml")
    prepare(entry, fetch(entry, cache=folder), settings.text, folder / "out")
    return Prepared.load(folder / "out")


@pytest.mark.parametrize("path", TREATMENT)
def test_every_rule_for_texts_changes_what_is_trained(path: str, tmp_path: Path) -> None:
    settings = changed(path, TREATMENT[path])
    unchanged = prepared(BASE, tmp_path / "base")
    if path == "text.oov":
        with pytest.raises(BenchError, match="'bird', which is not in the vocabulary"):
            prepared(settings, tmp_path / "other")
        return
    corpus = prepared(settings, tmp_path / "other")
    assert corpus.data_hash != unchanged.data_hash
    few = {"training": {**BASE.training.model_dump(), "steps": 2, "validate_every": 1}}
    outcomes = [
        train(RunSettings.model_validate(run.model_dump() | few), data, tmp_path / f"state{number}")
        for number, (run, data) in enumerate([(BASE, unchanged), (settings, corpus)])
    ]
    assert outcomes[0] != outcomes[1]


@pytest.fixture(scope="module")
def run_folder(corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of runs with the trained one."""
    folder = tmp_path_factory.mktemp("runs")
    train_run(ABLE, corpora, folder, folder / "state", device="cpu", threads=1)
    return folder


@pytest.fixture(scope="module")
def measured(corpora: Path, run_folder: Path) -> Outcome:
    """What is measured of the unchanged run."""
    return measure(ABLE, corpora, run_folder)


def measure(settings: RunSettings, corpora: Path, runs: Path) -> Outcome:
    content = evaluate_run(settings, corpora, runs, device="cpu", threads=1)
    return {"numbers": content["measurements"], "texts": (runs / settings.name / "texts.json").read_text()}


@pytest.mark.parametrize("path", EVALUATION)
def test_every_leaf_of_evaluation_changes_what_is_measured(
    path: str, corpora: Path, run_folder: Path, measured: Outcome
) -> None:
    found = measure(changed(path, EVALUATION[path], ABLE), corpora, run_folder)
    shown = "texts" if path == "evaluation.examples" else "numbers"
    assert found[shown] != measured[shown]


def test_measuring_twice_gives_the_same(corpora: Path, run_folder: Path, measured: Outcome) -> None:
    assert measure(ABLE, corpora, run_folder) == measured
