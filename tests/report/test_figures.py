"""Figures: valid SVG, themed by CSS, safe to put many on a page."""

from __future__ import annotations

import re
from xml.etree import ElementTree

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
