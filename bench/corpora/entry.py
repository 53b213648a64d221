"""What the catalog says of a corpus: one YAML file per corpus, checked when it is read.

A package entry names public files with their hashes. A user's own corpus needs a name, a title and three
paths relative to the YAML file, or for examples of several fields a path for each:

    name: mine
    title: My sentences
    files: {train: train.txt, valid: valid.txt, test: test.txt}
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bench.base.errors import BenchError, unknown
from bench.base.files import sha256_file
from bench.base.text_rules import SPLITS, Split
from bench.base.validation import read_yaml, validated

SAID = ("title", "about", "licence", "citation", "homepage", "comparable")  # of a corpus, to be read
_ELSEWHERE = {"__all__": {"url": True, "note": True, "local": True}}

CATALOG = Path(__file__).parents[1] / "catalog" / "corpora"


class SourceFile(BaseModel):
    """One file of a corpus: where it is, and what proves that it is the right one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(description="<corpus>/<file>, below the cache and below a mirror")
    url: str | None = Field(default=None, pattern=r"^https?://")
    local: Path | None = Field(default=None, description="a user's own file: read in place, not verified")
    bytes: int | None = Field(default=None, ge=0)
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    git_blob: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$", description="git's id of the file")
    git_tree: str | None = Field(
        default=None,
        pattern=r"^[^:]+:[0-9a-f]{40}$",
        description="for an archive whose own bytes may differ: <folder in it>:<git's id of that folder>",
    )
    note: str | None = None

    @model_validator(mode="after")
    def _identified(self) -> Self:
        pure = PurePosixPath(self.path)
        if pure.is_absolute() or ".." in pure.parts or len(pure.parts) < 2:
            raise ValueError(f"path {self.path!r} is not of the form <corpus>/<file>")
        proofs = (self.sha256, self.git_blob, self.git_tree, self.bytes)
        if self.local is None and all(proof is None for proof in proofs):
            raise ValueError(f"{self.path} has none of sha256, git_blob, git_tree, bytes to verify it by")
        return self


class ReaderSpec(BaseModel):
    """Which reader, and its options (checked by the reader's own model)."""

    model_config = ConfigDict(frozen=True, extra="allow")

    kind: str

    @property
    def options(self) -> dict[str, Any]:
        """All keys but ``kind``."""
        return dict(self.model_extra or {})


class CorpusEntry(BaseModel):
    """One corpus of the catalog. ``comparable`` is False where no paper's number may stand beside ours."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: str
    about: str = ""
    licence: str = ""
    citation: str = ""
    homepage: str | None = None
    comparable: bool = False
    files: tuple[SourceFile, ...]
    reader: ReaderSpec
    expect: dict[Split, int] = Field(default_factory=dict, description="texts per split after reading")

    def content(self) -> dict[str, Any]:
        """What the texts depend on: all but what is said about them and where their files are.

        A user's own file counts by its sha256 (None where it is not there).
        """
        exclude: dict[str, Any] = {**dict.fromkeys(SAID, True), "files": _ELSEWHERE}
        found = self.model_dump(mode="json", exclude=exclude, exclude_defaults=True)
        for file, content in zip(self.files, found["files"], strict=True):
            if file.local is not None:
                content["sha256"] = sha256_file(file.local) if file.local.is_file() else None
        return found

    def own_paths(self) -> dict[str, Path]:
        """Where the user's own files are now, by their ``path``."""
        return {file.path: file.local for file in self.files if file.local is not None}

    @property
    def is_local(self) -> bool:
        """Whether the files are the user's own: read in place, sizes not enforced."""
        return any(file.local is not None for file in self.files)


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
    from bench.corpora.readers import check_options

    value = read_yaml(path)
    if isinstance(value.get("files"), dict):
        value = _short_form(value, path)
    elif isinstance(value.get("files"), list):
        value = {**value, "files": [_beside(file, path) for file in value["files"]]}
    entry = validated(CorpusEntry, value, path)
    if entry.name != path.stem:
        raise BenchError(
            f"the name {entry.name!r} differs from the name of the file", where=path, allowed=[path.stem]
        )
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
