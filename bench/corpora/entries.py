"""The entries of corpora, read from YAML files: those of the package and those of a user's own folders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.base.errors import BenchError, unknown
from bench.base.text_rules import SPLITS
from bench.base.validation import read_yaml, validated
from bench.corpora.entry import CorpusEntry
from bench.corpora.readers import check_options

CATALOG = Path(__file__).parents[1] / "catalog" / "corpora"


def load_corpora(*extra_folders: Path) -> dict[str, CorpusEntry]:
    """All entries of the package catalog and of ``extra_folders``, by name.

    Raises :class:`BenchError` with file, key, value found and values allowed; also for a name that two
    files declare.
    """
    found: dict[str, tuple[CorpusEntry, Path]] = {}
    for folder in (CATALOG, *map(Path, extra_folders)):
        if not folder.is_dir():
            raise BenchError("folder of corpus entries not found", where=folder)
        for path in sorted(folder.glob("*.yaml")):
            entry = load_entry(path)
            if entry.name in found:
                raise BenchError(
                    f"two corpora are named {entry.name!r}",
                    where=f"{found[entry.name][1]} and {path}",
                    remedy="rename one of them (the file and its name key)",
                )
            found[entry.name] = (entry, path)
    return {name: entry for name, (entry, _) in found.items()}


def load_entry(path: Path) -> CorpusEntry:
    """Read one entry; its reader's options are checked too. Raises :class:`BenchError`."""
    value = read_yaml(path)
    if isinstance(value.get("files"), dict):
        value = _short_form(value, path)
    elif isinstance(value.get("files"), list):
        value = {**value, "files": [_beside(file, path) for file in value["files"]]}
    elif "files" in value:
        allowed = ["{train: FILE, valid: FILE, test: FILE}", "a list of files for a reader of their format"]
        raise BenchError(f"files is {value['files']!r}", where=path, allowed=allowed)
    entry = validated(CorpusEntry, value, path)
    if entry.name != path.stem:
        raise BenchError(
            f"the name {entry.name!r} differs from the name of the file", where=path, allowed=[path.stem]
        )
    if not entry.missing:
        check_options(entry, path)
    return entry


def _beside(file: Any, path: Path) -> Any:
    """A file whose ``local`` path is relative: relative to the YAML file, not to where the program runs."""
    if isinstance(file, dict) and isinstance(file.get("local"), str):
        return {**file, "local": (path.parent / file["local"]).absolute()}
    return file


def _short_form(value: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Expand ``files: {train: a.txt, ...}`` into local files and, if none is named, a reader.

    The reader of lines for a file per split, that of pairs for ``{field: file, ...}`` per split.
    """
    names: dict[Any, Any] = value["files"]
    for key, name in names.items():
        if key not in SPLITS:
            raise unknown("split", str(key), SPLITS, where=f"{path}: files")
        if not _is_short(name):
            allowed = ["a path relative to this file", "{field: path, ...}"]
            raise BenchError(f"files.{key} is {name!r}", where=path, allowed=allowed)
    missing = [split for split in SPLITS if split not in names]
    if missing:
        raise BenchError(f"files lacks {', '.join(missing)}", where=path, allowed=SPLITS)
    stem, files, read = value.get("name", path.stem), [], {}
    for split in SPLITS:
        several = isinstance(names[split], dict)
        found: dict[str, str] = {}
        for field, name in (names[split] if several else {"": names[split]}).items():
            found[field] = "-".join(filter(None, (f"{stem}/{split}", field, Path(name).name)))
            files.append({"path": found[field], "local": (path.parent / name).absolute()})
        read[split] = found if several else found[""]
    reader = value.get("reader", {})
    if isinstance(reader, dict):
        kind = "pairs" if any(isinstance(name, dict) for name in names.values()) else "lines"
        reader = {"kind": kind, **read, **reader}
    return {**value, "files": files, "reader": reader}


def _is_short(name: Any) -> bool:
    if isinstance(name, dict):
        return bool(name) and all(isinstance(part, str) for item in name.items() for part in item)
    return isinstance(name, str)
