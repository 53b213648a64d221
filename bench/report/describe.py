"""What a run is: its parts and objective in words, its departures from the protocol, how to run it again."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup, escape

from bench.declarations import Catalog
from bench.errors import BenchError
from bench.parts import CHOICES, lookup
from bench.plan import resolve
from bench.report.records import RunRecord
from bench.settings import Part, RunSettings

NAMES = ("tier", "paper", "corpus", "system", "seed")
RECONSTRUCTION = Markup("<i>E</i><sub>q(z|x)</sub>[&minus;ln <i>p</i>(x|z)]")
AT_POINT = Markup("&minus;ln <i>p</i>(x|z(x))")
DISTANCES = {
    "rational-quadratic": Markup("<i>RQ</i>(<i>h</i>, <i>h</i><sub>c</sub>)"),
    "euclidean": Markup("&#x2016;<i>h</i> &minus; <i>h</i><sub>c</sub>&#x2016;<sup>2</sup>"),
}


def objective(settings: RunSettings) -> Markup:
    """What the system minimises, per text, as HTML (Wu et al. 2020, equation 4, where it is coupled)."""
    if settings.encoder.absent:
        return Markup("&minus;ln <i>p</i>(x)")
    terms = [AT_POINT if settings.posterior.kind == "point" else RECONSTRUCTION]
    if not settings.regulariser.absent:
        terms.append(_regulariser(settings))
    if not settings.aggregate.absent:
        terms.append(_aggregate(settings.aggregate))
    if not settings.coupling.absent:
        terms.append(_coupling(settings.coupling))
    return Markup(" + ").join(terms)


def _regulariser(settings: RunSettings) -> Markup:
    part, kl = settings.regulariser, Markup("KL(<i>q</i>(z|x) &#x2016; <i>p</i>(z))")
    if part.kind == "free-bits":
        target = Markup("{:g}").format(part.options["target"])
        floors = {
            "dimension": Markup("&sum;<sub>i</sub> max(KL<sub>i</sub>, {}/<i>d</i>)").format(target),
            "text": Markup("max({}, {})").format(kl, target),
            "batch": Markup("max(<i>E</i><sub>x</sub> {}, {})").format(kl, target),
        }
        name = floors[part.options["form"]]
    else:
        name = kl if part.kind == "kl" else Markup("<i>{}</i>").format(part.kind)
    return Markup("&beta;(<i>t</i>) ") + name


def _aggregate(part: Part) -> Markup:
    if part.kind != "mmd":
        return Markup("<i>{}</i>").format(part.kind)
    return _times(part.options["weight"], Markup("MMD<sup>2</sup>(<i>q</i>(z), <i>p</i>(z))"))


def _coupling(part: Part) -> Markup:
    if part.kind != "twin":
        return Markup("<i>{}</i>").format(part.kind)
    options = part.options
    distance = DISTANCES.get(options["distance"], escape(options["distance"]))
    twin = Markup("[&minus;ln <i>p</i><sub>c</sub>(x|z<sub>c</sub>)]")
    matching = _times(options["matching_weight"], distance)
    return _times(options["reconstruction_weight"], twin) + Markup(" + ") + matching


def _times(weight: float, term: Markup) -> Markup:
    return term if weight == 1 else Markup("{:g} {}").format(weight, term)


def parts(settings: RunSettings) -> list[dict[str, str]]:
    """Each choice: its kind, what the part is (its docstring's first line) and its options."""
    rows = []
    for choice in CHOICES:
        part: Part = getattr(settings, choice)
        about = "" if part.absent else lookup(choice, part.kind).about
        options = ", ".join(f"{key.replace('_', ' ')} {_value(value)}" for key, value in part.options.items())
        rows.append({"choice": choice, "kind": part.kind, "about": about, "options": options})
    return rows


def _value(value: Any) -> str:
    return "true" if value is True else "false" if value is False else f"{value}"


def flat(settings: RunSettings) -> dict[str, Any]:
    """All settings by dotted key, the run's name left out."""
    found: dict[str, Any] = {}

    def visit(prefix: str, value: Any) -> None:
        if isinstance(value, Mapping) and value:
            for key, inner in value.items():
                visit(f"{prefix}.{key}" if prefix else str(key), inner)
        elif prefix not in NAMES:
            found[prefix] = value

    visit("", settings.model_dump(mode="json"))
    return found


def departures(catalog: Catalog, record: RunRecord) -> tuple[list[dict[str, Any]], str]:
    """Where a run departs from the paper's own protocol, and why that could not be said if it could not."""
    assert record.settings is not None
    _, paper, corpus, system, seed = record.parts
    try:
        protocol = resolve(catalog, "paper", paper, corpus, system, seed)
    except BenchError as error:
        return [], f"the protocol for this run cannot be resolved now: {error.what}"
    return _changes(flat(protocol), flat(record.settings)), ""


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, Any]]:
    keys = list(dict.fromkeys((*before, *after)))
    return [
        {"key": key, "protocol": before.get(key, "absent"), "run": after.get(key, "absent")}
        for key in keys
        if before.get(key, "absent") != after.get(key, "absent")
    ]


def overrides(catalog: Catalog, record: RunRecord) -> dict[str, Any]:
    """The ``--settings`` that turn what the catalog declares for this run into what it was made with."""
    if record.settings is None:
        return {}
    try:
        declared = resolve(catalog, *record.parts)
    except BenchError:
        return {}
    result: dict[str, Any] = {}
    for change in _changes(flat(declared), flat(record.settings)):
        *outer, last = [key for key in change["key"].split(".") if key != "options"]
        nested: dict[str, Any] = {last: change["run"]}
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
    """The commands that build exactly this run again, from the code to the measurements."""
    _, paper, corpus, *_ = record.parts
    version = str((record.run.get("provenance") or {}).get("code_version"))
    lines = [f"git checkout {version}"] if re.fullmatch("[0-9a-f]{40}", version) else []
    paper, corpus = shlex.quote(paper), shlex.quote(corpus)
    lines += [
        f"python -m bench fetch {corpus} --out results/sources/{corpus}.json",
        f"python -m bench prepare {paper} {corpus} --sources results/sources/{corpus}.json "
        f"--out results/corpora/{paper}/{corpus}",
    ]
    return lines + again(catalog, record)


def again(catalog: Catalog, record: RunRecord) -> list[str]:
    """The two commands that train and evaluate a run, with the settings that are not the catalog's."""
    name, changed = shlex.quote(record.name), overrides(catalog, record)
    extra = f" --settings {shlex.quote(json.dumps(changed))}" if changed else ""
    return [
        f"python -m bench train {name} --corpora results/corpora --out results/runs "
        f"--state results/state{extra}",
        f"python -m bench evaluate {name} --corpora results/corpora --runs results/runs{extra}",
    ]
