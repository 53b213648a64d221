"""The pages of questions: each names its papers, and they name it."""

from __future__ import annotations

from pathlib import Path

from bench.catalog.catalog import Catalog
from bench.planning.plan import Request, make_plan
from bench.report import pages
from bench.report.context import Material
from bench.report.site import Site
from bench.store.records import Records


def test_a_question_has_a_page_linked_from_the_first_screen(catalog: Catalog, tmp_path: Path) -> None:
    asked = {"tier": "demo", "papers": ("wae-rnf",), "systems": ("wae-rnf",)}
    plan = make_plan(catalog, Request.model_validate(asked))
    material = Material(catalog, plan, Records([], [], [], []), tmp_path, partial=False)
    site = Site(material, tmp_path)
    (found,) = (one for one in material.questions if one.key == "optimism")
    site._question(found)
    site._page("index.html", "index.html.j2", pages.index(material))
    page = (tmp_path / "questions" / "optimism.html").read_text()
    assert "papers=wae-rnf systems=vae-nf,wae-nf,wae-rnf" in page
    assert "Not measured on Penn Treebank" in page
    assert "papers/ivae.html" not in page  # which is not in this report
    assert "questions/optimism.html" in (tmp_path / "index.html").read_text()
    assert (tmp_path / "tables" / "question-optimism.csv").exists()


def test_a_file_is_linked_by_the_one_macro_that_knows_files_without_a_copy() -> None:
    """A file that is too large, or lies elsewhere, has no address, and no page may link None."""
    folder = Path(pages.__file__).parent / "templates"
    found = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.j2")}
    assert [name for name, text in found.items() if "{{ source(" in text or "context.source(" in text] == []
