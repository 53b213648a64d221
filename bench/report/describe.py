"""What a run is: its parts and objective in words, its departures from the protocol, how to run it again."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from markupsafe import Markup, escape

from bench.analysis.numbers import MINUS
from bench.base.errors import BenchError
from bench.base.registry import NONE, SINGLE, lookup
from bench.base.settings import Part, RunSettings
from bench.catalog.catalog import Catalog
from bench.planning.resolve import resolve
from bench.store.changes import ABSENT, changed
from bench.store.records import RunRecord

DERIVED = "starts_from.identity"  # follows from the other settings, which hold for both runs


def objective(settings: RunSettings) -> Markup:
    """What the system minimises, per text, as MathML (Wu et al. 2020, equation 4, where it is coupled)."""
    return Markup('<math display="block">') + _sum(_terms(settings)) + Markup("</math>")


def _terms(settings: RunSettings) -> Iterator[Markup]:
    """Each term with its weight; the matching last, as in the equation."""
    for name, term in sorted(settings.objective.items(), key=lambda item: item[1].kind == "matching"):
        formulas = {
            "reconstruction": _reconstruction(settings),
            "twin_reconstruction": _within("[", _loss(_of_twin("p"), _given(_i("x"), _of_twin("z"))), "]"),
            "kl": _KL,
            "mmd": _MMD,
        }
        formula = formulas.get(term.kind)
        if formula is None:
            described = {"free-bits": _free_bits, "matching": _matching}.get(term.kind)
            formula = _i(name) if described is None else described(term)
        yield _weighted(term.weight, formula)


def _weighted(weight: Part, formula: Markup) -> Markup:
    if weight.kind == "constant":
        return _times(weight.options["value"], formula)
    return _e("mrow", _call(_i("\u03b2"), _i("t")), _THIN, formula)


def _reconstruction(settings: RunSettings) -> Markup:
    if settings.encoder.absent:
        return _loss(_i("p"), _i("x"))
    if settings.posterior.kind == "point":
        return _loss(_i("p"), _given(_i("x"), _call(_i("z"), _i("x"))))
    loss = _loss(_i("p"), _given(_i("x"), _i("z")))
    return _e("mrow", _e("msub", _i("E"), _POSTERIOR), _within("[", loss, "]"))


def _free_bits(part: Part) -> Markup:
    target = _n(part.options["target"])
    floors = {
        "dimension": _e(
            "mrow",
            _e("msub", _o("\u2211"), _i("i")),
            _call(_i("max"), _e("msub", _i("KL"), _i("i")), _o(","), _e("mrow", target, _o("/"), _i("d"))),
        ),
        "text": _call(_i("max"), _KL, _o(","), target),
        "batch": _call(_i("max"), _e("msub", _i("E"), _i("x")), _KL, _o(","), target),
    }
    return floors[part.options["form"]]


def _matching(part: Part) -> Markup:
    signal, twin, distance = _i("h"), _of_twin("h"), part.options["distance"]
    distances = {
        "rational-quadratic": _call(_i("RQ"), signal, _o(","), twin),
        "euclidean": _e("msup", _within("\u2016", _e("mrow", signal, _o(MINUS), twin), "\u2016"), _n(2)),
    }
    return distances.get(distance, _i(distance))


def _e(element: str, *inner: Markup) -> Markup:
    """A MathML element; what is inside is escaped already."""
    return Markup(f"<{element}>") + Markup("").join(inner) + Markup(f"</{element}>")


def _i(name: str) -> Markup:
    return _e("mi", escape(name))


def _n(number: float) -> Markup:
    return _e("mn", escape(f"{number:g}"))


def _o(sign: str) -> Markup:
    return _e("mo", escape(sign))


def _within(opening: str, inner: Markup, closing: str) -> Markup:
    return _e("mrow", _o(opening), inner, _o(closing))


def _call(name: Markup, *inner: Markup) -> Markup:
    return _e("mrow", name, _within("(", Markup("").join(inner), ")"))


def _given(what: Markup, condition: Markup) -> Markup:
    return _e("mrow", what, _o("\u2223"), condition)


def _loss(model: Markup, text: Markup) -> Markup:
    """The negative logarithm of a model's probability of a text."""
    return _e("mrow", _o(MINUS), _i("ln"), _o("\u2061"), _THIN, _call(model, text))


def _of_twin(name: str) -> Markup:
    return _e("msub", _i(name), _i("c"))


def _times(weight: float, term: Markup) -> Markup:
    return term if weight == 1 else _e("mrow", _n(weight), _THIN, term)


def _sum(terms: Iterable[Markup]) -> Markup:
    return _e("mrow", _o("+").join(terms))


_THIN = Markup('<mspace width="0.17em"/>')
_POSTERIOR = _call(_i("q"), _given(_i("z"), _i("x")))
_KL = _call(_i("KL"), _POSTERIOR, _o("\u2225"), _call(_i("p"), _i("z")))
_MMD = _call(_e("msup", _i("MMD"), _n(2)), _call(_i("q"), _i("z")), _o(","), _call(_i("p"), _i("z")))


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
    return "true" if value is True else "false" if value is False else f"{value}"


def departures(catalog: Catalog, record: RunRecord) -> tuple[list[dict[str, Any]], str]:
    """Where a run departs from the paper's own protocol, and why that could not be said if it could not."""
    assert record.settings is not None
    _, paper, corpus, system, seed = record.parts
    try:
        protocol = resolve(catalog, "paper", paper, corpus, system, seed)
    except BenchError as error:
        return [], f"the protocol for this run cannot be resolved now: {error.what}"
    found = changed(protocol, record.settings)
    return [{"key": key, "protocol": was, "run": now} for key, was, now in found if key != DERIVED], ""


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
        elif dotted == DERIVED or dotted.endswith(".options") or value == ABSENT:
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
