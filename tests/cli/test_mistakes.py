"""Every mistake gives one message: what, where, what is allowed, what to do; and it changes no file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.base.files import read_json
from bench.catalog.catalog import load_catalog
from bench.cli.main import main
from bench.corpora.prepared import Prepared
from bench.planning.resolve import find_run
from bench.store.freshness import state_folder
from bench.training import state
from tests.cli.conftest import CPU, PREPARED, RUN, SETTINGS, Refused
from tests.conftest import CORPUS

TRAIN = ("train", RUN, *CPU, "--settings")
MISTAKES: list[tuple[tuple[object, ...], tuple[str, ...]]] = [
    (("fetch", "ptb", "--mirror", "/nope", "--out", "x.json"), ("the mirror is not there", "where:   /nope")),
    (("fetch", "pbt", "--out", "x.json"), ("unknown corpus 'pbt'", "did you mean 'ptb'")),
    (
        ("prepare", "coupled", CORPUS, "--sources", "x", "--out", "y"),
        ("unknown paper 'coupled'", "'coupled-vae'"),
    ),
    (("prepare", "coupled-vae", CORPUS, "--sources", "x", "--out", "y"), ("file not found", "where:   x")),
    (("train", "demo/vae"), ("'demo/vae' is not the name of a run", "TIER/PAPER/CORPUS/SYSTEM/seedN")),
    (("train", RUN.replace("demo", "dmeo")), ("unknown tier 'dmeo'", "did you mean 'demo'")),
    (("train", RUN.replace("coupled-vae/", "coupled/")), ("unknown paper 'coupled'",)),
    (("train", RUN.replace(CORPUS, "generated-tny")), ("unknown corpus", "did you mean 'generated-tiny'")),
    (("train", RUN.replace("/vae/", "/vea/")), ("unknown system 'vea'", "did you mean 'vae'")),
    (
        ("train", RUN.replace(CORPUS, "ptb"), *CPU),
        ("file not found", "ptb/corpus.json", "bench prepare coupled-vae ptb --sources"),
    ),
    (("train", RUN, "--device", "tpu"), ("unknown device 'tpu'", "allowed: auto, cpu, cuda")),
    ((*TRAIN, "{steps: 1}"), ("--settings is not JSON", "where:   {steps: 1}", 'for example {"training"')),
    ((*TRAIN, "[1]"), ("--settings is not a mapping", "where:   [1]")),
    ((*TRAIN, '{"traning": {}}'), ("unknown key 'traning'", "did you mean 'training'")),
    (
        (*TRAIN, '{"training": {"stepz": 1}}'),
        ("unknown key 'stepz'", "training.stepz", "did you mean 'steps'"),
    ),
    ((*TRAIN, '{"training": {"steps": "x"}}'), ("training.steps is 'x'", "allowed: an integer")),
    ((*TRAIN, '{"training": {"steps": 0}}'), ("training.steps is 0", "greater than or equal to 1")),
    ((*TRAIN, '{"encoder": {"hiden": 1}}'), ("unknown key 'hiden'", "encoder gru", "did you mean 'hidden'")),
    ((*TRAIN, '{"encoder": "gruu"}'), ("unknown encoder 'gruu'", "did you mean 'gru'")),
    ((*TRAIN, '{"posterior": "point"}'), ("term 'kl' needs the property 'density'",)),
    ((*TRAIN, '{"optimiser": {"learning_rate": NaN}}'), ("learning_rate is nan", "a finite number")),
    ((*TRAIN, '{"seed": 3}'), ("seed is not a setting: it is part of the run's name",)),
    (("evaluate", RUN.replace("seed0", "seed1")), ("file not found", "seed1/run.json", "bench train demo/")),
    (
        ("evaluate", RUN, *CPU),
        ("trained under another configuration (", "give the --settings that", "train the run again"),
    ),
    (("settings", "demo"), ("is not the name of a run",)),
    (("report", "--results", "absent"), ("results folder not found", "where:   absent")),
    (
        ("report", "--tables", "table11"),
        ("unknown table 'table11'", "papers apo-vae, control-vae, coupled-vae", "did you mean 'table1'"),
    ),
    (("report", "--tier", "dmeo"), ("unknown tier 'dmeo'",)),
    (("report", "--request", "{"), ("--request is not JSON", 'for example {"tier": "quick"}')),
    (("report", "--request", '{"teir": 1}'), ("unknown key 'teir'", "did you mean 'tier'")),
    (("plan", "--seeds", "one"), ("'one' is no seed", "a range as 0-4")),
    (("plan", "--papers", "coupled"), ("unknown paper 'coupled'",)),
    (("publish", "../../etc"), ("is not the name of a run",)),
    (("publish", RUN.replace("seed0", "seed1")), ("there is no run.json of this run", "bench train")),
    (("status", "--results", "absent"), ("results folder not found",)),
    (("show", "table", "coupled/1"), ("unknown paper 'coupled'", "did you mean 'coupled-vae'")),
    (("show", "table", "coupled-vae/tabel1"), ("unknown table 'tabel1'", "did you mean 'table1'")),
    (("show", "table", "coupled-vae"), ("does not name a table", "coupled-vae/table1")),
    (("show", "table", "coupled-vae/1", "--corpus", "pbt"), ("unknown corpus 'pbt'", "did you mean 'ptb'")),
    (("show", "table", "coupled-vae/1", "--results", "absent"), ("results folder not found",)),
    (("show", "claims", "coupled"), ("unknown paper 'coupled'",)),
    (("compare", RUN, RUN.replace("/vae/", "/vea/")), ("unknown run", f"did you mean '{RUN}'")),
    (("compare", RUN, "vae"), ("'vae' is not the name of a run",)),
    (("compare", RUN, RUN, "--metric", "nlll"), ("unknown metric 'nlll'", "did you mean 'nll'")),
    (("samples", f"published/{RUN}"), ("unknown run",)),
    (
        ("samples", RUN, "--kind", "reconstruction"),
        ("has no reconstruction", "did you mean 'reconstructions'"),
    ),
    (("interpolate", RUN, "", "a"), ("a sentence without words",)),
    (("interpolate", RUN, "<eos>", "a"), ("the reserved symbol '<eos>'",)),
    (("interpolate", RUN, "a " * 201, "a"), ("a sentence of 201 words", "at most 200 words")),
    (("interpolate", RUN, "a", "b", "--corpora", "none"), ("file not found", "corpus.json")),
]


@pytest.mark.parametrize(("arguments", "parts"), MISTAKES, ids=lambda value: " ".join(map(str, value))[:60])
def test_a_mistake_is_one_message(
    arguments: tuple[object, ...], parts: tuple[str, ...], refused: Refused
) -> None:
    message = refused(*arguments)
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["trian"], "did you mean 'train'?"),
        (["list", "metrics"], "invalid choice: 'metrics'"),
        (["train"], "the following arguments are required: run"),
        (["list"], "  allowed: systems, corpora, papers, tiers, parts"),
        (["show"], "  allowed: table, claims"),
        (["train", RUN, "--threads", "0"], "argument --threads: '0' is not a positive number"),
        (["train", RUN, "--thread", "x"], "'x' is not a positive number"),
        (["status", "--verbose"], "unrecognized arguments: --verbose"),
        (["train", RUN, "--setings", "{}"], "did you mean '--settings'?"),
        (["evaluate", RUN, "--divice=cpu"], "did you mean '--device'?"),
    ],
)
def test_a_wrong_usage_is_told(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    told = capsys.readouterr().err
    assert message in told
    assert len(told.splitlines()) == 2 + ("  allowed: " in told)
    assert told.splitlines()[-1].endswith("--help lists what there is")


@pytest.mark.parametrize("content", ["[1]", '{"a": 1}', "{", '{"mine/train.txt": "absent.txt"}'])
def test_a_list_of_sources_that_is_none_is_told(content: str, here: Path, refused: Refused) -> None:
    (here / "sources.json").write_text(content)
    refused("prepare", "coupled-vae", "ptb", "--sources", "sources.json", "--out", "out")


@pytest.fixture
def own(here: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[str, ...]]:
    """``own(train, valid, test)``: fetches a corpus of these texts; the beginning of the command that prepares it."""

    def make(*texts: str) -> tuple[str, ...]:
        folder = here / "catalog" / "corpora"
        folder.mkdir(parents=True)
        for split, text in zip(("train", "valid", "test"), texts, strict=True):
            (folder / f"{split}.txt").write_text(text)
        (folder / "mine.yaml").write_text(
            "name: mine\ntitle: M\nfiles: {train: train.txt, valid: valid.txt, test: test.txt}\n"
        )
        monkeypatch.setenv("BENCH_CATALOG", str(here / "catalog"))
        assert main(["fetch", "mine", "--out", "mine.json"]) == 0
        return ("prepare", "coupled-vae", "mine", "--sources", "mine.json", "--out", "out")

    return make


FINE = "a b c\nb a\n"


@pytest.mark.parametrize(
    ("texts", "settings", "parts"),
    [
        (("", "", ""), "{}", ("the train split of mine has 0 text(s)", "two are needed", "add texts")),
        ((FINE, "\n \n", FINE), "{}", ("the valid split of mine has 0 text(s)",)),
        ((FINE, FINE, "a b\n"), "{}", ("the test split of mine has 1 text(s)",)),
        (
            (FINE, FINE, "a\na zebra\n"),
            '{"text": {"oov": "error"}}',
            ("line 2 of the test split", "'zebra'", 'oov to "unknown"'),
        ),
        ((FINE, FINE, "a\n<eos> b\n"), "{}", ("line 2 of the test split", "the reserved symbol '<eos>'")),
        (
            (FINE, FINE, FINE),
            '{"text": {"min_length": 3}}',
            ("has 1 text(s) after treatment", "relax min_length"),
        ),
        (
            (FINE, FINE, FINE),
            '{"text": {"min_lenght": 3}}',
            ("unknown key 'min_lenght'", "did you mean 'min_length'"),
        ),
    ],
)
def test_a_corpus_that_cannot_be_used_is_explained(
    texts: tuple[str, ...], settings: str, parts: tuple[str, ...], own: Any, refused: Refused, here: Path
) -> None:
    message = refused(*own(*texts), "--settings", settings)
    assert all(part in message for part in parts), message
    assert not (here / "out").exists()


def test_a_corpus_of_ones_own_without_its_catalog_is_told(
    own: Any, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    own(FINE, FINE, FINE)
    monkeypatch.delenv("BENCH_CATALOG")
    message = refused("fetch", "mine", "--out", "again.json")
    assert "the corpus 'mine' is in no catalog that was given" in message
    assert "BENCH_CATALOG=catalog, or snakemake --config catalog=catalog" in message


def test_a_run_that_is_trained_is_not_trained_again_unasked(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = here / "results" / "runs" / RUN
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert main([*TRAIN, SETTINGS]) == 0
    assert f"{RUN} is trained already: --again trains it again" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert main([*TRAIN, SETTINGS, "--again"]) == 0
    made = (folder / "run.json").stat().st_mtime_ns
    assert made != before[folder / "run.json"]
    (folder / "model.safetensors").unlink()  # as of a run that was carried home without its weights
    assert main([*TRAIN, SETTINGS]) == 0
    assert (folder / "run.json").stat().st_mtime_ns != made


def test_a_file_of_ones_own_corpus_that_is_gone_is_told(own: Any, refused: Refused, here: Path) -> None:
    own(FINE, FINE, FINE)
    (here / "catalog" / "corpora" / "test.txt").unlink()
    message = refused("fetch", "mine", "--out", "again.json")
    assert "file of a corpus not found" in message
    assert "test.txt" in message


def test_a_checkpoint_of_another_configuration_is_told(here: Path, refused: Refused) -> None:
    settings = find_run(load_catalog(), RUN.replace("seed0", "seed1"), json.loads(SETTINGS))
    folder = state_folder(here / "results" / "state", settings, Prepared.load(here / PREPARED).data_hash)
    state.save(folder, "another", {}, state.Progress())
    saved = (folder / state.FILE).read_bytes()
    message = refused("train", settings.name, *CPU, "--settings", SETTINGS, leaves=False)
    assert "checkpoint of another configuration" in message
    assert "--state another folder" in message
    assert (folder / state.FILE).read_bytes() == saved
    assert not (here / "results" / "runs" / settings.name).exists()
    assert read_json(folder / "status.json")["state"] == "failed"  # and the report will say so


def test_a_run_on_other_data_is_told(here: Path, refused: Refused) -> None:
    arguments = [
        "prepare",
        "coupled-vae",
        CORPUS,
        "--sources",
        f"results/sources/{CORPUS}.json",
        "--out",
        PREPARED,
    ]
    assert main([*arguments, "--settings", '{"text": {"max_length": 5}}']) == 0
    assert "trained on other data" in refused("evaluate", RUN, *CPU, "--settings", SETTINGS)


def test_damaged_weights_are_told(here: Path, refused: Refused) -> None:
    weights = here / "results" / "runs" / RUN / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    assert "damaged weights: expected sha256" in refused("evaluate", RUN, *CPU, "--settings", SETTINGS)
