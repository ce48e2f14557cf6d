"""The report in Chromium: no error, no request, no fault for a screen reader, at any width."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

playwright = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    # The server that drives the browser is left to its own process.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
LONG = "a-model-with-a-name-that-is-far-too-long/for-any-phone-" * 3


@pytest.fixture(scope="module")
def address(make_comparison, tmp_path_factory):
    layers = {("ssl", layer): 0.4 + 0.1 * layer for layer in range(5)}
    skills = {("mfcc", None): 0.2, **layers, (LONG, None): 0.7, ("svm", None): 0.5}
    found = make_comparison(skills, corpus=LONG, without=["svm"])
    X = np.random.default_rng(0).normal(size=(found.n_clips, 4))
    found = replace(found, embeddings=pd.DataFrame(X))
    folder = tmp_path_factory.mktemp("report")
    found.save(folder, command=f"sklearn-ser compare {LONG}")
    assert (folder / "report.html").stat().st_size < 3e6
    return (folder / "report.html").as_uri()


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=[(scheme, width) for scheme in ("light", "dark") for width in (1280, 360)])
def opened(request, browser, address):
    """Return the page, and what it said and asked for."""
    scheme, width = request.param
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page, told = context.new_page(), []
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("request", lambda asked: told.append(asked.url) if asked.url != address else None)
    page.goto(address)
    yield page, told
    context.close()


def column(page, k):
    """Return the texts of a column of the scores."""
    cells = page.locator(f"#scores table.sortable tbody tr > :nth-child({k})")
    return cells.all_inner_texts()


def test_the_report_works(opened):
    page, told = opened
    # Nothing is wider than the page.
    width, window = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert width <= window
    # The table sorts by a click, and by the keyboard.
    heads = page.locator("#scores table.sortable thead th")
    uar = heads.nth(2)
    uar.locator("button").click()
    assert uar.get_attribute("aria-sort") == "descending"
    values = [float(text.split()[0]) for text in column(page, 3)]
    assert values == sorted(values, reverse=True)
    uar.locator("button").focus()
    page.keyboard.press("Enter")
    assert uar.get_attribute("aria-sort") == "ascending"
    assert [float(text.split()[0]) for text in column(page, 3)] == values[::-1]
    heads.nth(0).locator("button").focus()
    page.keyboard.press("Space")
    assert uar.get_attribute("aria-sort") is None
    assert heads.nth(0).get_attribute("aria-sort") == "ascending"
    names = column(page, 1)
    assert names == sorted(names)
    # A screen reader reads it, whatever is unfolded.
    for summary in page.locator("details:not([open]) > summary").all():
        summary.click()
    found = axe.Axe().run(page).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"][:200]) for each in found] == []
    page.locator("#copy").click()
    playwright.expect(page.locator("#copied")).not_to_be_empty()
    assert told == []


def test_the_report_prints(browser, address):
    page = browser.new_context(color_scheme="dark").new_page()
    page.goto(address)
    page.emulate_media(media="print")
    color = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert color == "rgb(255, 255, 255)"
    page.set_viewport_size({"width": 700, "height": 990})  # of A4, less its margins
    width, window = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert width <= window
    assert page.pdf(format="A4").startswith(b"%PDF")
