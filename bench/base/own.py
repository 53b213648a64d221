"""A user's own folders: those that ``BENCH_CATALOG`` names, with YAML files of the catalog and Python files beside.

``parts/*.py`` hold parts, ``measures/*.py`` measures, ``readers/*.py`` readers of corpora. They are imported under
the name of a package that belongs to their folder, so that no two files meet under one name; a file may import those
beside it (``from .helper import f``, ``from ..parts.critic import Critic``).
"""

from __future__ import annotations

import hashlib
import importlib
import sys
from pathlib import Path
from types import ModuleType

from bench.base import environment
from bench.base.errors import BenchError
from bench.base.files import sha256_file

VARIABLE = "BENCH_CATALOG"
PREFIX = "bench_own_"
_DIGESTS: dict[str, str] = {}  # of the files that were imported, by module


def own_folders() -> tuple[Path, ...]:
    """The folders that ``BENCH_CATALOG`` names, each once. Raises :class:`BenchError` for one that is not there."""
    named = environment.catalog_folders()
    if not named:
        return ()
    for folder in named:
        if not folder.is_dir():
            raise BenchError(
                "catalog folder not found", where=folder, remedy=f"correct {VARIABLE} or the key catalog"
            )
    return tuple(dict.fromkeys(folder.resolve() for folder in named))


def own_files(room: str) -> list[Path]:
    """The Python files of a user's own folders in ``room`` (parts, measures, readers)."""
    if not (folders := own_folders()):  # asked for a hundred thousand times in a plan
        return []
    files = (file for folder in folders for file in sorted((folder / room).glob("*.py")))
    return [file for file in files if file.name != "__init__.py"]


def module_name(file: Path) -> str:
    """The name under which a file of a user's own folder is imported."""
    folder = str(file.parents[1])
    return f"{PREFIX}{hashlib.sha256(folder.encode()).hexdigest()[:12]}.{file.parent.name}.{file.stem}"


def import_file(file: Path) -> ModuleType:
    """Import a file of a user's own folder. Raises :class:`BenchError` naming the file if that fails."""
    if "." in file.stem:
        raise BenchError(f"{file.name} cannot be imported: a dot in its name", where=file, remedy="rename it")
    name = module_name(file)
    package = sys.modules.setdefault(name.partition(".")[0], ModuleType(name.partition(".")[0]))
    package.__path__ = [str(file.parents[1])]
    try:
        if name not in sys.modules:
            _DIGESTS[name] = sha256_file(file)
        return importlib.import_module(name)
    except BenchError:
        raise
    except Exception as error:
        what = f"cannot import this file: {type(error).__name__}: {error}"
        raise BenchError(what, where=file) from error


def import_all(room: str) -> list[ModuleType]:
    """Import the files of a user's own folders in ``room``."""
    return [import_file(file) for file in own_files(room)]


def file_of(module: str) -> Path | None:
    """The file of a module of a user's own folders; None for any other module."""
    return _files().get(module) if module.startswith(PREFIX) else None


def _files() -> dict[str, Path]:
    rooms = ("parts", "measures", "readers")
    return {module_name(file): file for room in rooms for file in own_files(room)}


def imported() -> dict[str, str]:
    """The sha256 of each file that this process has imported from the user's own folders, by folder, room and name.

    As the file was when it was imported: it may have changed since. A folder that ``BENCH_CATALOG`` no longer names
    does not count.
    """
    found = {}
    folders = own_folders()
    for name in [name for name in sys.modules if name.startswith(PREFIX)]:
        if (place := getattr(sys.modules[name], "__file__", None)) is not None:
            file = Path(place)
            if file.resolve().parents[1] not in folders:
                continue
            found["/".join(file.parts[-3:])] = _DIGESTS.get(name) or sha256_file(file)
    return dict(sorted(found.items()))
