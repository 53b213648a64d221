"""What the program did not write is never removed and never overwritten, whatever a command is told to write to."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import pytest

from bench.base.files import read_json, write_json, write_text
from bench.base.outputs import MARK, REPORT, RUNS
from bench.cli.main import main
from bench.report.data import dictionary
from bench.report.site import Site
from tests.cli.conftest import CPU, PREPARED, ROOT, RUN, SETTINGS, Refused, contents
from tests.conftest import CORPUS

NEW = RUN.replace("seed0", "seed1")
PACK = ("pack", RUN, *CPU, "--workers", "1", "--settings", SETTINGS, "--prepared", "results/corpora")
REPORTING = ("report", "--results", "results", "--systems", "vae", "--corpora", CORPUS)
TRAINING = ("train", NEW, *CPU, "--settings", SETTINGS, "--corpora", "results/corpora")
FOLDERS: dict[str, tuple[str, ...]] = {  # each command that writes a folder: its last argument is the folder
    "prepare": ("prepare", "coupled-vae", CORPUS, "--sources", f"results/sources/{CORPUS}.json", "--out"),
    "train": (*TRAINING, "--out"),
    "state": (*TRAINING, "--out", "results/runs", "--state"),
    "pack": (*PACK, "--out"),
    "unpack": ("unpack", "runs.tar.gz", "--settings", SETTINGS, "--results"),
    "report": (*REPORTING, "--out"),
    "supersedes": (*REPORTING, "--out", "new", "--supersedes"),
}
FILES: dict[str, tuple[str, ...]] = {"fetch": ("fetch", CORPUS, "--out"), "archive": (*PACK, "--archive")}
REFUSED = [command for command in FOLDERS if command != "supersedes"]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports of few files: what they hold does not matter here."""

    def build(self: Site, workers: int) -> None:
        for name in ("index.html", "methods.html", "papers/a.html", "figures/a.svg"):
            write_text(self.folder / name, f"{name} <!-- {time.time_ns()} -->")
        write_json(self.folder / "data" / "dictionary.json", dictionary())

    monkeypatch.setattr(Site, "build", build)


@pytest.fixture
def archived(here: Path) -> Path:
    """The world of before, and ``runs.tar.gz`` with its run."""
    assert main([*PACK, "--out", "results", "--archive", "runs.tar.gz"]) == 0
    return here


def thesis(folder: Path) -> dict[str, bytes]:
    """A folder of the user's own, in which names of ours occur; what it holds."""
    names = ("thesis.tex", ".git/HEAD", "train.txt", "index.html", "data/cells.parquet", f"{RUN}/notes.txt")
    for name in (*names, "runs/a/b/c/d/seed0/run.json", "results.json", ".lock"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"mine: {name}")
    return contents(folder) | {".lock": (folder / ".lock").read_bytes()}


@pytest.mark.parametrize("name", ["mine", "my own folder", "link", "../above", "."])
@pytest.mark.parametrize("command", REFUSED)
def test_a_folder_of_the_users_own_is_refused(
    command: str, name: str, archived: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = archived / {"link": "mine", ".": "mine"}.get(name, name)
    before = thesis(folder)
    (archived / "link").symlink_to("mine")
    words = [
        str(archived / word) if word.startswith(("results", "runs.")) else word for word in FOLDERS[command]
    ]
    if name == ".":
        monkeypatch.chdir(folder)
    message = refused(*words, name, leaves=command not in ("train", "state"))
    assert (
        "this folder holds what bench did not write: .git, .lock, data, demo, index.html and 4 more"
        in message
    )
    assert f"where:   {name}\n" in message
    assert "remedy:  name an empty folder or a new one" in message
    assert contents(folder) | {".lock": (folder / ".lock").read_bytes()} == before
    assert (archived / "link").is_symlink()


@pytest.mark.parametrize("command", FOLDERS)
def test_an_empty_or_new_folder_is_taken_and_links_are_followed(command: str, archived: Path) -> None:
    (archived / "also" / "empty").mkdir(parents=True)
    (archived / "to empty").symlink_to("also/empty")
    (archived / "dangling").symlink_to("elsewhere/new")
    targets = {"dangling": "elsewhere/new"} | ({} if command == "pack" else {"to empty": "also/empty"})
    for name, target in targets.items():
        assert main([*FOLDERS[command], name]) == 0
        assert (archived / name).is_symlink()
        assert (command == "supersedes") != any((archived / target).glob(f"{MARK}*"))


@pytest.mark.parametrize("command", REFUSED)
def test_a_file_or_a_folder_of_another_kind_is_refused(
    command: str, archived: Path, refused: Refused
) -> None:
    (archived / "file").write_text("mine")
    assert "there is a file where " in refused(*FOLDERS[command], "file", leaves=command != "state")
    other = "results/runs" if command not in ("train", "unpack", "pack") else PREPARED
    said = "a folder of runs" if other.endswith("runs") else "a prepared corpus"
    assert f"this folder is {said}, not " in refused(*FOLDERS[command], other)


@pytest.mark.parametrize("name", ["results", ".", "..", "results/corpora", "results/runs", "results/state"])
def test_a_report_never_lies_over_the_results(name: str, archived: Path, refused: Refused) -> None:
    refused(*FOLDERS["report"], name)
    (archived / "none").mkdir()
    assert "this folder holds the results" in refused(*REPORTING, "--results", "none", "--out", "none")


@pytest.mark.parametrize("command", FILES)
def test_a_file_of_the_users_own_is_refused(command: str, here: Path, refused: Refused) -> None:
    for name, content in {"mine.json": '{"cc": "/usr/bin/cc"}', "my thesis.tex": "mine"}.items():
        (here / name).write_text(content)
        (here / "link").unlink(missing_ok=True)
        (here / "link").symlink_to(name)
        for path in (name, "link"):
            assert "there is something that bench did not write" in refused(*FILES[command], path)
    (here / "folder").mkdir()
    assert "name another file" in refused(*FILES[command], "folder")
    (here / "pipe").touch()
    (here / "pipe").unlink()
    os.mkfifo(here / "pipe")
    assert "name another file" in refused(*FILES[command], "pipe")


@pytest.mark.parametrize("command", FILES)
def test_a_file_of_ours_is_replaced_and_a_link_followed(command: str, here: Path) -> None:
    (here / "link").symlink_to("new")
    (here / "empty").touch()
    for name in ("link", "link", "new", "empty"):
        assert main([*FILES[command], name]) == 0
    assert (here / "link").is_symlink()
    assert (here / "new").stat().st_size > 0


@pytest.fixture
def site(here: Path) -> Path:
    """A report."""
    assert main([*REPORTING, "--out", "site"]) == 0
    return here / "site"


def test_what_is_put_into_a_report_stays_there(site: Path) -> None:
    (site / "notes.txt").write_text("mine")
    (site / "figures" / "my own.svg").write_text("mine")
    written = contents(site)
    assert main([*REPORTING, "--out", "site"]) == 0
    again = contents(site)
    assert again.keys() == written.keys()
    assert {name for name in written if again[name] == written[name]} == {
        "notes.txt",
        "figures/my own.svg",
        "data/dictionary.json",
    }
    assert main([*REPORTING, "--out", "new", "--supersedes", "site"]) == 0
    assert contents(site) == {"notes.txt": b"mine", "figures/my own.svg": b"mine"}
    assert main([*REPORTING, "--out", "new", "--supersedes", "new"]) == 0
    assert (site.parent / "new" / "index.html").exists()
    assert main([*REPORTING, "--out", "newer", "--supersedes", "new"]) == 0
    assert not (site.parent / "new").exists()


def test_a_report_that_was_changed_is_refused(site: Path, refused: Refused) -> None:
    (site / "index.html").write_text("mine")
    (site / "methods.html").unlink()
    (site / "methods.html").symlink_to(site.parent / "thesis.html")
    message = refused(*REPORTING, "--out", "site")
    assert "what was changed since: index.html, methods.html" in message
    (site / "index.html").unlink()
    (site / "methods.html").unlink()
    assert main([*REPORTING, "--out", "site"]) == 0  # what is gone is written again


def test_a_report_of_an_earlier_version_is_taken_over(site: Path) -> None:
    (site / REPORT.mark).unlink()
    (site / "index.html").write_text("as it was then")
    (site / "papers" / "gone.html").write_text("of a run that is not planned any more")
    (site / "notes.txt").write_text("mine")
    assert main([*REPORTING, "--out", "site"]) == 0
    assert "as it was then" not in (site / "index.html").read_text()
    assert (site / "papers" / "gone.html").exists()  # nothing shows that it is not the user's own
    assert (site / "notes.txt").read_text() == "mine"
    assert (site / REPORT.mark).stat().st_size > 0


def test_results_of_an_earlier_version_are_taken_over(archived: Path) -> None:
    for mark in archived.rglob(f"{MARK}*"):
        mark.unlink()
    for command in ("prepare", "train", "state", "unpack", "pack"):
        place = {"prepare": PREPARED, "train": "results/runs", "state": "results/state"}.get(
            command, "results"
        )
        assert main([*FOLDERS[command], place]) == 0
    assert main(["evaluate", RUN, *CPU, "--settings", SETTINGS]) == 0
    assert (archived / "results" / "runs" / RUNS.mark).exists()


def test_what_lies_beside_a_state_stays(here: Path) -> None:
    """A finished training removes its own state, by name."""
    from bench.catalog.catalog import load_catalog
    from bench.planning.resolve import find_run
    from bench.store.freshness import state_folder

    data_hash = read_json(here / PREPARED / "corpus.json")["data_hash"]
    folder = state_folder(
        here / "results" / "state", find_run(load_catalog(), NEW, json.loads(SETTINGS)), data_hash
    )
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("mine")
    assert main(["train", NEW, *CPU, "--settings", SETTINGS]) == 0
    assert contents(folder) == {"notes.txt": b"mine"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_a_folder_that_cannot_be_read_is_not_empty(here: Path, refused: Refused) -> None:
    (here / "mine" / "secret").mkdir(parents=True)
    (here / "mine" / "secret").chmod(0)
    try:
        assert "Permission denied" in refused(*FOLDERS["report"], "mine")
    finally:
        (here / "mine" / "secret").chmod(0o755)


REMOVES = re.compile(
    r"\brmtree\(|\.rmdir\(|os\.replace\(|\.rename\((?!columns=)|\.extract(?:all)?\(|os\.remove\(|shutil\.move\(|\brm -"
)
MAY = {
    "files.py": 1,
    "outputs.py": 7,
    "run_archives.py": 1,
    "run.py": 1,
}  # how often; an archive, into a temporary folder


def test_nothing_is_removed_or_replaced_but_by_what_asks_whose_it_is() -> None:
    """A new place is looked at: does it ask :func:`claim` first, and remove by name only what we write?"""
    found = {}
    for path in (
        *(ROOT / "bench").rglob("*.py"),
        ROOT / "Snakefile",
        *(ROOT / "workflow").rglob("*.smk"),
    ):
        if count := len(REMOVES.findall(path.read_text(encoding="utf-8"))):
            found[path.name] = count
    assert found == MAY
