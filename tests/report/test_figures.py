"""Figures: valid SVG, themed by CSS, safe to put many on a page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

import numpy as np
import pytest

from bench.report.figures import INK, SERIES, Line, histogram_figure, line_figure, stylesheet


def example(name: str = "one", label: str = "<b>VAE</b> & $x_1$") -> str:
    lines = [Line(label, [1, 2, 3], [3.0, 2.0, 1.5]), Line("other", [1, 2], [1.0, 2.0], 1)]
    picture = line_figure(name, lines, "caption", "step", "nats")
    assert picture is not None
    return picture.svg


def test_colours_follow_the_page() -> None:
    svg = example()
    assert "currentColor" in svg
    assert "var(--s0," in svg
    assert INK not in svg
    assert SERIES[0][0] not in svg
    assert "prefers-color-scheme:dark" in stylesheet()


def test_labels_are_text_and_escaped() -> None:
    root = ElementTree.fromstring(example())
    texts = {"".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")}
    assert "<b>VAE</b> & $x_1$" in texts


def test_ids_of_two_figures_differ_and_references_resolve() -> None:
    first, second = example("one"), example("two")
    ids = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in (first, second)]
    assert not ids[0] & ids[1]
    assert set(re.findall(r'(?:url\(|href=")#([^")]+)', first)) <= ids[0]


def test_a_term_that_is_absent_draws_nothing() -> None:
    assert line_figure("none", [Line("a", [], [])], "caption", "x", "y") is None


def test_a_file_of_its_own_carries_its_colours() -> None:
    picture = histogram_figure("sigma", {"s": ([0.0, 0.5, 1.0], [3, 4])}, "caption", "x", "y")
    assert "--s0:" in picture.standalone()
    assert "<style" not in picture.svg
    ElementTree.fromstring(picture.standalone())


def drawn(svg: str, series: int) -> np.ndarray:
    """The points (n, 2) of each path that is drawn in the colour of a series, in the order of the picture."""
    paths = re.findall(rf'<path d="([^"]+)"[^>]*style="[^"]*(?:stroke|fill): var\(--s{series},', svg)
    numbers = re.findall(r"[ML] (-?[\d.]+) (-?[\d.]+)", paths[0])
    return np.array(numbers, dtype=float)


def on_a_line(shown: Sequence[float] | np.ndarray, data: Sequence[float]) -> bool:
    """Whether positions on paper are an affine image of the data, up to the digits of the file."""
    slope, offset = np.polyfit(data, shown, 1)
    return bool(np.allclose(slope * np.asarray(data) + offset, shown, atol=2e-3))


def test_a_curve_shows_its_data() -> None:
    steps, values = [10, 20, 40, 80], [3.0, 2.0, 2.5, 0.5]
    other = Line("other", [0, 100], [5.0, 0.0], 1)
    for log, expected in ((False, values), (True, np.log(values).tolist())):
        picture = line_figure("one", [Line("a", steps, values), other], "caption", "x", "y", log=log)
        assert picture is not None
        points = drawn(picture.svg, 0)
        assert len(points) == len(steps)
        assert on_a_line(points[:, 0], steps)
        assert on_a_line(points[:, 1], expected)
        assert points[0, 1] < points[-1, 1]  # the larger value stands higher


def test_a_histogram_shows_its_counts() -> None:
    edges, counts = [0.0, 0.25, 0.5, 0.75, 1.0], [4, 0, 9, 2]
    points = drawn(histogram_figure("s", {"s": (edges, counts)}, "caption", "x", "y").svg, 0)
    ground = points[:, 1].max()
    heights = {float(x): ground - y for x, y in points if y < ground - 1e-6}
    left, right = points[:, 0].min(), points[:, 0].max()
    at = [left + (right - left) * edge for edge in edges]
    tops = [
        max(h for x, h in heights.items() if a - 1e-3 <= x <= b + 1e-3)
        for a, b in ((at[0], at[0]), (at[2], at[2]))
    ]
    assert tops[1] / tops[0] == pytest.approx(9 / 4, rel=1e-3)
