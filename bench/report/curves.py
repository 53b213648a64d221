"""Which curves and histograms are drawn of a run, and of several systems over each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bench.analysis.curves import CURVES, TRAINING, VALIDATION, Column, points, weighted_kl
from bench.analysis.numbers import MINUS, fixed
from bench.catalog.claims import CurveName
from bench.catalog.quantities import Quantity
from bench.catalog.tables import HistogramName
from bench.report.figures import (
    Line,
    Picture,
    bar_figure,
    grouped_figure,
    histogram_figure,
    line_figure,
    plane_figure,
    rank_figure,
)
from bench.store.records import CorpusRecord, RunRecord

NATS = "nats per text"
SIGMA, TIMES = "\u03c3", "\u00d7"

LOSSES = {
    "reconstruction": "reconstruction",
    "twin's reconstruction": "twin_reconstruction",
}
NORMS = {
    "reconstruction": "grad_norm_rec_squared",
    "twin's reconstruction": "grad_norm_rec_coupled_squared",
    "both": "grad_norm_rec_total_squared",
    "regulariser": "grad_norm_reg_squared",
}


def lines_of(
    runs: Sequence[RunRecord], name: str, columns: Mapping[str, Column], first_style: int = 0
) -> list[Line]:
    """One line per column and seed; seeds after the first are faint."""
    return [
        Line(label, *points(run, name, column), style=first_style + style, faint=number > 0)
        for style, (label, column) in enumerate(columns.items())
        for number, run in enumerate(runs)
    ]


KL_CURVE = "KL of the batch, as the objective has or estimates it, and times its weight."


def system_figures(slug: str, runs: Sequence[RunRecord]) -> list[Picture]:
    """All figures of one system: losses, KL and its weight, rate, gradients, posterior."""

    def over_steps(part: str, lines: list[Line], caption: str, y: str, log: bool = False) -> Picture | None:
        return line_figure(f"{slug}-{part}", lines, caption, "step", y, log=log)

    validation: dict[str, Column] = {
        "NLL, validation": "nll",
        f"{MINUS}ELBO, validation": lambda t: -t["elbo"],
    }
    if not any(len(points(run, VALIDATION, "nll")[0]) for run in runs):
        validation = {"reconstruction, validation": "reconstruction"}
    kl: dict[str, Column] = {
        "KL": "kl",
        f"weight {TIMES} KL": weighted_kl,
    }
    losses = lines_of(runs, TRAINING, LOSSES) + lines_of(runs, VALIDATION, validation, len(LOSSES))
    found = [
        over_steps("losses", losses, "Losses: batch means in training, and the validation split.", NATS),
        over_steps(
            "kl",
            lines_of(runs, TRAINING, kl),
            KL_CURVE,
            NATS,
        ),
        over_steps(
            "weight", lines_of(runs, TRAINING, {"weight": "kl_weight"}), "Weight of the KL.", "weight"
        ),
        over_steps(
            "matching",
            lines_of(runs, TRAINING, {"matching": "matching"}),
            "Matching loss of the twin.",
            "matching",
        ),
        over_steps(
            "rate", lines_of(runs, TRAINING, {"rate": "learning_rate"}), "Learning rate.", "learning rate"
        ),
        over_steps(
            "norm",
            lines_of(runs, TRAINING, {"norm": "gradient_norm"}),
            "Global norm of the gradient before clipping.",
            "gradient norm",
            log=True,
        ),
        over_steps(
            "norms",
            lines_of(runs, VALIDATION, NORMS),
            "Mean squared norm of the gradient with respect to the encoded text e, in training mode.",
            "squared norm",
            log=True,
        ),
        over_steps(
            "sensitivity",
            lines_of(runs, VALIDATION, {"sensitivity": "signal_sensitivity_squared"}),
            "Sensitivity of the decoding signal h to the encoded text: ‖∂h/∂e‖² / ‖h‖², in training mode.",
            "‖∂h/∂e‖² / ‖h‖²",
        ),
        *_posterior(slug, runs[0].documents.get("histograms.json") or {}),
    ]
    return [picture for picture in found if picture is not None]


def _posterior(slug: str, histograms: Mapping[str, object]) -> Iterable[Picture]:
    sigma, units = histograms.get("sigma"), histograms.get("units")
    if isinstance(sigma, Mapping):
        above = sigma.get("above") or 0
        yield histogram_figure(
            f"{slug}-sigma",
            {SIGMA: (with_above(sigma["edges"]), [*sigma["counts"], above])},
            f"Standard deviations {SIGMA} of the posterior, all test texts and dimensions, in "
            f"{len(sigma['counts'])} buckets on (0, 1); {above} lie above 1.",
            SIGMA,
            "count",
            beyond=True,
        )
    if isinstance(units, Mapping) and units.get("kl"):
        yield bar_figure(f"{slug}-unit-kl", units["kl"], "KL of each latent dimension.", "nats")
    if isinstance(units, Mapping) and units.get("variance"):
        yield bar_figure(
            f"{slug}-unit-variance",
            units["variance"],
            "Variance over the test texts of the posterior mean.",
            "variance",
        )


IN_TRAINING_MODE = "Training mode, validation split."
MANY = 4  # systems whose legend still has room beside their curves


@dataclass(frozen=True)
class Panel:
    """How one curve that a printed figure draws of several systems is drawn."""

    caption: str
    y: str
    log: bool = False


PANELS: dict[CurveName, Panel] = {
    "reconstruction-gradient": Panel(
        "Squared gradient norm of the reconstruction with respect to e (with the twin's, if there is one). "
        f"{IN_TRAINING_MODE}",
        "‖∂rec/∂e‖²",
        log=True,
    ),
    "regulariser-gradient": Panel(
        f"Squared gradient norm of the unweighted regulariser with respect to e. {IN_TRAINING_MODE}",
        "‖∂reg/∂e‖²",
        log=True,
    ),
    "signal-sensitivity": Panel(
        f"Sensitivity of the decoding signal h to the encoded text e. {IN_TRAINING_MODE}",
        "‖∂h/∂e‖² / ‖h‖²",
    ),
    "weighted-kl": Panel(
        f"KL of the training batches {TIMES} the weight that it has at the step.",
        f"weight {TIMES} KL, {NATS}",
    ),
    "kl": Panel("KL of posterior and prior on the validation split.", NATS),
    "kl-weight": Panel("Weight of the KL at each validation.", "weight"),
    "reconstruction": Panel("Reconstruction loss on the validation split.", NATS),
}
OVERLAID: dict[str, tuple[str, Column, str, str]] = {
    "nll": (VALIDATION, "nll", "NLL on the validation split.", NATS),
    "kl": (VALIDATION, "kl", "KL on the validation split.", NATS),
    "weighted-kl": (TRAINING, weighted_kl, f"KL of the training batches {TIMES} its weight.", NATS),
    "rate": (TRAINING, "learning_rate", "Learning rate.", "learning rate"),
}
Systems = Mapping[str, Sequence[RunRecord]]  # by title


def panel_figures(slug: str, systems: Systems, panels: Sequence[CurveName]) -> list[Picture]:
    """The panels of a printed figure: a colour and a marker for each system, a line for each seed."""
    pictures = []
    for name in panels:
        panel = PANELS[name]
        lines = _over_each_other(systems, CURVES[name].table, CURVES[name].column)
        legend: Literal["below", True] = "below" if len(systems) > MANY else True
        drawn = line_figure(
            f"{slug}-{name}",
            lines,
            panel.caption,
            "step",
            panel.y,
            log=panel.log,
            legend=legend,
            markers=True,
        )
        pictures.append(drawn)
    return [picture for picture in pictures if picture is not None]


def with_above(edges: Sequence[float]) -> list[float]:
    """The edges of a histogram, and a bucket for all above it, a tenth as wide as the others together."""
    return [*edges, edges[-1] + (edges[-1] - edges[0]) / 10]


def sigma_figures(slug: str, systems: Systems) -> list[Picture]:
    """A histogram of the posterior's standard deviations for each system that has them, all seeds together."""
    pictures = []
    for number, (title, runs) in enumerate(systems.items()):
        found = [run.documents.get("histograms.json") or {} for run in runs]
        sigmas = [histograms["sigma"] for histograms in found if histograms.get("sigma")]
        if not sigmas:
            continue
        counts = np.sum([sigma["counts"] for sigma in sigmas], axis=0)
        above = sum(sigma["above"] for sigma in sigmas)
        total = max(int(counts.sum()) + above, 1)
        seeds = f", {len(sigmas)} seeds" if len(sigmas) > 1 else ""
        caption = (
            f"{title}: standard deviations {SIGMA} of the posterior, all test texts and dimensions{seeds}, in "
            f"{len(counts)} buckets on (0, 1); {fixed(100 * above / total, 2)} % lie above 1."
        )
        heights = [*(100 * counts / total).tolist(), 100 * above / total]
        outline = {title: (with_above(sigmas[0]["edges"]), heights)}
        name = f"{slug}-sigma-{number}"
        pictures.append(histogram_figure(name, outline, caption, SIGMA, "percent", beyond=True))
    return pictures


def bar_figures(slug: str, systems: Systems, bars: Mapping[str, Quantity], title: str) -> list[Picture]:
    """Bars of measured quantities for each system, means over its seeds; none where nothing of them was measured."""
    heights: dict[str, dict[str, float]] = {}
    units: set[str] = set()
    for system, runs in systems.items():
        for label, quantity in bars.items():
            found = [run.find(quantity.metric, quantity.estimator, quantity.part) for run in runs]
            known = [(one.value, one.unit) for one in found if one is not None and one.value is not None]
            if known:
                heights.setdefault(system, {})[label] = float(np.mean([value for value, _ in known]))
                units |= {unit for _, unit in known}
    caption = f"{title}; means over seeds."
    return [grouped_figure(f"{slug}-bars", heights, caption, ", ".join(sorted(units)))] if heights else []


def plane_figures(slug: str, systems: Systems) -> list[Picture]:
    """The codes of each system that has them in a plane, those of its first seed: density, and some posteriors."""
    pictures = []
    for number, (title, runs) in enumerate(systems.items()):
        planes = [run.documents.get("histograms.json", {}).get("plane") for run in runs]
        plane = next(filter(None, planes), None)
        if plane is not None:
            drawn = f"{len(plane['centers'])} posteriors, each within one standard deviation"
            if not np.any(plane["deviations"]):
                drawn = f"{len(plane['centers'])} codes, which are points"
            caption = (
                f"{title}: density of the codes of all test texts, {drawn}, and the prior within one and two of its "
                f"standard deviations (dashed). {fixed(100 * plane['outside'], 1)} % of the codes lie outside."
            )
            cells, shapes = (plane["edges"], plane["counts"]), (plane["centers"], plane["deviations"])
            pictures.append(plane_figure(f"{slug}-plane-{number}", *cells, *shapes, caption))
    return pictures


# How each kind of histogram is drawn of several systems.
HISTOGRAMS: dict[HistogramName, Callable[[str, Systems], list[Picture]]] = {
    "sigma": sigma_figures,
    "plane": plane_figures,
}


def overlaid_figures(slug: str, systems: Systems) -> list[Picture]:
    """What else the systems of the paper's figures recorded, over each other; one line per seed."""
    pictures = [
        line_figure(
            f"{slug}-{part}", _over_each_other(systems, name, column), caption, "step", y, legend=True
        )
        for part, (name, column, caption, y) in OVERLAID.items()
    ]
    return [picture for picture in pictures if picture is not None]


def _over_each_other(systems: Systems, name: str, column: Column) -> list[Line]:
    return [
        line
        for style, (title, runs) in enumerate(systems.items())
        for line in lines_of(runs, name, {title: column}, style)
    ]


def corpus_figures(slug: str, corpus: CorpusRecord) -> list[Picture]:
    """Lengths by split, and count over rank of the training words."""
    splits = corpus.card.get("splits") or {}
    outlines = {}
    for split, facts in splits.items():
        counts = np.asarray(facts["histogram"]["counts"], dtype=float)
        edges = np.arange(len(counts) + 1) * facts["histogram"]["bin_width"]
        outlines[split] = (edges.tolist(), (100 * counts / counts.sum()).tolist())
    pictures = []
    if outlines:
        caption = "Lengths of the texts, in words, as percent of the split."
        pictures.append(histogram_figure(f"{slug}-lengths", outlines, caption, "words", "percent of texts"))
    words = corpus.card.get("frequencies") or []
    if words:
        caption = "Count of the training words over their rank."
        pictures.append(
            rank_figure(f"{slug}-ranks", [w["rank"] for w in words], [w["count"] for w in words], caption)
        )
    return pictures
