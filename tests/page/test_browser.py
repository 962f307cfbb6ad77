"""The page in headless Chromium: it loads, filters draw, values are read, it prints.

Skipped where Chromium or the extra ``browser`` (Playwright) is missing.
"""

import shutil

import numpy as np
import pytest

from normlab.statistics.intervals import median_interval

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium")
EXPLORER = "#run-plain--1 .explore"


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        # Root, as in a container, has no sandbox; the page is the project's own.
        found = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def address(whole, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(whole, encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def opened(browser, address):
    """The page on a screen of a width; its complaints and requests fail the test."""
    contexts, complaints = [], []

    def of(width: int = 1280, **how):
        context = browser.new_context(viewport={"width": width, "height": 900}, **how)
        contexts.append(context)
        tab = context.new_page()
        tab.set_default_timeout(10_000)
        tab.on("console", lambda said: complaints.append(said.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on(
            "request",
            lambda request: (
                request.url.startswith(("file:", "data:"))
                or complaints.append(request.url)
            ),
        )
        tab.goto(address)
        return tab

    yield of
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.mark.parametrize("scripts", [True, False])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_picture_is_there_and_nothing_is_wider_than_the_screen(
    width, scripts, opened
):
    tab = opened(width, java_script_enabled=scripts)
    images = tab.locator("img").all()
    assert len(images) == 5
    for image in images:
        box = image.bounding_box()
        assert box and box["height"] > 50 and box["width"] > 200
    explorers = tab.locator(".explore:visible").count()
    assert explorers == (2 if scripts else 0)
    if scripts:
        broken = (
            "[...document.images].filter(i => !i.complete || !i.naturalWidth).length"
        )
        assert tab.evaluate(broken) == 0
        assert tab.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("scripts", [True, False])
def test_claims_are_filtered(scripts, opened):
    tab = opened(java_script_enabled=scripts)
    assert tab.locator("tbody.claim:visible").count() == 3
    tab.get_by_label("contradicted (1)").check()
    assert tab.locator("tbody.claim:visible").count() == 1
    assert "sentence of C2" in tab.locator("tbody.claim:visible").inner_text()
    tab.get_by_label("all (3)").check()
    assert tab.locator("tbody.claim:visible").count() == 3
    part = tab.get_by_text("sentence of C1.2")
    assert not part.is_visible()
    tab.get_by_text("Rule, and 2 parts").click()
    assert part.is_visible()


def test_filters_change_what_is_drawn(opened):
    box = opened().locator(EXPLORER)
    curves = box.locator("path.curve")
    assert curves.count() == 3
    before = curves.first.get_attribute("d")
    norms = box.locator("[data-axis=label]")
    norms.get_by_label("none").uncheck()
    assert curves.count() == 2
    norms.get_by_label("none").check()
    rates = box.locator("[data-axis=lr]")
    for label in ("0.05", "0.1"):
        rates.get_by_label(label, exact=True).check()
    assert curves.count() == 6
    assert len({c.get_attribute("stroke-dasharray") for c in curves.all()}) == 2
    rates.get_by_label("0.05", exact=True).uncheck()
    assert curves.count() == 3
    seeds = box.locator("[data-axis=seed]")
    n = box.locator("tbody td:last-child")
    assert n.all_inner_texts() == ["3"] * 3
    seeds.get_by_label("0").uncheck()
    assert n.all_inner_texts() == ["2"] * 3
    assert curves.first.get_attribute("d") != before
    for label in ("1", "2"):
        seeds.get_by_label(label).uncheck()
    assert curves.count() == 0
    assert "Nothing is selected" in box.inner_text()
    seeds.get_by_label("1").check()
    assert curves.count() == 3
    assert box.locator("tbody td:nth-child(3)").first.inner_text() == "–"


def test_another_metric_and_a_logarithmic_axis(opened):
    box = opened().locator(EXPLORER)
    log = box.get_by_label("logarithmic axis")
    assert log.is_disabled()  # of an accuracy
    box.get_by_label("metric").select_option(label="batch loss (nats)")
    linear = box.locator("path.curve").first.get_attribute("d")
    assert "batch loss (nats)" in box.locator("caption").inner_text()
    log.check()
    assert box.locator("path.curve").first.get_attribute("d") != linear
    d = box.locator("path.curve").first.get_attribute("d")
    assert d and "NaN" not in d and "Infinity" not in d


def test_values_are_read_by_keyboard_and_pointer(opened):
    tab = opened()
    box = tab.locator(EXPLORER)
    slider, where = box.locator("input[type=range]"), box.locator("output")
    assert where.inner_text() == "epoch 2"
    first = box.locator("tbody td").first
    last = first.inner_text()
    slider.focus()
    tab.keyboard.press("Home")
    assert where.inner_text() == "epoch 0" and first.inner_text() != last
    told = slider.get_attribute("aria-valuetext")
    assert told and told.startswith("epoch 0: none 0.5")
    tab.keyboard.press("ArrowRight")
    assert where.inner_text() == "epoch 1"
    plot = box.locator(".plot > svg")
    plot.scroll_into_view_if_needed()
    size = plot.bounding_box()
    assert size
    tab.mouse.move(size["x"] + size["width"] - 30, size["y"] + 100)
    assert where.inner_text() == "epoch 2"
    assert "group (G=4)" in box.locator(".tip").inner_text()
    tab.mouse.move(5, 5)
    assert not box.locator(".tip").is_visible()


def test_the_keyboard_reaches_what_can_be_operated(opened):
    tab = opened()
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.className") == "skip"
    reached = set()
    for _ in range(60):
        tab.keyboard.press("Tab")
        reached.add(tab.evaluate("document.activeElement.tagName"))
        if {"INPUT", "SELECT", "SUMMARY", "A"} <= reached:
            break
    assert {"INPUT", "SELECT", "SUMMARY", "A"} <= reached


def test_a_table_is_downloaded(opened):
    tab = opened()
    with tab.expect_download() as waiting:
        tab.get_by_role("link", name="The ledger as a table").click()
    assert waiting.value.suggested_filename == "ledger.csv"
    assert b"sentence of C1" in waiting.value.path().read_bytes()


def test_it_prints(opened):
    tab = opened()
    tab.emulate_media(media="print")
    assert tab.locator(".explore:visible, nav:visible, .filter:visible").count() == 0
    assert tab.locator("img:visible").count() == 5
    assert tab.pdf(format="A4")[:5] == b"%PDF-"


def test_its_intervals_are_normlabs(opened):
    tab = opened()
    for n in (1, 2, 3, 5, 6, 9, 20, 30):
        values = np.random.default_rng(n).normal(size=n).tolist()
        found = tab.evaluate("medianInterval", [*values, None])
        wanted = median_interval(values)
        assert found["n"] == n
        for name in ("median", "low", "high"):
            assert found[name] == pytest.approx(getattr(wanted, name)), n
