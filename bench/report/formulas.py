"""What a system minimises, as a formula: LaTeX of the terms, rendered as MathML."""

from __future__ import annotations

from collections.abc import Callable

from latex2mathml.converter import convert
from markupsafe import Markup

from bench.base.settings import Part, RunSettings

POSTERIOR, KL = r"q(z \mid x)", r"\mathrm{KL}(q(z \mid x) \,\|\, p(z))"


def objective(settings: RunSettings) -> Markup:
    """What the system minimises, per text, as MathML (Wu et al. 2020, equation 4, where it is coupled)."""
    return Markup(convert(latex(settings), display="block"))


def latex(settings: RunSettings) -> str:
    """The objective as LaTeX: each term with its weight; the matching last, as in the equation."""
    terms = sorted(settings.objective.items(), key=lambda item: item[1].kind == "matching")
    return " + ".join(_weighted(term.weight, _formula(settings, name, term)) for name, term in terms)


def _weighted(weight: Part, formula: str) -> str:
    if weight.kind != "constant":
        return rf"\beta(t) \, {formula}"
    value = weight.options["value"]
    return formula if value == 1 else rf"{value:g} \, {formula}"


def _formula(settings: RunSettings, name: str, term: Part) -> str:
    """A term that has no formula here stands as its name."""
    if term.kind == "reconstruction":
        return _reconstruction(settings)
    if term.kind == "dual":  # nu of the term that it names
        return r"\nu(x, z)" if settings.objective[term.options["ratio"]].options["given_text"] else r"\nu(z)"
    return (
        FORMULAS[term.kind](term)
        if term.kind in FORMULAS
        else rf"\mathrm{{{name.replace('_', chr(92) + '_')}}}"
    )


def _reconstruction(settings: RunSettings) -> str:
    if settings.encoder.absent:
        return r"-\ln p(x)"
    if settings.posterior.kind == "point":
        return r"-\ln p(x \mid z(x))"
    return rf"\mathrm{{E}}_{{{POSTERIOR}}} \left[ -\ln p(x \mid z) \right]"


def _free_bits(part: Part) -> str:
    target = f"{part.options['target']:g}"
    return {
        "dimension": rf"\sum_i \max(\mathrm{{KL}}_i, {target}/d)",
        "text": rf"\max({KL}, {target})",
        "batch": rf"\max(\mathrm{{E}}_x {KL}, {target})",
    }[part.options["form"]]


def _ratio(part: Part) -> str:
    read = "x, z" if part.options["given_text"] else "z"
    return rf"\left[ \mathrm{{E}}_{{p(z)}} e^{{\nu({read})}} - \nu({read}) \right]"


def _matching(part: Part) -> str:
    distance = part.options["distance"]
    known = {
        "rational-quadratic": r"\mathrm{RQ}(h, h_c)",
        "euclidean": r"\left\| h - h_c \right\|^2",
    }
    return known.get(distance, rf"\mathrm{{{distance}}}(h, h_c)")


FORMULAS: dict[str, Callable[[Part], str]] = {
    "kl": lambda part: KL,
    "deviation_kl": lambda part: r"\mathrm{KL}(q(z \mid x) \,\|\, \mathcal{N}(\mu(x), I))",
    "free-bits": _free_bits,
    "importance-bound": lambda part: (
        rf"\left[ -\ln \frac{{1}}{{{part.options['codes']}}} \sum_i p(x \mid z_i) \, p(z_i) / q(z_i \mid x) \right]"
    ),
    "mmd": lambda part: r"\mathrm{MMD}^2(q(z), p(z))",
    "matching": _matching,
    "density-ratio": _ratio,
    "dual-prior": lambda part: (
        rf"\left[ {'' if part.options['ascent'] else '-'} e^{{\nu(x, \tilde{{z}})}} \right]"
    ),
    "twin_reconstruction": lambda part: r"\left[ -\ln p_c(x \mid z_c) \right]",
}
