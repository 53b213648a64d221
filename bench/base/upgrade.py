"""What older versions recorded, as today's version reads it: one function or table for each kind of record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NONE = {"kind": "none", "options": {}}
# Columns of the tables of a run, by their names before the terms of an objective had names of their own.
COLUMNS = {"regulariser": "kl", "aggregate": "mmd", "weight": "kl_weight"}
_RELEASED = "-released-sampler"
# Which measure gave each metric, before measurements named their measure.
_MEASURES = {
    **dict.fromkeys(("nll", "ppl", "elbo", "kl", "reconstruction"), "likelihood"),
    "excess_nll": "excess",
    **dict.fromkeys(("mi", "active_units"), "information"),
    **dict.fromkeys(("bleu1", "bleu2", "bleu"), "bleu"),
    **dict.fromkeys(("dist1", "dist2"), "diversity"),
    "attribute_information": "attributes",
    **dict.fromkeys(("grad_norm_rec", "grad_norm_rec_coupled", "grad_norm_rec_total"), "gradients"),
    **dict.fromkeys(("grad_norm_reg", "signal_sensitivity"), "gradients"),
}
_SHOWN = (
    "reconstructions",
    "interpolations",
    "traversals",
)  # measures of texts of every system that has codes


def upgraded(settings: dict[str, Any]) -> dict[str, Any]:
    """Recorded settings of any version as settings of today; those of today are returned as they are.

    Where the default of a setting has changed, this function writes the former default into settings that
    are older than the setting.
    """
    return _with_groups(_with_terms(settings))


def _with_terms(settings: dict[str, Any]) -> dict[str, Any]:
    """A loss was a regulariser with a schedule, an aggregate and a coupling; it is a list of terms."""
    if "regulariser" not in settings:
        return settings
    old = {
        key: value for key, value in settings.items() if key not in ("regulariser", "aggregate", "schedule")
    }
    if "signal" not in old:
        old["signal"] = NONE if old["encoder"]["kind"] == "none" else {"kind": "mlp", "options": {}}
    return old | {"coupling": _without_options(settings["coupling"]), "objective": _objective(settings)}


def _with_groups(settings: dict[str, Any]) -> dict[str, Any]:
    """How often the embedding is updated was a setting of the optimiser; it is one of a group of parameters."""
    optimiser = dict(settings.get("optimiser", {}))
    updates = optimiser.pop("embedding_updates", None)
    if updates is None:
        return settings
    found = {**settings, "optimiser": optimiser}
    if updates == "deduplicated":
        return found
    updates = "owners" if updates == "as-released" else updates
    return {**found, "groups": {"embedding": {"modules": ["embedding"], "updates": updates}}}


def upgraded_columns(names: list[str]) -> dict[str, str]:
    """Today's names of those ``names`` of columns that have others now; none where all are of today."""
    if "weight" not in names:
        return {}
    return {name: COLUMNS[name] for name in names if name in COLUMNS}


def _objective(old: dict[str, Any]) -> dict[str, Any]:
    """The terms of an objective that was a regulariser with a schedule, an aggregate and a coupling."""
    terms: dict[str, Any] = {"reconstruction": _term("reconstruction", {}, 1.0)}
    if old["regulariser"]["kind"] != "none":
        terms["kl"] = {**old["regulariser"], "weight": _weight(old["schedule"])}
    aggregate = old.get("aggregate", NONE)
    if aggregate["kind"] != "none":
        options = dict(aggregate["options"])
        weight = options.pop("weight")
        terms["mmd"] = _term(aggregate["kind"], options, weight)
    if old["coupling"]["kind"] != "none":
        options = dict(old["coupling"]["options"])
        matching, reconstruction = options.pop("matching_weight"), options.pop("reconstruction_weight")
        terms["matching"] = _term("matching", options, matching)
        terms["twin_reconstruction"] = _term("twin_reconstruction", {}, reconstruction)
    return terms


def _term(kind: str, options: dict[str, Any], weight: float) -> dict[str, Any]:
    return {"kind": kind, "options": options, "weight": {"kind": "constant", "options": {"value": weight}}}


def _weight(schedule: dict[str, Any]) -> dict[str, Any]:
    """The constant schedule called its value a ceiling, as the others do."""
    if schedule["kind"] != "constant":
        return schedule
    return {"kind": "constant", "options": {"value": schedule["options"]["ceiling"]}}


def _without_options(part: dict[str, Any]) -> dict[str, Any]:
    return {"kind": part["kind"], "options": {}}


def upgraded_record(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a ``measurements.json`` of any version as that of today: its measures have names."""
    rows = [upgraded_row(row) for row in content.get("measurements", ())]
    found = {**content, "measurements": rows}
    if "measures" not in found:
        names = dict.fromkeys(row["measure"] for row in rows)
        texts = _SHOWN if "gradients" in names else ()
        found["measures"] = {name: {"version": 1} for name in (*names, *texts)}
    return found


def upgraded_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A measurement of any version as one of today: it names its measure, and a part has a key of its own."""
    metric, _, part = str(row.get("metric")).partition(":")
    released = str(row.get("estimator")).endswith(_RELEASED)
    named = {"measure": "released-sampler" if released else _MEASURES.get(metric, metric), "version": 1}
    return {**named, **row, "metric": metric, "part": row.get("part") or part or None}
