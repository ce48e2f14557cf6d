"""The lines of the documentation that show a prompt run, in order on their page."""

import doctest
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGES = [page for page in sorted(DOCS.glob("*.rst")) if ">>> " in page.read_text(encoding="utf-8")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_prompts_run(page):
    found = doctest.testfile(
        str(page),
        module_relative=False,
        optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS,
        encoding="utf-8",
    )
    assert found.attempted > 0
    assert found.failed == 0


@pytest.mark.parametrize(
    "page", sorted((DOCS / "gallery").glob("plot_*.py")), ids=lambda page: page.stem
)
def test_gallery_pages_have_a_title_and_end_in_a_result(page):
    text = page.read_text(encoding="utf-8")
    title, rule = text.split("\n")[1:3]
    assert len(rule) == len(title)
    assert set(rule) == {"="}
    last = text.split("# %%")[-1].strip()
    assert last, "it ends in a picture or a table"
