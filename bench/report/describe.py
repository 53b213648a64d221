"""What a run is: its parts and objective in words, its departures from the protocol, how to run it again."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup, escape

from bench.base.errors import BenchError
from bench.base.registry import NONE, SINGLE, lookup
from bench.base.settings import Part, RunSettings
from bench.catalog.catalog import Catalog
from bench.planning.resolve import resolve
from bench.store.changes import ABSENT, changed
from bench.store.records import RunRecord

PRECISE = "float32 products"  # as the papers' own code


def parts(settings: RunSettings) -> list[dict[str, str | Markup]]:
    """Each choice: its kind, what the part is (its docstring's first line) and its options.

    A term of the objective and its weight stand under the name of the term.
    """
    rows = [_part_row(choice, choice, getattr(settings, choice)) for choice in SINGLE]
    for name, term in settings.objective.items():
        rows.append(_part_row("term", name, term))
        rows.append(_part_row("weight", f"{name}, weight", term.weight))
    return rows


def _part_row(choice: str, label: str, part: Part) -> dict[str, str | Markup]:
    about = "" if part.absent else lookup(choice, part.kind).about
    options = ", ".join(f"{key.replace('_', ' ')} {_value(value)}" for key, value in part.options.items())
    label = label.replace("_", " ")
    return {"choice": label, "kind": part.kind, "about": _prose(about), "options": options}


def _prose(docstring: str) -> Markup:
    """A docstring's text, its literals as code."""
    texts = re.split(r"``(.+?)``", docstring)
    return Markup("").join(
        Markup("<code>{}</code>").format(text) if index % 2 else escape(text)
        for index, text in enumerate(texts)
    )


def _value(value: Any) -> str:
    if isinstance(value, tuple | list):
        return ", ".join(map(_value, value))
    return {"True": "true", "False": "false", "None": "none"}.get(str(value), str(value))


def departures(catalog: Catalog, record: RunRecord) -> tuple[list[dict[str, Any]], str]:
    """Where a run departs from the paper's own protocol; if that cannot be known, nothing and the reason why."""
    assert record.settings is not None
    _, paper, corpus, system, seed = record.parts
    try:
        protocol = resolve(catalog, "paper", paper, corpus, system, seed)
    except BenchError as error:
        return [], f"the protocol for this run cannot be resolved now: {error.what}"
    found = changed(protocol, record.settings)
    precision = record.run.get("provenance", {}).get("precision", PRECISE)
    if precision != PRECISE:  # chosen for the device, so in no setting
        found.append(("precision", PRECISE, precision))
    return [{"key": key, "protocol": was, "run": now} for key, was, now in found], ""


def overrides(catalog: Catalog, record: RunRecord) -> dict[str, Any]:
    """The ``--settings`` that turn what the catalog declares for this run into what it was made with."""
    if record.settings is None:
        return {}
    try:
        declared = resolve(catalog, *record.parts)
    except BenchError:
        return {}
    result: dict[str, Any] = {}
    for dotted, _, value in changed(declared, record.settings):
        *outer, last = [key for key in dotted.split(".") if key != "options"]
        if outer[:1] == ["objective"] and [*outer, last][1] not in record.settings.objective:
            outer, last, value = outer[:1], [*outer, last][1], NONE
        elif dotted.endswith(".options") or value == ABSENT:
            continue
        nested: dict[str, Any] = {last: value}
        for key in reversed(outer):
            nested = {key: nested}
        result = _deep(result, nested)
    return result


def _deep(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in change.items():
        old = merged.get(key)
        merged[key] = _deep(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def commands(catalog: Catalog, record: RunRecord) -> list[str]:
    """The commands that build exactly this run again, from the code to the measurements.

    A run may have been measured by another commit than trained it: then each stage gets its own.
    """
    _, paper, corpus, *_ = record.parts
    trained_by, measured_by = _checkout(record.run), _checkout(record.evaluation)
    lines = list(trained_by)
    paper, corpus = shlex.quote(paper), shlex.quote(corpus)
    lines += [
        f"python -m bench fetch {corpus} --out results/sources/{corpus}.json",
        f"python -m bench prepare {paper} {corpus} --sources results/sources/{corpus}.json "
        f"--out results/corpora/{paper}/{corpus}{_settings(catalog, record, 'text')}",
    ]
    if record.settings is not None and record.settings.start is not None:
        lines.append(_train(record.settings.start, _settings(catalog, record)))
    train, evaluate = again(catalog, record)
    return [*lines, train, *(measured_by if measured_by != trained_by else ()), evaluate]


def _checkout(document: Mapping[str, Any]) -> list[str]:
    """What brings back the code that wrote a document, nothing where it does not name a commit."""
    version = str((document.get("provenance") or {}).get("code_version"))
    return [f"git checkout {version}"] if re.fullmatch("[0-9a-f]{40}", version) else []


def one_command(catalog: Catalog, record: RunRecord) -> str:
    """All of :func:`commands` as one that stops at the first failure."""
    return " && \\\n".join(commands(catalog, record))


def again(catalog: Catalog, record: RunRecord) -> list[str]:
    """The two commands that train and evaluate a run, with the settings that are not the catalog's."""
    extra = _settings(catalog, record)
    return [
        _train(record.name, extra),
        f"python -m bench evaluate {shlex.quote(record.name)} --corpora results/corpora --runs results/runs{extra}",
    ]


def _train(name: str, extra: str) -> str:
    return (
        f"python -m bench train {shlex.quote(name)} --corpora results/corpora --out results/runs "
        f"--state results/state{extra}"
    )


def _settings(catalog: Catalog, record: RunRecord, only: str | None = None) -> str:
    """The option ``--settings`` of a run, nothing if it needs none; ``only``: the part under this key."""
    changed = overrides(catalog, record)
    if only is not None:
        changed = {key: value for key, value in changed.items() if key == only}
    return f" --settings {shlex.quote(json.dumps(changed))}" if changed else ""
