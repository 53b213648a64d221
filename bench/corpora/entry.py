"""What the catalog says of a corpus: one YAML file per corpus, checked when it is read.

A package entry names public files with their hashes. A user's own corpus needs a name, a title and three
paths relative to the YAML file, or for examples of several fields a path for each:

    name: mine
    title: My sentences
    files: {train: train.txt, valid: valid.txt, test: test.txt}
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bench.base.files import sha256_file
from bench.base.text_rules import Split

NONE = "none"  # the reader of a corpus that is missing
SAID = (
    "title",
    "about",
    "licence",
    "citation",
    "homepage",
    "comparable",
    "missing",
)  # of a corpus, to be read
_ELSEWHERE = {"__all__": {"url": True, "note": True, "local": True}}


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
    """One corpus of the catalog. ``comparable`` is False where no paper's number may stand beside ours.

    One that is ``missing`` has no files, and the reader ``none``: papers print numbers on it, and nothing is run on it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: str
    about: str = ""
    licence: str = ""
    citation: str = ""
    homepage: str | None = None
    comparable: bool = False
    missing: str | None = Field(None, min_length=1, description="why this version cannot read it")
    files: tuple[SourceFile, ...]
    reader: ReaderSpec
    expect: dict[Split, int] = Field(default_factory=dict, description="texts per split after reading")

    @model_validator(mode="after")
    def _not_read_if_missing(self) -> Self:
        if self.missing and (self.files or self.reader.kind != NONE):
            raise ValueError("a corpus that is missing has no files, and the reader none")
        return self

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
