"""The configuration of the workflow: each value is read by the type that its key wants, and checked.

Snakemake reads ``--config key=value`` itself: what looks like a number or a boolean arrives as one, anything else as
text, in lists and mappings too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from bench.base.errors import BenchError, unknown
from bench.base.settings import Model
from bench.base.validation import read_scalar, validated
from bench.catalog.catalog import Catalog
from bench.planning.plan import Request, request_of

WHERE = "the workflow's configuration (workflow/config/config.yaml, --configfile, --config)"


class Compute(Model):
    """Where runs are computed and where files come from: what changes no number."""

    device: Literal["auto", "cpu", "cuda"]
    threads_per_run: int = Field(ge=1)
    mirror: str | None = Field(min_length=1)
    catalog: tuple[str, ...]
    results: str = Field(min_length=1, pattern=r"^[^{}<>]+$")


KEYS = (*Request.model_fields, *Compute.model_fields)
TYPED = ("seeds", "threads_per_run", "every_system")  # their models read what is written


def typed(config: Mapping[str, Any], arguments: Sequence[str] = ()) -> dict[str, Any]:
    """``config`` with each value read by the type that its key wants.

    ``arguments`` are those of the command line. Raises :class:`BenchError` for a key that is not known, with the
    nearest one, and for a text that Snakemake has read as another number than is written.
    """
    check_keys(config, KEYS)
    found = {key: _read(key, value, arguments) for key, value in config.items()}
    if isinstance(found.get("catalog"), str):
        found["catalog"] = (found["catalog"],)
    return found


def check_keys(config: Mapping[str, Any], known: Iterable[str]) -> None:
    """Raise :class:`BenchError` with the nearest key for one that the workflow does not know."""
    names = list(known)
    for key in config:
        if key not in names:
            raise unknown("configuration key", str(key), names, where=WHERE)


def compute_of(values: Mapping[str, Any]) -> Compute:
    """The part of the configuration that changes no number. Raises :class:`BenchError` naming the key."""
    return validated(Compute, {key: values[key] for key in Compute.model_fields if key in values}, WHERE)


def configured(values: Mapping[str, Any], catalog: Catalog) -> Request:
    """The request that the configuration makes. Raises :class:`BenchError`."""
    return request_of({key: values.get(key) for key in Request.model_fields}, catalog, WHERE)


def _read(key: str, value: Any, arguments: Sequence[str]) -> Any:
    if key == "settings":
        return _scalars(value)
    if key in TYPED:
        return value
    return _texts(key, value, arguments)


def _scalars(value: Any) -> Any:
    """``value`` with each of its texts read as a scalar of YAML: the settings' own types are checked later."""
    if isinstance(value, Mapping):
        return {key: _scalars(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_scalars(item) for item in value]
    return read_scalar(value) if isinstance(value, str) else value


def _texts(key: str, value: Any, arguments: Sequence[str]) -> Any:
    """A text, a list of texts, or None; a number of the command line is the text that stands there."""
    if isinstance(value, list):
        return [_texts(key, item, ()) for item in value]
    if value == "null":
        return None
    if not isinstance(value, int | float):
        return value
    prefix = f"{key}="
    written = next((text.removeprefix(prefix) for text in arguments if text.startswith(prefix)), str(value))
    if written != str(value):
        remedy = f"in quotes it is a text: --config '{prefix}\"{written}\"'"
        raise BenchError(
            f"{key} is {written}, which Snakemake reads as {value!r}", where=WHERE, remedy=remedy
        )
    return written
