"""The page in headless Chromium: it loads, filters, draws, zooms, saves and prints.

Skipped where Chromium or the extra ``browser`` (Playwright) is missing.
"""

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest

from normlab.statistics.intervals import median_interval

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium"),
]
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

    def of(width: int = 1280, target: str = "", **how):
        context = browser.new_context(viewport={"width": width, "height": 900}, **how)
        contexts.append(context)
        tab = context.new_page()
        tab.set_default_timeout(20_000)
        tab.on("console", lambda said: complaints.append(said.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on(
            "request",
            lambda request: (
                request.url.startswith(("file:", "data:", "blob:"))
                or complaints.append(request.url)
            ),
        )
        tab.goto(address + target)
        return tab

    yield of
    for context in contexts:
        context.close()
    assert complaints == []


def explorer(tab):
    """The curves of a run, in view."""
    box = tab.locator(EXPLORER)
    box.scroll_into_view_if_needed()
    box.locator("canvas").first.wait_for()
    return box


@pytest.mark.parametrize("scripts", [True, False])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_picture_is_there_and_nothing_is_wider_than_the_screen(
    width, scripts, opened
):
    tab = opened(width, java_script_enabled=scripts)
    for summary in tab.locator("details.run > summary").all():
        summary.click()
    images = tab.locator("img").all()
    assert len(images) == 5
    for image in images:
        image.scroll_into_view_if_needed()
        box = image.bounding_box()
        assert box and box["height"] > 50 and box["width"] > 200
    assert tab.locator(".explore:visible").count() == (2 if scripts else 0)
    if scripts:
        broken = (
            "[...document.images].filter(i => !i.complete || !i.naturalWidth).length"
        )
        assert tab.evaluate(broken) == 0
        assert tab.evaluate("document.documentElement.scrollWidth") == width


def test_claims_are_filtered_and_the_filter_is_in_the_address(opened):
    tab = opened()
    rows = tab.locator("tbody.claim:visible")
    assert rows.count() == 2
    tab.locator("[name=verdict]").select_option("contradicted")
    assert rows.count() == 1 and "sentence of C2" in rows.inner_text()
    assert "1 of 2 claims" in tab.locator("form.filter output").inner_text()
    kept = tab.evaluate("location.hash")
    assert kept == "#claims?verdict=contradicted"
    again = opened(target=kept)
    assert again.locator("tbody.claim:visible").count() == 1
    again.locator("[name=verdict]").select_option("")
    again.get_by_label("Search").fill("another STATISTIC")  # that of a part of C1
    assert "sentence of C1" in again.locator("tbody.claim:visible").inner_text()
    again.get_by_label("Search").fill("")
    again.locator("[name=sort]").select_option("verdict")
    order = again.locator("tbody.claim").evaluate_all("all => all.map(one => one.id)")
    assert order == ["claim-C1", "claim-C2"]


def test_a_claim_has_an_address(opened):
    tab = opened(target="#claim-C1")
    assert tab.get_by_text("sentence of C1.2").is_visible()  # its parts are open
    tab.locator(".contents").get_by_role("link", name="other").click()
    assert tab.locator("#run-other--1").evaluate("box => box.open")


def names(box) -> list[str]:
    return box.locator("table.legend tbody button").all_inner_texts()


def test_filters_change_what_is_drawn(opened):
    tab = opened(target="#run-plain--1")
    box = explorer(tab)
    assert len(names(box)) == 3
    rates = box.locator("[data-axis=lr]")
    for label in ("0.05", "0.1"):
        rates.get_by_label(label, exact=True).check()
    assert len(names(box)) == 6
    swatches = box.locator("canvas.swatch")
    pictures = swatches.evaluate_all("all => all.map(one => one.toDataURL())")
    assert len(set(pictures)) == 6  # no style repeats
    rates.get_by_label("0.05", exact=True).uncheck()
    seeds = box.locator("[data-axis=seed]")
    n = box.locator("tbody td:last-child")
    assert n.all_inner_texts() == ["3"] * 3
    seeds.get_by_label("0").uncheck()
    assert n.all_inner_texts() == ["2"] * 3
    for label in ("1", "2"):
        seeds.get_by_label(label).uncheck()
    assert names(box) == [] and "Nothing is selected" in box.inner_text()
    seeds.get_by_label("1").check()
    assert box.locator("tbody td:nth-child(3)").first.inner_text() == "–"


def pixels(box) -> str:
    return box.locator(".plot canvas").evaluate("canvas => canvas.toDataURL()")


def test_every_control_changes_the_picture_and_is_in_the_address(opened):
    tab = opened(target="#run-plain--1")
    box = explorer(tab)
    seen = {pixels(box)}

    def changed() -> bool:
        tab.wait_for_timeout(100)
        count = len(seen)
        seen.add(pixels(box))
        return len(seen) > count

    box.get_by_label("metric").select_option(label="batch loss (nats)")
    assert changed() and "batch loss (nats)" in box.locator("caption").inner_text()
    box.get_by_label("logarithmic values").check()
    assert changed()
    box.get_by_label("logarithmic epochs").check()
    assert changed()
    box.get_by_label("smoothing").fill("0.5")
    assert changed()
    box.get_by_label("seeds").select_option("single")
    assert changed()
    batch = box.locator("table.legend").get_by_role("button", name="batch", exact=True)
    batch.click()
    assert changed() and batch.get_attribute("aria-pressed") == "false"
    kept = tab.evaluate("location.hash")
    for word in ("batch_loss", "logx", "logy", "smooth=0.5", "single", "hide=batch"):
        assert word in kept
    again = explorer(opened(target=kept))
    assert "batch loss" in again.locator("caption").inner_text()
    assert again.get_by_label("smoothing").input_value() == "0.5"
    for name in ("Zoom in", "Right", "Zoom out", "All"):
        box.get_by_role("button", name=name, exact=True).click()
        assert changed() or name == "All"


def test_values_are_read_by_keyboard_and_pointer(opened):
    tab = opened(target="#run-plain--1")
    box = explorer(tab)
    slider, where = box.locator(".at input"), box.locator("output")
    assert where.inner_text() == "epoch 2"
    first = box.locator("tbody td").first
    last = first.inner_text()
    slider.focus()
    tab.keyboard.press("Home")
    assert where.inner_text() == "epoch 0" and first.inner_text() != last
    assert slider.get_attribute("aria-valuetext") == "epoch 0"
    tab.keyboard.press("ArrowRight")
    assert where.inner_text() == "epoch 1"
    size = box.locator(".u-over").bounding_box()
    assert size
    tab.mouse.move(size["x"] + size["width"] - 5, size["y"] + 100)
    tab.wait_for_timeout(100)
    assert where.inner_text() == "epoch 2"
    before = pixels(box)
    tab.mouse.down()
    tab.mouse.move(size["x"] + size["width"] / 2, size["y"] + 100, steps=5)
    tab.mouse.up()
    tab.wait_for_timeout(100)
    assert pixels(box) != before  # zoomed


def test_a_picture_and_its_numbers_are_saved(opened):
    tab = opened(target="#run-plain--1")
    box = explorer(tab)
    for name, start in (("Save PNG", b"\x89PNG"), ("Save CSV", b"curve,epoch,median")):
        with tab.expect_download() as waiting:
            box.get_by_role("button", name=name).click()
        found = waiting.value
        assert found.suggested_filename.startswith("plain_test_accuracy.")
        assert Path(found.path()).read_bytes().startswith(start)


def test_the_keyboard_reaches_what_can_be_operated(opened):
    tab = opened(target="")
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


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing(width, scheme, opened):
    """axe-core comes with the package axe-playwright-python."""
    package = importlib.util.find_spec("axe_playwright_python")
    if package is None or package.origin is None:
        pytest.skip("axe-playwright-python is not installed")
    script = Path(package.origin).parent / "axe.min.js"
    # The page's own policy lets no other script in, so axe runs outside of it.
    tab = opened(width, color_scheme=scheme, bypass_csp=True)
    for summary in tab.locator("details.run > summary").all():
        summary.click()
    explorer(tab)
    tab.evaluate(script.read_text(encoding="utf-8"))
    found = tab.evaluate("axe.run()")
    told = [
        (one["id"], node["html"][:200], node["failureSummary"])
        for one in found["violations"]
        for node in one["nodes"]
    ]
    assert told == [] and len(found["passes"]) > 20


def test_on_a_phone_the_plot_is_folded_and_wide_tables_say_so(opened):
    wide = opened()
    assert wide.locator("details.forest").evaluate("box => box.open")
    tab = opened(390, target="#run-plain--1")
    plot = tab.locator("details.forest")
    assert not plot.evaluate("box => box.open")
    plot.locator("summary").focus()
    tab.keyboard.press("Enter")
    assert plot.get_by_role("table").first.is_visible()
    table = tab.get_by_role("region", name="Final test accuracy of plain")
    hint = table.evaluate("box => getComputedStyle(box, '::before').content")
    assert "Scroll sideways" in hint
    table.focus()
    tab.keyboard.press("ArrowRight")
    tab.wait_for_function("box => box.scrollLeft > 0", arg=table.element_handle())
