"""The environment variables that the benchmark reads, each with its meaning, its default and its check.

No other module reads a variable that begins with ``BENCH_``. An empty variable counts as one that is not set.
"""

from __future__ import annotations

import getpass
import math
import os
from pathlib import Path
from urllib.parse import unquote

from bench.base.errors import BenchError

VARIABLES = {
    "BENCH_MIRROR": "a folder or base URL from which the files of corpora are taken first",
    "BENCH_CACHE": "the folder of downloaded files; the default is the cache folder of the platform",
    "BENCH_CATALOG": f"folders of systems, corpora and papers of your own, with {os.pathsep!r} between them",
    "BENCH_CHECKPOINT_SECONDS": "seconds between two checkpoints of a training; the default is 60",
    "BENCH_GRAPHS": "0: a training on a GPU replays no recorded updates; the default is 1",
}


def mirror() -> str | None:
    """``BENCH_MIRROR``, or None; see :func:`mirror_of`."""
    text = _text("BENCH_MIRROR")
    return None if text is None else mirror_of(text)


def mirror_of(text: str) -> str:
    """A mirror as it is used: a base URL of http or https without a slash at its end, or the path of a folder.

    The scheme may be in capitals; ``file://`` is a folder. Raises :class:`BenchError` for any other scheme.
    """
    text = text.strip()
    scheme, colon, rest = text.partition("://")
    if not colon:
        return str(_expanded(text))
    if scheme.lower() in ("http", "https"):
        return f"{scheme.lower()}://{rest.rstrip('/')}"
    if scheme.lower() == "file" and unquote(rest).startswith("/"):
        return unquote(rest)
    raise BenchError(
        f"the mirror is {text!r}",
        allowed=("https://...", "http://...", "file:///...", "a folder"),
        remedy="correct --mirror, the key mirror or BENCH_MIRROR",
    )


def given_mirror(text: str) -> str:
    """The mirror that a command or the configuration names. Raises :class:`BenchError` also for a folder that is not
    there."""
    found = mirror_of(text)
    if "://" not in found and not Path(found).is_dir():
        remedy = (
            "correct --mirror, the key mirror or BENCH_MIRROR: a folder or a base URL that holds CORPUS/FILE"
        )
        raise BenchError("the mirror is not there", where=Path(found).absolute(), remedy=remedy)
    return found


def allowed_cores() -> int:
    """The cores that this process may use, which may be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cache() -> Path:
    """``BENCH_CACHE``, else the platform's cache folder; shared by all checkouts of one user.

    Raises :class:`BenchError` for a user without a home folder.
    """
    path = _text("BENCH_CACHE")
    if path is not None:
        return _expanded(path)
    import platformdirs  # where it is needed: this module is read by every command

    try:
        return Path(platformdirs.user_cache_dir("latent-text-bench"))
    except RuntimeError as error:
        remedy = "set BENCH_CACHE to a folder that you may write to, or set HOME"
        raise BenchError("no home folder, so no folder to keep downloads in", remedy=remedy) from error


def name_user() -> None:
    """Let a user whom the system knows by number alone be called by it, for programs that ask for a name.

    So are users in containers, and on nodes that cannot reach the directory of names; Snakemake ends with a traceback.
    """
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["LOGNAME"] = str(os.getuid())


def catalog_folders() -> tuple[Path, ...]:
    """``BENCH_CATALOG``: each folder that it names."""
    text = _text("BENCH_CATALOG")
    return tuple(Path(path) for path in text.split(os.pathsep) if path) if text else ()


def checkpoint_seconds() -> float:
    """``BENCH_CHECKPOINT_SECONDS``, 60 by default. Raises :class:`BenchError` unless it is 0 or more."""
    name = "BENCH_CHECKPOINT_SECONDS"
    text = _text(name) or "60"
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise _wrong(name, text, "a number of seconds, 0 or more")
    return seconds


def graphs() -> bool:
    """``BENCH_GRAPHS``, true by default. Raises :class:`BenchError` unless it is 0 or 1."""
    text = _text("BENCH_GRAPHS") or "1"
    if text not in ("0", "1"):
        raise _wrong("BENCH_GRAPHS", text, "0", "1")
    return text == "1"


def check() -> None:
    """Raise :class:`BenchError` for the first variable whose value is wrong."""
    mirror()
    checkpoint_seconds()
    graphs()


def unknown_variables() -> list[str]:
    """Variables of this process that begin with ``BENCH_`` and that nothing reads."""
    return sorted(name for name in os.environ if name.startswith("BENCH_") and name not in VARIABLES)


def _text(name: str) -> str | None:
    return os.environ.get(name, "").strip() or None


def _expanded(path: str) -> Path:
    """``path`` with the home folder for ``~``. Raises :class:`BenchError` for a user who has none."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        remedy = "write the whole path, or set HOME"
        raise BenchError(
            f"no home folder is known for {path!r}", where="the environment", remedy=remedy
        ) from error


def _wrong(name: str, found: str, *allowed: str) -> BenchError:
    return BenchError(
        f"{name} is {found!r}", where="the environment", allowed=allowed, remedy=f"unset {name}"
    )
