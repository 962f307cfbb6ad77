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
    box.get_by_label("seeds").select_option("single")
    assert changed()
    batch = box.locator("table.legend").get_by_role("button", name="batch", exact=True)
    batch.click()
    assert changed() and batch.get_attribute("aria-pressed") == "false"
    kept = tab.evaluate("location.hash")
    for word in ("batch_loss", "logx", "logy", "single", "hide=batch"):
        assert word in kept
    again = explorer(opened(target=kept))
    assert "batch loss" in again.locator("caption").inner_text()
    assert again.get_by_label("seeds").input_value() == "single"
    for name in ("Zoom in", "Right", "Zoom out", "All"):
        box.get_by_role("button", name=name, exact=True).click()
        assert changed() or name == "All"


def test_smoothing_says_how_far_it_reaches(opened):
    tab = opened(target="#run-plain--1")
    few = explorer(tab)
    assert few.get_by_label("smoothing").is_disabled()
    assert "too few points" in few.locator(".choose").inner_text()
    tab = opened(target="#run-other--1")
    box = tab.locator("#run-other--1 .explore")
    box.locator(".plot canvas").wait_for()
    box.get_by_label("metric").select_option(label="batch loss (nats)")
    assert "off" in box.locator(".choose").inner_text()
    before = pixels(box)
    slider = box.get_by_label("smoothing")
    assert slider.get_attribute("max") == "2"  # of 20 points
    slider.fill("2")
    assert "median of 5 points" in box.locator(".choose").inner_text()
    assert "These values are not smoothed." in box.locator("caption").inner_text()
    tab.wait_for_timeout(100)
    assert pixels(box) != before and "smooth=2" in tab.evaluate("location.hash")
    again = opened(target=tab.evaluate("location.hash"))
    kept = again.locator("#run-other--1 .explore").get_by_label("smoothing")
    again.locator("#run-other--1 .plot canvas").wait_for()
    assert kept.input_value() == "2"


def test_single_seeds_are_named_and_read(opened):
    tab = opened(target="#run-plain--1")
    box = explorer(tab)
    medians = box.locator("tbody td:nth-child(2)").all_inner_texts()
    box.get_by_label("seeds").select_option("single")
    heads = box.locator("table.legend thead th").all_inner_texts()
    assert heads == ["curve (press to hide)", "seed 0", "seed 1", "seed 2"]
    rows = box.locator("table.legend tbody tr").all()
    for row, median in zip(rows, medians, strict=True):
        values = [float(text) for text in row.locator("td").all_inner_texts()]
        assert np.median(values) == pytest.approx(float(median), abs=6e-4)
    named, every = box.locator(".named"), pixels(box)
    assert "Seeds of one setting share a style" in named.inner_text()
    size = box.locator(".u-over").bounding_box()
    assert size
    reached = set()
    for height in range(5, int(size["height"]), 10):
        tab.mouse.move(size["x"] + size["width"] - 40, size["y"] + height)
        reached.add(named.inner_text())
    # In this made-up run the norms' curves are the same: each is named.
    together = {"none, seed 2", "batch, seed 2"}
    assert any(together <= set(text.split("; ")) for text in reached)
    tab.mouse.move(0, 0)
    second = box.get_by_role("button", name="seed 1")
    second.focus()
    tab.keyboard.press("Enter")
    tab.keyboard.press("Tab")
    box.locator(".at input").focus()
    assert named.inner_text() == "seed 1"
    assert second.get_attribute("aria-pressed") == "true"
    tab.wait_for_timeout(100)
    assert pixels(box) != every
    with tab.expect_download() as waiting:
        box.get_by_role("button", name="Save CSV").click()
    lines = Path(waiting.value.path()).read_text(encoding="utf-8").splitlines()
    assert lines[0] == "curve,seed,epoch,value" and len(lines) == 1 + 3 * 3 * 3


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


def test_smoothed_curves_do_not_lag(opened):
    tab = opened()
    smoothed = lambda values, reach: tab.evaluate(  # noqa: E731
        "([values, reach]) => smoothed(values, reach)", [values, reach]
    )
    falling = [100.0, 9.0, 5.0, 4.0, 3.5, 3.0, 1.0]
    assert smoothed(falling, 3) == falling
    noisy = [5.0, 4.0, 90.0, 3.0, 2.0, None, 1.0, None]
    assert smoothed(noisy, 1) == [5.0, 5.0, 4.0, 3.0, 2.0, None, 1.0, None]
    rng = np.random.default_rng(0)
    values = rng.normal(size=41)
    found = smoothed(values.tolist(), 4)
    inner = [np.median(values[i - 4 : i + 5]) for i in range(4, 37)]
    np.testing.assert_allclose(found[4:-4], inner)
    assert [found[0], found[-1]] == [values[0], values[-1]]


def test_axes_suit_the_values(opened):
    tab = opened()
    wide = (
        "medians => isWide([{ points: [null, ...medians.map(median => ({median}))] }])"
    )
    assert tab.evaluate(wide, [0.1, 0.5, 2.1]) and not tab.evaluate(wide, [0.1, 1.9])
    assert not tab.evaluate(wide, []) and not tab.evaluate(wide, [0.0, 3.0])
    steps = lambda places, span: tab.evaluate(  # noqa: E731
        "([places, span]) => tickSteps(places, span)[0]", [places, span]
    )
    assert steps([0, 2, 4, 6, 8], 8) == 2
    assert steps([0, 1.28, 2.56, 3.84], 3.84) == 1
    assert steps(list(np.linspace(0, 8, 81)), 8) == 0.1
    assert steps([0, 2, 4, 6, 8], 1) < 0.1  # zoomed in


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
    tab = opened(240, target="#run-plain--1")
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


def test_a_figure_wider_than_a_phone_says_so_and_fits_if_asked(opened):
    tab = opened(390, target="#run-plain--1", has_touch=True)
    figure = tab.locator("#run-plain--1-curves")
    figure.scroll_into_view_if_needed()
    assert "Scroll to see the whole figure" in figure.inner_text()
    inside = figure.locator("img").evaluate
    assert inside("image => image.clientWidth") > 0.85 * int(
        figure.locator("img").get_attribute("width") or 0
    )
    figure.get_by_role("button", name="Fit to the screen").click()
    assert inside("image => image.clientWidth") <= 390
    assert "Scroll" not in figure.locator(".fit").inner_text()
    figure.get_by_role("button", name="Full size").click()
    assert inside("image => image.clientWidth") > 390
    wide = opened(1280, target="#run-plain--1")
    assert wide.locator("#run-plain--1-curves .fit:visible").count() == 0


def test_a_phone_is_told_to_tap(opened):
    box = explorer(opened(390, target="#run-plain--1", has_touch=True, is_mobile=True))
    words = box.inner_text()
    assert "Tap a curve to see its name" in words and "Shift" not in words
    legend = box.locator("table.legend").bounding_box()
    plot = box.locator(".plot").bounding_box()
    assert legend and plot and legend["y"] + legend["height"] - plot["y"] < 844
