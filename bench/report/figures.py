"""Figures as SVG text that follows the page's light or dark mode.

Matplotlib draws with marker colours; they are then replaced by CSS: text and axes by ``currentColor``, series
by variables that the stylesheet sets. A figure saved as a file of its own carries that stylesheet itself.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Ellipse
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

INK, FAINT = "#010203", "#040506"  # stand for the colour of text and of grid lines
# Okabe and Ito's palette, told apart by colour-blind readers; (light page, dark page).
SERIES = (
    ("#0072b2", "#56a8dc"),
    ("#d55e00", "#f0803c"),
    ("#009e73", "#2cc096"),
    ("#b65c97", "#dc9ac4"),
    ("#8a6d00", "#dcb840"),
    ("#5f6b7a", "#a3afbe"),
)
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.2, 1.2, 1.2)), (0, (8, 2)), "-")
SIZE = (3.5, 2.35)  # inches
INSIDE = 3  # names of lines beside which the lines still have room; more stand below the axes
PLAIN = FuncFormatter(lambda value, _: f"{value:g}")
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "bench",
    "font.family": "sans-serif",
    "font.size": 8,
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.5,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "lines.linewidth": 1.3,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


@dataclass(frozen=True)
class Picture:
    """A finished figure: SVG for the page, with a caption that says all that the picture says of itself."""

    name: str
    svg: str
    caption: str

    def standalone(self) -> str:
        """The same as a file of its own, with its colours."""
        own = "*{stroke-linejoin:round;stroke-linecap:butt;font-family:sans-serif}"
        return self.svg.replace("<defs>", f"<style>{stylesheet()}{own}</style><defs>", 1)


@dataclass(frozen=True)
class Line:
    """One curve; lines of the same ``style`` number share colour and dashes."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    style: int = 0
    faint: bool = False
    spread: Sequence[float] = ()  # half the width of a band around y


def variables() -> str:
    """The series' colours as the page's stylesheet has them: both modes in one, chosen by ``color-scheme``."""
    colours = "".join(f"--s{i}:light-dark({a},{b});" for i, (a, b) in enumerate(SERIES))
    return f":root{{{colours}--grid:light-dark(#d8d8d4,#3a3d40)}}"


def stylesheet() -> str:
    """The same for a figure that is a file of its own, in words that every viewer of SVG understands."""
    light = "".join(f"--s{i}:{a};" for i, (a, _) in enumerate(SERIES))
    dark = "".join(f"--s{i}:{b};" for i, (_, b) in enumerate(SERIES))
    return (
        f":root{{color-scheme:light dark;{light}--grid:#d8d8d4}}"
        f"@media(prefers-color-scheme:dark){{:root{{color:#ddd;{dark}--grid:#3a3d40}}}}"
    )


def line_figure(
    name: str,
    lines: Sequence[Line],
    caption: str,
    x: str,
    y: str,
    *,
    log: bool = False,
    log_x: bool = False,
    zero: bool = False,
    legend: bool | Literal["below"] | None = None,
    markers: bool = False,
    steps: bool = False,
) -> Picture | None:
    """Curves over training or over a number of samples; None if no line has a point (a term the system lacks).

    ``legend``: by default only where several labels are drawn. ``markers`` tell the styles apart instead of
    dashes. ``zero`` draws the line of no error, ``steps`` jumps instead of slopes.
    """
    drawn = [line for line in lines if len(line.x)]
    if not drawn:
        return None
    labels = list(dict.fromkeys(line.label for line in drawn))
    if legend is not False and len(labels) > INSIDE:
        legend = "below"

    def draw(axes: Axes) -> None:
        seen: set[str] = set()
        for line in drawn:
            axes.plot(
                line.x,
                line.y,
                label="_" if line.label in seen else line.label,
                color=SERIES[line.style % len(SERIES)][0],
                linestyle="-" if markers else _differing(DASHES, line.style),
                alpha=0.45 if line.faint else 1.0,
                marker=_differing(MARKERS, line.style) if markers or len(line.x) == 1 else None,
                markevery=max(len(line.x) // 12, 1),
                drawstyle="steps-post" if steps else "default",
                markersize=3.5 if markers else 3,
            )
            seen.add(line.label)
            if len(line.spread):
                lower = [y - s for y, s in zip(line.y, line.spread, strict=True)]
                upper = [y + s for y, s in zip(line.y, line.spread, strict=True)]
                colour = SERIES[line.style % len(SERIES)][0]
                axes.fill_between(line.x, lower, upper, color=colour, alpha=0.16, linewidth=0)
        if zero:
            axes.axhline(0, color=INK, linewidth=0.6)
        if log:
            _log_scale(axes)
        if log_x:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(PLAIN)
            axes.xaxis.set_minor_formatter(NullFormatter())
        if legend == "below":
            _legend(axes, below=True)
        elif len(labels) > 1 if legend is None else legend:
            _legend(axes, below=False)

    return Picture(name, _svg(name, x, y, draw, fitted=legend == "below"), caption)


def _legend(axes: Axes, *, below: bool) -> None:
    if below:
        axes.figure.legend(loc="outside lower center", ncols=2, handlelength=2.6)
    else:
        axes.legend(loc="best", handlelength=2.6)


def _differing(kinds: Sequence[Any], style: int) -> Any:
    """The mark of a style, another one where its colour comes round again."""
    return kinds[(style + style // len(SERIES)) % len(kinds)]


def histogram_figure(
    name: str,
    outlines: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    caption: str,
    x: str,
    y: str,
    *,
    beyond: bool = False,
) -> Picture:
    """Histograms as label -> (edges, heights): one is filled, several are outlines over each other.

    ``beyond``: the last bucket holds all above its lower edge, and its tick says so.
    """
    crowded = len(outlines) > INSIDE

    def draw(axes: Axes) -> None:
        for index, (label, (edges, heights)) in enumerate(outlines.items()):
            filled = len(outlines) == 1
            axes.stairs(
                heights,
                edges,
                label=label,
                fill=filled,
                color=SERIES[index % len(SERIES)][0],
                linestyle=DASHES[index % len(DASHES)],
                alpha=0.75 if filled else 1.0,
            )
            axes.set_xlim(edges[0], max(edges[-1], axes.get_xlim()[1] if index else edges[-1]))
        axes.set_ylim(bottom=0)
        if all(float(edge).is_integer() for edges, _ in outlines.values() for edge in edges):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if beyond:
            edges = next(iter(outlines.values()))[0]
            whole = [edges[0] + share * (edges[-2] - edges[0]) for share in (0, 0.25, 0.5, 0.75)]
            middle = (edges[-2] + edges[-1]) / 2
            axes.set_xticks([*whole, middle], [*(f"{tick:g}" for tick in whole), f"> {edges[-2]:g}"])
            axes.axvline(edges[-2], color=INK, linewidth=0.6, linestyle=":")
        if len(outlines) > 1:
            _legend(axes, below=crowded)

    return Picture(name, _svg(name, x, y, draw, fitted=crowded), caption)


def plane_figure(
    name: str,
    edges: Sequence[float],
    counts: Sequence[Sequence[int]],
    centers: Sequence[tuple[float, float]],
    deviations: Sequence[tuple[float, float]],
    caption: str,
) -> Picture:
    """Codes in a plane: how many lie in each cell ``counts[x][y]``, ellipses of some Gaussians, circles of N(0, I)."""

    def draw(axes: Axes) -> None:
        middles = [(low + high) / 2 for low, high in pairwise(edges)]
        most = max(map(max, counts)) or 1
        shades = [(SERIES[0][0], share) for share in (0.12, 0.25, 0.4, 0.55, 0.7)]
        levels = [most * share for share in (0.02, 0.1, 0.25, 0.5, 0.75, 1.01)]
        axes.contourf(middles, middles, [*zip(*counts, strict=True)], levels=levels, colors=shades)
        for center, (width, height) in zip(centers, deviations, strict=True):
            if width or height:
                shape = Ellipse(center, 2 * width, 2 * height, fill=False, color=SERIES[1][0], linewidth=0.8)
                axes.add_patch(shape)
            else:
                axes.plot(*center, color=SERIES[1][0], marker="o", markersize=1.8)
        for radius in (1, 2):
            axes.add_patch(Circle((0, 0), radius, fill=False, color=INK, linewidth=0.8, linestyle="--"))
        axes.set_xlim(edges[0], edges[-1])
        axes.set_ylim(edges[0], edges[-1])

    return Picture(name, _svg(name, "first dimension", "second dimension", draw, (2.6, 2.6)), caption)


def rank_figure(name: str, ranks: Sequence[int], counts: Sequence[int], caption: str) -> Picture:
    """Word counts over their rank, both logarithmic."""

    def draw(axes: Axes) -> None:
        axes.loglog(ranks, counts, color=SERIES[0][0], marker="o", markersize=2.2, linewidth=0.8)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PLAIN)

    return Picture(name, _svg(name, "rank", "count", draw), caption)


def bar_figure(name: str, values: Sequence[float], caption: str, y: str) -> Picture:
    """One bar per latent dimension, the largest first."""

    def draw(axes: Axes) -> None:
        ordered = sorted(values, reverse=True)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.bar(range(1, len(ordered) + 1), ordered, color=SERIES[0][0], alpha=0.75, width=0.8)

    return Picture(name, _svg(name, "latent dimension, sorted", y, draw), caption)


def grouped_figure(name: str, groups: Mapping[str, Mapping[str, float]], caption: str, y: str) -> Picture:
    """Bars side by side for each group, as group -> label -> height; a group may lack labels that others have."""
    labels = list(dict.fromkeys(label for bars in groups.values() for label in bars))
    width = 0.8 / len(labels)

    def draw(axes: Axes) -> None:
        for index, label in enumerate(labels):
            heights = [bars.get(label, math.nan) for bars in groups.values()]
            places = [place + (index - (len(labels) - 1) / 2) * width for place in range(len(groups))]
            axes.bar(places, heights, width, label=label, color=SERIES[index % len(SERIES)][0], alpha=0.85)
        axes.axhline(0, color=INK, linewidth=0.6)
        axes.set_xticks(range(len(groups)), list(groups))
        axes.set_xlim(-0.5, len(groups) - 0.5)  # a bar that is left out keeps its room
        axes.grid(visible=False, axis="x")
        _legend(axes, below=True)

    return Picture(name, _svg(name, "", y, draw, (4.0, 2.6), fitted=True), caption)


def dot_figure(
    name: str,
    rows: Sequence[tuple[str, float, float | None, float | None]],
    caption: str,
    x: str,
    *,
    floor: float | None = None,
) -> Picture:
    """One dot per row (label, value, ends of its interval), the first at the top, over a line at zero.

    ``floor``: a band of that width on either side of each dot, within which a difference is noise.
    """

    def draw(axes: Axes) -> None:
        places = list(range(len(rows)))
        if floor:
            for place, (_, value, _, _) in zip(places, rows, strict=True):
                axes.barh(place, 2 * floor, left=value - floor, height=0.7, color=SERIES[1][0], alpha=0.3)
        for place, (_, value, low, high) in zip(places, rows, strict=True):
            if low is not None and high is not None:
                axes.plot([low, high], [place, place], color=SERIES[0][0], linewidth=1.1)
            axes.plot([value], [place], color=SERIES[0][0], marker="o", markersize=3.5)
        axes.axvline(0, color=INK, linewidth=0.6)
        axes.set_yticks(places, [label for label, *_ in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.grid(visible=False, axis="y")

    size = (5.2, 0.6 + 0.185 * len(rows))
    return Picture(name, _svg(name, x, "", draw, size, fitted=True), caption)


def _log_scale(axes: Axes) -> None:
    """A logarithmic ordinate with plain numbers, also between the powers of ten where these are few."""
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(PLAIN)
    low, high = axes.get_ylim()
    decades = math.log10(high / low) if low > 0 else math.inf
    axes.yaxis.set_minor_formatter(_between(decades) if decades < 2.2 else NullFormatter())


def _between(decades: float) -> FuncFormatter:
    """The numbers at marks between powers of ten: all over a short range, over a longer one they would collide."""
    first_digits = "23456789" if decades < 0.5 else "235" if decades < 1.2 else "3"
    return FuncFormatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in first_digits else "")


def _svg(
    name: str,
    x: str,
    y: str,
    draw: Callable[[Axes], None],
    size: tuple[float, float] = SIZE,
    *,
    fitted: bool = False,
) -> str:
    """The themed SVG of one pair of axes; ``fitted`` to all that stands around them, which doubles the time."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained" if fitted else None)
        axes = figure.subplots()
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        draw(axes)
        if not fitted:
            _leave_room(axes, *size)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return themed(buffer.getvalue(), name)


def _leave_room(axes: Axes, width: float, height: float) -> None:
    """Margins in inches for names and numbers of one line, by the longest number of the ordinate."""
    axis = axes.yaxis
    numbers = axis.get_major_formatter().format_ticks(axis.get_majorticklocs().tolist())
    numbers += axis.get_minor_formatter().format_ticks(axis.get_minorticklocs().tolist())
    left = 0.34 + 0.066 * max(map(len, numbers), default=0)
    axes.figure.subplots_adjust(
        left=left / width, right=1 - 0.1 / width, bottom=0.44 / height, top=1 - 0.1 / height
    )


def themed(svg: str, name: str) -> str:
    """The ``svg`` element alone, colours as CSS, ids made unique on a page by the figure's name."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = svg.replace("url(#", f"url(#{name}-").replace('href="#', f'href="#{name}-')
    svg = svg.replace(INK, "currentColor").replace(FAINT, "var(--grid,#d8d8d4)")
    for index, (light, _) in enumerate(SERIES):
        svg = svg.replace(light, f"var(--s{index},{light.upper()})")
    svg = re.sub(r"font-family: [^;]+;", "", svg)
    return svg.replace("<svg ", f'<svg role="img" aria-labelledby="{name}-caption" ', 1)
