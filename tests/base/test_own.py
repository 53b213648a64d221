"""A user's own Python files: found, imported under names of their own, recorded; and what is told of mistakes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.base.errors import BenchError
from bench.base.files import sha256_file
from bench.base.own import VARIABLE, import_all, import_file, imported, module_name, own_files, own_folders
from bench.base.registry import build, lookup, registry

PART = '''"""A weight."""
from bench.base.registry import part
from .helper import DOUBLE
@part("{choice}", "{kind}")
class Doubled:
    """Twice the step."""
    def __init__(self, *, by: float = 1.0) -> None:
        self.by = by
    def __call__(self, step: int, observed: object = None) -> float:
        return DOUBLE * step * self.by
'''
CHOICE = "weight"

Own = Callable[..., Path]


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Own:
    """``own("mine", {"parts/a.py": source})``: a folder of these files, the only one that the variable names."""

    def make(name: str, files: dict[str, str]) -> Path:
        folder = tmp_path / name
        for file, source in files.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(source, encoding="utf-8")
        monkeypatch.setenv(VARIABLE, str(folder))
        return folder

    return make


def doubled(kind: str, choice: str = CHOICE) -> str:
    return PART.format(choice=choice, kind=kind)


def test_without_the_variable_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("", ":"):
        monkeypatch.setenv(VARIABLE, value)
        assert own_folders() == ()
    monkeypatch.delenv(VARIABLE)
    assert own_files("parts") == []


def test_a_part_of_a_users_own_is_known_built_and_recorded(own: Own, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = own("mine", {"parts/twice-as.py": doubled("doubled"), "parts/helper.py": "DOUBLE = 2\n"})
    entry = lookup(CHOICE, "doubled")
    assert (entry.file, entry.about) == (folder / "parts" / "twice-as.py", "Twice the step.")
    assert build(CHOICE, "doubled", {"by": 3.0})(5) == 30
    found = imported()
    files = [folder / "parts" / name for name in ("helper.py", "twice-as.py")]
    assert found == {f"mine/parts/{file.name}": sha256_file(file) for file in files}
    files[1].write_text("changed since")
    assert imported()["mine/parts/twice-as.py"] == found["mine/parts/twice-as.py"]
    monkeypatch.delenv(VARIABLE)
    assert imported() == {}  # what another folder brought is no part of what runs without it


def test_two_folders_may_have_files_of_one_name(
    own: Own, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [own(name, {"parts/x.py": f"NAME = {name!r}\n"}) for name in ("one", "two")]
    monkeypatch.setenv(VARIABLE, ":".join(map(str, folders)))
    assert [module.NAME for module in import_all("parts")] == ["one", "two"]
    assert len({module_name(file) for file in own_files("parts")}) == 2


def test_a_relative_folder_is_found_wherever_the_program_goes_then(
    own: Own, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own("mine", {"parts/a.py": doubled("doubled"), "parts/helper.py": "DOUBLE = 2\n"})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, "mine")
    assert own_folders() == (tmp_path / "mine",)
    assert lookup(CHOICE, "doubled").file.is_absolute()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            doubled("linear"),
            r"two parts are named weight 'linear'(.|\n)*bench/objectives/.* and .*mine/parts/a\.py",
        ),
        (doubled("doubled", choice="wieght"), r"unknown choice 'wieght'(.|\n)*mine/parts/a\.py: Doubled"),
        ("def f(:", r"cannot read the parts in this file(.|\n)*mine/parts/a\.py"),
    ],
)
def test_a_mistake_in_a_part_names_the_file(source: str, message: str, own: Own) -> None:
    own("mine", {"parts/a.py": source})
    with pytest.raises(BenchError, match=message):
        registry()


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("a.py", "import absent_\n", r"cannot import this file: ModuleNotFoundError(.|\n)*mine/parts/a\.py"),
        ("b.py", "1 / 0\n", r"ZeroDivisionError(.|\n)*mine/parts/b\.py"),
        ("a.b.py", "", r"a dot in its name(.|\n)*mine/parts/a\.b\.py(.|\n)*rename it"),
    ],
)
def test_a_file_that_cannot_be_imported_is_told(name: str, source: str, message: str, own: Own) -> None:
    folder = own("mine", {f"parts/{name}": source})
    with pytest.raises(BenchError, match=message):
        import_file(folder / "parts" / name)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "absent"))
    with pytest.raises(BenchError, match=r"catalog folder not found(.|\n)*absent(.|\n)*BENCH_CATALOG"):
        own_folders()


def test_a_part_is_not_imported_until_it_is_built(own: Own) -> None:
    own(
        "mine",
        {"parts/a.py": doubled("doubled") + "\nprint('imported')\n", "parts/helper.py": "DOUBLE = 2\n"},
    )
    code = "from bench.base.registry import lookup, build; lookup('weight', 'doubled'); print('known'); "
    code += "build('weight', 'doubled', {})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["known", "imported"]
