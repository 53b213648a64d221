"""The report as a reader uses it: in a browser, by mouse and by keyboard, in both themes, wide and narrow.

BENCH_SCREENSHOTS names a folder for pictures of every kind of page. BENCH_NEEDS_BROWSER makes a browser that is
not there a failure, as in continuous integration.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from bench.analysis.statistics import difference, resampled_sums
from bench.base.files import read_json

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WIDE, NARROW = ViewportSize(width=1280, height=900), ViewportSize(width=390, height=844)
SYSTEM = "systems/demo-coupled-vae-generated-clear-vae.html"
PAPER = "papers/coupled-vae/table1.html"
CELL = "printed-table1-1-ptb-nll"  # the published run's
BUTTON = f"button.cell[popovertarget='{CELL}']"
A, B = (f"demo-coupled-vae-generated-clear-{system}-seed0" for system in ("vae", "coupled-vae"))
COMPARED = f"compare.html#a={A}&b={B}"
KINDS = (
    "index.html",
    "papers/coupled-vae.html",
    PAPER,
    "papers/coupled-vae/claims.html",
    "papers/coupled-vae/audit-one-seed.html",
    "papers/coupled-vae/statistics.html",
    SYSTEM,
    "corpora/coupled-vae-generated-clear.html",
    "methods.html",
    "provenance.html",
    "provenance/demo-coupled-vae-generated-clear-vae.html",
    COMPARED,
)

# Of the rows, details, items, formulas and marks of a page, leaves those that hold an element of a kind that is new:
# its name, classes, style, which attributes and whether any text it has, and the same of all that it stands in. Of more
# axe sees nothing else, in minutes.
THIN = """() => {
    const given = (e) => e.getAttributeNames().map((name) => e.getAttribute(name) ? name : `no ${name}`);
    const kind = (e) => `${e.tagName}.${e.className.baseVal ?? e.className}[${e.getAttribute("style")}]`
        + `${given(e)} ${!e.textContent.trim()}`;
    const seen = new Set();
    for (const part of document.querySelectorAll("tbody tr, [popover], li, math, svg *")) {
        if (!part.isConnected) continue;
        const inside = (e) => e === document.body ? "" : `${inside(e.parentElement)} > ${kind(e)}`;
        const kinds = [part, ...part.querySelectorAll("*")].map(inside);
        if (kinds.every((one) => seen.has(one))) part.remove();
        kinds.forEach((one) => seen.add(one));
    }
}"""

pytestmark = pytest.mark.skipif(
    CHROMIUM is None and not os.environ.get("BENCH_NEEDS_BROWSER"),
    reason="no Chromium on this machine (Debian's package is called chromium)",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert CHROMIUM is not None, "continuous integration needs Chromium"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A wide window; a fault on its console or a file that is missing fails the test."""
    faults: list[str] = []
    context = browser.new_context(viewport=WIDE, color_scheme="light")
    page = context.new_page()
    page.on(
        "console", lambda m: faults.append(f"{m.type}: {m.text}") if m.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("requestfailed", lambda request: faults.append(request.url))
    yield page
    context.close()
    assert faults == []


def visit(page: Page, index: Path, name: str) -> None:
    path, _, fragment = name.partition("#")
    page.goto(f"{(index.parent / path).as_uri()}{'#' * bool(fragment)}{fragment}")
    if path == "compare.html" and fragment:
        expect(page.locator("#compared path.dots").first).to_be_attached()


def test_every_page_is_reached_by_links_and_opens(page: Page, index: Path) -> None:
    site = index.parent.as_uri()
    visited: set[str] = set()
    waiting = [index.as_uri()]
    while waiting:
        address = waiting.pop()
        visited.add(address)
        page.goto(address)
        links = page.evaluate("[...document.links].map((a) => a.href.split('#')[0])")
        for link in dict.fromkeys(links):
            path = Path(page.evaluate("(link) => decodeURIComponent(new URL(link).pathname)", link))
            assert path.exists(), (address, link)
            if link.startswith(site) and path.suffix == ".html" and link not in visited | set(waiting):
                waiting.append(link)
    assert visited == {path.as_uri() for path in index.parent.rglob("*.html")}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_contrast_and_semantics(browser: Browser, index: Path, theme: str) -> None:
    """Every kind of page, wide and narrow: axe finds nothing, and nothing sticks out of the window."""
    context = browser.new_context(color_scheme=theme)  # type: ignore[arg-type]
    page = context.new_page()
    folder = os.environ.get("BENCH_SCREENSHOTS")
    for name in KINDS:
        for size in (NARROW, WIDE):
            page.set_viewport_size(size)
            visit(page, index, name)
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], name
            if folder:
                kind = re.sub(r"[^a-z0-9]+", "-", name.partition("#")[0].removesuffix(".html"))
                page.screenshot(path=Path(folder) / f"{kind}-{theme}-{size['width']}.png", full_page=True)
        page.evaluate(THIN)
        rules = {} if theme == "light" else {"runOnly": ["color-contrast"]}  # the rest has no theme
        found = Axe().run(page, options=rules).response["violations"]
        assert not found, [(name, one["id"], [n["target"] for n in one["nodes"]][:3]) for one in found]
    context.close()


def test_a_table_sorts_filters_and_folds(page: Page, index: Path) -> None:
    visit(page, index, PAPER)
    fold = page.locator("#table1 details.fold")
    table = fold.locator("table").first  # that of the corpora of which there are runs
    head = table.locator("thead tr").last.locator("th").nth(2)  # the first printed column
    cells = table.locator("tbody tr td.print:nth-child(3)")
    printed = cells.all_inner_texts()

    def numbers() -> list[float]:
        return [float(text.split()[0]) for text in cells.all_inner_texts() if text.strip()]

    head.get_by_role("button").click()
    assert numbers() == sorted(numbers())
    expect(head).to_have_attribute("aria-sort", "ascending")
    head.get_by_role("button").press("Enter")
    assert numbers() == sorted(numbers(), reverse=True)
    head.get_by_role("button").press("Enter")
    assert cells.all_inner_texts() == printed
    rows = table.locator("tbody tr:visible")
    everything = rows.count()
    fold.get_by_label("Filter rows").first.fill("coupled wae")
    shown = rows.locator("th").all_inner_texts()
    assert shown
    assert len(shown) < everything
    assert all("coupled" in name.lower() and "wae" in name.lower() for name in shown)
    fold.locator("summary").first.press("Enter")
    expect(table).to_be_hidden()


def test_the_detail_of_a_cell_has_an_address(page: Page, index: Path) -> None:
    visit(page, index, PAPER)
    detail, button = page.locator(f"[id='{CELL}']"), page.locator(BUTTON)
    button.click()
    expect(detail).to_be_visible()
    expect(page).to_have_url(re.compile(f"#{CELL}$"))
    for part in (
        "Seeds",
        "1 of 1",
        "Estimator",
        "consistent",
        "Printed",
        "importance-sampling-100",
        "snakemake",
    ):
        expect(detail).to_contain_text(part)
    page.keyboard.press("Escape")
    expect(detail).to_be_hidden()
    expect(page).to_have_url(re.compile("^[^#]*$"))  # a popover tells of its closing a moment later
    expect(button).to_be_focused()
    button.press("Enter")
    expect(detail).to_be_visible()
    detail.get_by_role("button", name="Close").press("Enter")
    expect(detail).to_be_hidden()
    visit(page, index, "methods.html")
    visit(page, index, f"{PAPER}#{CELL}")
    expect(detail).to_be_visible()
    link = detail.get_by_role("link", name="measurements.json")
    assert link.evaluate("(a) => a.href").endswith(
        "published/runs/paper/coupled-vae/ptb/vae/seed0/measurements.json"
    )


def test_a_gap_says_what_fills_it(page: Page, index: Path) -> None:
    visit(page, index, f"{PAPER}#printed-table1-2-yahoo-nll")
    detail = page.locator("[id='printed-table1-2-yahoo-nll']")
    expect(detail).to_contain_text("not run")
    command = detail.locator("pre.command").inner_text()
    assert (
        command
        == "snakemake --cores 4 --config tier=paper papers=coupled-vae corpora=yahoo systems=coupled-vae"
    )


def test_the_theme_is_the_readers(page: Page, index: Path) -> None:
    visit(page, index, "index.html")
    ground = "getComputedStyle(document.body).backgroundColor"
    light, button = page.evaluate(ground), page.locator("button.theme")
    button.click()  # from the system's to light
    assert page.evaluate(ground) == light
    button.press("Enter")
    expect(button).to_have_text("Theme: dark")
    dark = page.evaluate(ground)
    assert dark != light
    visit(page, index, "methods.html")
    assert page.evaluate(ground) == dark
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"
    expect(page.locator("nav.site")).to_be_hidden()


def test_numbers_on_the_pages_are_those_of_the_files(page: Page, index: Path) -> None:
    runs = index.parents[1] / "runs"
    held = read_json(runs / "demo/coupled-vae/generated-clear/vae/seed0" / "measurements.json")[
        "measurements"
    ]
    visit(page, index, SYSTEM)
    for row in page.locator("#numbers table").first.locator("tbody tr").all():
        quantity, estimator, value = row.locator("> *").all_inner_texts()[:3]
        shown = float(value.replace("\u2212", "-"))
        decimals = len(value.partition(".")[2])
        same = [m["value"] for m in held if m["main"] and m["estimator"] == estimator]
        assert any(abs(v - shown) <= 0.51 * 10**-decimals for v in same), (quantity, value)
    published = index.parents[1] / "published/runs/paper/coupled-vae/ptb/vae/seed0/measurements.json"
    nll = next(m["value"] for m in read_json(published)["measurements"] if m["metric"] == "nll")
    visit(page, index, PAPER)
    assert float(page.locator(f"{BUTTON} .value").inner_text()) == round(nll, 1)


def test_two_runs_of_the_readers_choice(page: Page, index: Path) -> None:
    visit(page, index, "compare.html")
    expect(page.locator("#compared .difference")).to_be_visible()  # it opens with a pair
    for select, choice in zip(page.locator("#choose select").all(), (A, B), strict=True):
        select.select_option(choice)
    expect(page.locator("#compared .difference")).to_be_visible()
    expect(page).to_have_url(re.compile(f"{re.escape(COMPARED)}$"))
    folder = index.parents[1] / "runs/demo/coupled-vae/generated-clear"
    a, b = (
        pandas.read_parquet(folder / system / "seed0/sentences.parquet") for system in ("vae", "coupled-vae")
    )
    differences = (b["nll"].round(2) - a["nll"].round(2)).to_numpy()  # the page has hundredths of each value
    told = page.locator("#compared .difference").inner_text().replace("\u2212", "-")
    found = [float(number) for number in re.findall(r"[-+]\d+\.\d+", told)]
    first, second = (one["nll"].to_numpy()[:, None] for one in (a, b))
    draws = (resampled_sums(second) - resampled_sums(first))[:, 0] / len(differences)
    terminal = difference(np.array([second.mean() - first.mean()]), draws[None])  # as bench compare prints it
    assert found == pytest.approx([terminal.mean, terminal.low, terminal.high], abs=0.0006)
    assert f"{(differences < -0.001).sum()} of {len(differences)} texts" in told
    drawn = page.locator("#compared path.dots").first.get_attribute("d")
    assert drawn is not None
    assert drawn.count("M") == len(differences)
    rows = page.locator("#compared table").last.locator("tbody tr")
    assert rows.count() == 20
    worst = int(differences.argmax())
    assert rows.first.locator("td").last.inner_text() == f"<b>text</b> {worst}"
    assert float(rows.first.locator("td").first.inner_text()) == pytest.approx(differences[worst], abs=0.011)
    page.get_by_role("button", name="Add a run").click()
    page.locator("#choose select").last.select_option("demo-coupled-vae-generated-clear-dae-seed0")
    expect(page.locator("#compared .difference")).to_have_count(2)


def test_a_curve_holds_what_was_recorded(page: Page, index: Path) -> None:
    visit(page, index, COMPARED)
    recorded = pandas.read_parquet(
        index.parents[1] / "runs/demo/coupled-vae/generated-clear/vae/seed0/validation.parquet"
    )
    d = page.locator("#compared path.curve[data-run=A]").first.get_attribute("d")
    assert d is not None
    points = [tuple(map(float, pair.split())) for pair in re.split("[ML]", d)[1:]]
    height = pandas.Series([y for _, y in points])
    assert len(points) == len(recorded)
    assert height.corr(recorded["nll"]) == pytest.approx(-1, abs=1e-4)  # downwards on a screen


def test_an_address_cannot_name_a_file_that_the_page_does_not_offer(page: Page, index: Path) -> None:
    visit(page, index, "index.html")
    page.goto(f"{(index.parent / 'compare.html').as_uri()}#a=../../evil&b={B}")
    expect(page.locator("#compared")).to_have_text("Choose two runs.")
    assert page.locator("script[src*=evil]").count() == 0
