"""The built site in Chromium: no fault for a screen reader, nothing wider than the window.

``SKLEARN_SER_SITE`` names its folder; by default it is where the README has it built.
"""

import os
import shutil
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
BUILD = Path(__file__).parents[2] / "docs" / "_build"
SITE = Path(os.environ.get("SKLEARN_SER_SITE", BUILD))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.skipif(not (SITE / "index.html").is_file(), reason=f"no site is built in {SITE}"),
    # The server that drives the browser is left to its own process.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
# One page of each kind, and those that hold what others do not.
KINDS = [
    "index",
    "getting_started",
    "user_guide",
    "compare",  # definitions
    "augmentation",  # tables and code
    "glossary",
    "troubleshooting",
    "results/scaling",  # included tables
    "api",
    "generated/sklearn_ser.embedders.SSLEmbedder",
    "generated/sklearn_ser.evaluation.compare",
    "auto_examples/index",
    "auto_examples/plot_04_speakers",  # frames
    "auto_examples/plot_11_networks",  # figures
    "auto_examples/plot_14_urdu_audit",
    "benchmarks",
    "contributing",
    "whats_new",
    "search",
    "genindex",
]
# Faults of the theme that pages cannot mend, and why.
OF_THE_THEME: dict[str, str] = {}
WIDTHS = (1280, 360)


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module", params=[(s, w) for s in ("light", "dark") for w in WIDTHS])
def window(request, browser):
    """Return a page of a size and a colour scheme; it asks nobody but the folder."""
    scheme, width = request.param
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    context.route("http*://**", lambda route: route.abort())
    yield context.new_page()
    context.close()


def opened(window, name):
    window.goto((SITE / f"{name}.html").as_uri(), wait_until="load")
    return window


def too_wide(page):
    """Return by how many pixels a page can be scrolled sideways."""
    return page.evaluate("document.documentElement.scrollWidth - window.innerWidth")


@pytest.mark.parametrize("name", KINDS)
def test_pages_are_readable(window, name):
    page = opened(window, name)
    assert too_wide(page) <= 0
    found = axe.Axe().run(page).response["violations"]
    assert [
        (each["id"], node["html"][:200], node["failureSummary"][:300])
        for each in found
        if each["id"] not in OF_THE_THEME
        for node in each["nodes"][:3]
    ] == []


@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_is_wider_than_its_window(browser, width):
    context = browser.new_context(viewport={"width": width, "height": 800})
    context.route("http*://**", lambda route: route.abort())
    page = context.new_page()
    names = [path.relative_to(SITE).with_suffix("") for path in sorted(SITE.rglob("*.html"))]
    names = [name for name in names if not {"_static", "_modules"} & set(name.parts)]
    wide = {str(name): wider for name in names if (wider := too_wide(opened(page, name))) > 0}
    context.close()
    assert names
    assert wide == {}
