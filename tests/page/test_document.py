"""The page as a document: whole, well-formed, self-contained, escaped, legible."""

import base64
import gzip
import io
import math
import re

import pandas as pd
import pytest

from normlab.errors import UserError
from normlab.figures import FIGURES, Sources
from normlab.page import FILE, document, files, write
from normlab.store.layout import read_json, write_json
from tests.page.conftest import LEDGER, verdict
from tests.page.parsed import Page, unpacked
from tests.store.handmade import make_cell, write_run


@pytest.fixture(scope="module")
def found(whole) -> Page:
    return Page(whole)


def content(address: str) -> bytes:
    raw = base64.b64decode(address.partition("base64,")[2])
    return gzip.decompress(raw) if "gzip" in address.partition(",")[0] else raw


def test_it_is_well_formed(whole, found):
    assert whole.lstrip().startswith("<!DOCTYPE html>")
    assert found.faults == []
    assert found.every("html")[0]["lang"] == "en"
    assert len(found.every("h1")) == 1 and found.texts["title"][0].strip()
    ids = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    assert len(ids) == len(set(ids)) and ids
    for link in found.every("a"):
        if link["href"].startswith("#"):
            assert link["href"][1:] in ids


def test_headings_do_not_skip_a_level(found):
    levels = [int(tag[1]) for tag, _ in found.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(
        after <= before + 1 for before, after in zip(levels, levels[1:], strict=False)
    )


def test_it_asks_no_network(whole, found):
    for tag, attributes in found.elements:
        for name in ("src", "href", "srcset", "action", "poster", "data"):
            value = attributes.get(name, "data:")
            assert value.startswith(("data:", "#")), (tag, value[:80])
    style = "".join(found.texts["style"])
    assert "url(" not in style and "@import" not in style
    script = found.texts["script"][-1]
    for word in ("fetch(", "XMLHttpRequest", "import(", "WebSocket", "sendBeacon"):
        assert word not in script
    policy = [m for m in found.every("meta") if "http-equiv" in m]
    assert policy[0]["content"].startswith("default-src 'none'")
    assert "<link" not in whole.replace('<link rel="icon" href="data:,">', "")


def test_every_picture_says_what_it_shows(found, plain):
    images = found.every("img")
    names = [one.get("id", "") for one in found.every("figure")]
    assert len(images) == len(names) == 5
    for image in images:
        assert len(image["alt"]) > 60 and int(image["width"]) > 100
        assert content(image["src"])[:200].strip()
    [curves] = [
        i for i, n in zip(images, names, strict=True) if n == "run-plain--1-curves"
    ]
    alt = curves["alt"]
    assert "none, batch, group (G=4)" in alt and "range of 3 seeds" in alt
    table = FIGURES["curves"].tabulate(Sources(plain).table("metrics"))
    scores = table[table["metric"] == "test_accuracy"]
    last = scores[scores["epoch"] == scores["epoch"].max()]
    best = last.groupby("setting")["median"].max()["batch"]
    assert f"Highest final test accuracy: none {best:.3g}, batch {best:.3g}" in alt


def test_what_is_operated_has_a_name(found):
    for box in found.every("div"):
        if "tabindex" in box:
            assert box["role"] == "region" and box["aria-label"]
    # An input stands in its label; the script's own are looked at in test_browser.py.
    operated = [*found.every("input"), *found.every("select")]
    assert len(operated) == len(found.every("label")) == 4


def test_tables_are_the_figures(found, plain):
    links: dict[str, str] = {}
    for link in found.every("a"):
        if "download" in link:
            name = link["download"].removesuffix(".gz")
            links.setdefault(name, link["href"])  # of the first run
    sources = Sources(plain)
    for name in ("curves", "lr_sensitivity", "santurkar_4"):
        drawing = FIGURES[name]
        table = drawing.tabulate(*(sources.table(x) for x in drawing.reads))
        read = pd.read_csv(io.BytesIO(content(links[f"{name}.csv"])))
        pd.testing.assert_frame_equal(
            read, table.reset_index(drop=True), check_dtype=False, rtol=1e-6
        )
    ledger = pd.read_csv(io.BytesIO(content(links["ledger.csv"])))
    assert ledger["id"].tolist() == ["C1", "C1.1", "C1.2", "C2", "C10"]
    assert content(links["plain.flags"]).decode().startswith("--probe_etas=")


def test_it_says_where_numbers_are_from(whole, found):
    words = found.words
    assert "other is unfinished" in words and "1 of 2 cells complete" in words
    assert "2 runs trained" in words and "on digits, cifar10" in words
    assert "--steps=20" in words and "--out=" not in whole
    assert re.search(r"Made \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC by normlab", words)


def test_final_values(found):
    words = found.words
    assert "Final test accuracy: median and range of 3 seeds (75%" in words
    assert "The best value of each norm is bold." in words
    assert "n = 3" not in words  # the caption says it
    shared = [one for one in found.every("th") if one.get("scope") == "colgroup"]
    assert shared[0]["colspan"] == "2"
    assert re.search(r"norm ?learning rate 0\.05 ?0\.1 none", words)
    assert re.search(
        r"Best final test accuracy: 0\.7.* without a norm, at a lear", words
    )


def test_the_ledger(found):
    words = found.words
    assert "Of 2 claims with a statistical test, 1 is supported and" in words
    assert "0.083 [0.071, 0.095] nats" in words and "95% interval" in words
    assert "three seeds of group norm" in words and "a note of C1.2" in words
    assert "C1.1 another statistic" in words and "C1.2 sentence of C1.2" in words
    assert words.count("another statistic") == words.count("sentence of C1 a") == 1
    bodies = [b for b in found.every("tbody") if b.get("class", "").startswith("claim")]
    assert [b["class"] for b in bodies] == ["claim supported", "claim contradicted"]
    assert [b["id"] for b in bodies] == ["claim-C1", "claim-C2"]  # for good
    assert {"href": "#run-plain--1"} in found.every("a")
    # What no run reaches is one folded line, with an address.
    assert "1 claim of the report and of papers that no run" in words
    assert "Not measured: a statistic" in words
    assert "claim-C10" in [one.get("id") for one in found.every("li")]


def test_without_a_ledger_there_is_no_section(bare, plain):
    text = bare(plain)
    assert 'id="claims"' not in text and Page(text).faults == []


def test_many_starts_are_the_first_and_the_last(bare, tmp_path):
    paths = write_run(tmp_path / "often", [make_cell()])
    sweep = read_json(paths.sweep)
    stamps = [f"2026-01-0{day}T00:00:00+00:00" for day in (3, 1, 2, 5, 4)]
    sweep["sessions"] = [{"started": stamp} for stamp in stamps[:4]]
    write_json(paths.sweep, sweep)
    each = "Starts2026-01-03 00:00:00 UTC, 2026-01-01 00:00:00 UTC, 2026"
    assert each in Page(bare(paths.root)).words
    # One that was not stamped is counted all the same.
    sweep["sessions"] = [{"started": stamp} for stamp in stamps]
    sweep["sessions"] += [{"device": "cpu: cpu"}, {"started": None}]
    write_json(paths.sweep, sweep)
    few = "Starts7, from 2026-01-01 00:00:00 UTC to 2026-01-05 00:00:00 UTC"
    assert few in Page(bare(paths.root)).words


EVIL = "<script>alert(1)</script><b>&\"'"


def test_whatever_a_run_says_is_escaped(bare, tmp_path, monkeypatch):
    name = "a <b>&'\" c"
    folder = tmp_path / name
    paths = write_run(folder, [make_cell(model="<!--<script><u>")])
    sweep = read_json(paths.sweep)
    sweep["sessions"] = [
        {"started": EVIL, "device": EVIL, "revision": EVIL, "versions": {EVIL: EVIL}}
    ]
    write_json(paths.sweep, sweep)
    paths.flags.write_text(EVIL)
    (tmp_path / "experiments").mkdir()
    note = tmp_path / "experiments" / f"{name}.flags"
    note.write_text(f"# Question: {EVIL}\n#\n# {EVIL}\n--steps=3\n# not this\n")
    monkeypatch.chdir(tmp_path)
    words = [EVIL] * 3
    row = verdict("C<1>", EVIL)._replace(
        sentence=EVIL, source=EVIL, unit=EVIL, statistic=EVIL, rule=EVIL,
        needs=tuple(words), missing=tuple(words), runs=tuple(words), note=EVIL,
    )  # fmt: skip
    text = bare(folder, ledger=[row])
    read = Page(text)
    assert read.faults == []
    assert "<script>alert" not in text and "<b>&" not in text and "<u>" not in text
    assert len(read.every("script")) == 2
    assert EVIL in read.texts["h2"][0] or EVIL in read.words
    data = unpacked(read.texts["script"][0])
    assert data["axes"][-1]["id"] == "seed"
    assert "not this" not in text


def test_the_question_is_the_lab_notes(bare, tmp_path, monkeypatch):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "tiny.flags").write_text(
        "# Question: does it\n#   fold?\n#\n# Then more.\n--steps=3\n# late\n"
    )
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "tiny", [make_cell()])
    read = Page(bare(tmp_path / "tiny"))
    assert "Does it fold?" in read.words and "Then more." in read.words
    assert "late" not in read.texts["pre"][0]


RUNS = {
    "one member": ([make_cell(lrs=(1e-3,), seeds=1)], {}),
    "diverged": ([make_cell()], {"loss": lambda m, t: math.nan if t > 3 else 1.0}),
    "infinite": ([make_cell()], {"loss": lambda m, t: math.inf}),
    "regression": ([make_cell()], {"score": lambda m, t: math.nan}),
    "unfinished": ([make_cell()], {"until": {make_cell().id: 13}}),
    "hardly begun": ([make_cell()], {"until": {make_cell().id: 1}}),
    "many settings": (
        [make_cell(norm="group", groups=g) for g in (1, 2, 4, 8, 16, 32)],
        {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RUNS)
def test_runs_of_every_kind(name, bare, tmp_path):
    cells, how = RUNS[name]
    write_run(tmp_path / "run", cells, **how)
    text = bare(tmp_path / "run")
    read = Page(text)
    assert read.faults == [] and not re.search(r"\b(nan|NaN|None)\b", read.words)
    unfinished = name in ("unfinished", "hardly begun")
    assert ("Unfinished." in read.words) == unfinished
    assert ("no network has finished training" in read.words) == unfinished
    if name == "one member":
        assert (
            "one seed, no interval" in read.words and "[" not in read.texts["table"][0]
        )
    if name in ("diverged", "infinite"):
        assert "3 diverged" in read.words
    if name == "many settings":
        text = r"Best final test accuracy of 6 settings: 0\.\S+ \[.*\] with group"
        assert re.search(text, read.words)
    for script in read.texts["script"][:-1]:
        assert unpacked(script)["members"]


@pytest.mark.slow
def test_the_same_numbers_give_the_same_page(plain, monkeypatch):
    monkeypatch.setattr(document, "now", lambda: "now")
    kept = {"curves": FIGURES["curves"]}
    for name in set(FIGURES) - set(kept):
        monkeypatch.delitem(FIGURES, name)
    assert document.render([plain]) == document.render([plain])


def test_a_long_table_is_gzipped_and_a_very_long_one_left_out(monkeypatch, tmp_path):
    table = pd.DataFrame({"x": [i / 7 for i in range(20_000)]})
    file, inside = files.csv("long", table), files.Inside()
    assert file.name == "long.csv.gz"
    assert gzip.decompress(file.content).startswith(b"x\n0\n0.14")
    assert content(files.download(file, inside, "").address).startswith(b"x\n0\n0.14")
    assert files.text("a.txt", "é").name == "a.txt"
    monkeypatch.setattr(files, "_MOST", 1000)
    assert files.download(file, inside, "").address == ""
    beside = files.Beside(tmp_path / "index.html")
    found = files.download(file, beside, "a b#")
    assert found.address == "index_files/a%20b%23/long.csv.gz"
    assert (tmp_path / "index_files/a b#/long.csv.gz").read_bytes() == file.content


def test_images_and_tables_lie_beside_the_page(plain, tmp_path, monkeypatch):
    monkeypatch.setattr(document, "ledger", lambda runs: LEDGER)
    monkeypatch.setattr(
        document.drawn, "candidates", lambda sources: ["lr_sensitivity"]
    )
    path = write([plain], tmp_path, processes=1)
    read = Page(path.read_text(encoding="utf-8"))
    [image] = read.every("img")
    addresses = [image["src"], *(a["href"] for a in read.every("a") if "download" in a)]
    assert len(addresses) == 5  # a table, final values, flags and the ledger
    for address in addresses:
        assert not re.match(r"\w+:|/|\.", address)
        assert (tmp_path / address).stat().st_size > 20
    assert image["loading"] == "lazy"
    whole = write([plain], tmp_path / "one", processes=1, self_contained=True)
    assert [*(tmp_path / "one").iterdir()] == [whole]


def test_it_is_written_whole_and_mistakes_are_told(bare, plain, tmp_path, monkeypatch):
    monkeypatch.setattr(document, "ledger", lambda runs: [])
    path = write([plain], tmp_path / "new" / "folder")
    assert path.name == FILE and path.read_text(encoding="utf-8").rstrip().endswith(
        "</html>"
    )
    with pytest.raises(UserError, match="is given twice"):
        bare(plain, f"{plain}/../plain")
    with pytest.raises(UserError, match="is not a run directory"):
        bare(tmp_path)


def test_runs_of_one_name_have_their_own_sections(bare, tmp_path):
    for place in ("a", "b"):
        write_run(tmp_path / place / "run", [make_cell()])
    read = Page(bare(tmp_path / "a" / "run", tmp_path / "b" / "run"))
    ids = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert len(ids) == len(set(ids)) and {"run-run--1", "run-run--2"} <= set(ids)


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * x for x in colour[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [
        x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts
    ]
    return sum(w * x for w, x in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_can_be_read(scheme):
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    css = document._asset("templates/page.css")
    light, dark = css.split("prefers-color-scheme: dark")
    part = light if scheme == "light" else dark.split("figure img")[0]
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", part))
    pairs = [
        (ink, paper) for ink in ("ink", "muted", "link") for paper in ("paper", "faint")
    ]
    pairs += [(name, f"{name}-paper") for name in ("good", "bad", "open")]
    for ink, paper in pairs:
        # WCAG 2.2, level AA asks for 4.5.
        assert contrast(colours[ink], colours[paper]) >= 6, (ink, paper)
    used = set(re.findall(r"(?<![-\w])color: ([^;]+);", css)) - {"inherit"}
    assert used <= {
        f"var(--{name})" for name in ("ink", "muted", "link", "good", "bad", "open")
    }
