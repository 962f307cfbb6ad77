"""The gallery and README's picture, from the stored runs."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from normlab.figures import FIGURES
from normlab.figures.colours import looks
from normlab.gallery import PICTURES, headline, make
from normlab.gallery.others import OTHERS, run_at

ROOT = Path(__file__).parents[2]
EXPERIMENTS = ROOT / "experiments"
KINDS = [name for runs in (*PICTURES.values(), *OTHERS.values()) for name in runs]


def test_each_kind_is_in_it_once():
    assert set(FIGURES) < set(KINDS) and len(set(KINDS)) == len(KINDS)
    for runs in PICTURES.values():
        assert all(
            (run_at(EXPERIMENTS, run) / "sweep.json").exists() for run in runs.values()
        )


def test_the_page_shows_each_kind_and_is_small():
    page = (ROOT / "docs/gallery.md").read_text("utf-8")
    assert re.findall(r"^### (.+)$", page, re.MULTILINE) == KINDS
    assert re.findall(r"\(gallery/(.+)\.png\)", page) == KINDS
    pictures = list((ROOT / "docs/gallery").iterdir())
    assert {path.stem for path in pictures} == set(KINDS)
    assert sum(path.stat().st_size for path in pictures) < 2_500_000


def test_it_is_made(tmp_path, monkeypatch):
    one = {"Training": {"lr_sensitivity": "postmortem_lr"}}
    monkeypatch.setattr("normlab.gallery.PICTURES", one)
    monkeypatch.setattr("normlab.gallery.OTHERS", {})
    written = make(EXPERIMENTS, tmp_path)
    assert [path.name for path in written] == ["lr_sensitivity.png", "gallery.md"]
    assert written[0].read_bytes().startswith(b"\x89PNG")
    assert "--figures=lr_sensitivity" in written[1].read_text("utf-8")


def test_the_other_tables_are_read():
    for others in OTHERS.values():
        for tabulate, *_ in others.values():
            assert len(tabulate(EXPERIMENTS))


def test_the_headlines_title_is_what_the_table_says():
    accuracies = {"none": (10.0, 0.1), "batch": (60.0, 0.2)}
    table = pd.DataFrame(
        [
            {
                "label": label,
                "lr": lr,
                "seed": seed,
                "accuracy": value + seed * (value / 300),
            }
            for label, (value, by) in accuracies.items()
            for lr in (0.001, 0.01, 0.03)
            for seed in range(5)
        ]
    )
    assert headline.title(table).startswith("Batch norm trains at learning rates where")
    group = table[table["label"] == "batch"].assign(label="group (G=4)")
    both = pd.concat([table, group])
    assert headline.title(both).startswith("Both norms train at")
    group.loc[group["seed"] == 1, "accuracy"] = 10.0
    some = pd.concat([table, group])
    assert headline.title(some).startswith("Batch norm trains at")
    none, high = table["label"] == "none", table["lr"] > 0.005
    trains = table.assign(accuracy=table["accuracy"].where(~none, 40.0))
    assert "tests better with batch norm" in headline.title(trains)
    one = none & (table["lr"] == 0.03)
    equal = table.assign(accuracy=table["accuracy"].where(~one, 60.2))
    assert "with and without norms" in headline.title(equal)
    fails = ~none & high & (table["seed"] == 0)
    some = table.assign(accuracy=table["accuracy"].where(~fails, 10.0))
    assert "where most seeds fail" not in headline.title(some)


def test_chance_is_that_of_the_page():
    """One point above the share of a class counts as chance, on the page, too."""
    table = pd.DataFrame({"accuracy": [10.9, 11.1, np.nan]})
    assert headline._has_failed(table).tolist() == [True, False, True]


def test_the_headline_is_that_of_the_ledger():
    table = headline.tabulate(EXPERIMENTS)
    ledger = (EXPERIMENTS / "results/ledger.txt").read_text("utf-8")
    for part, lr in (("H4.1", 0.01), ("H4.2", 0.03)):
        (line,) = (x for x in ledger.splitlines() if x.startswith(f"{part} "))
        found = re.findall(r"([\d.]+) \[([\d.]+), ([\d.]+)\] points", line)
        gained = headline.gain(table, lr)
        numbers = (gained.estimate, gained.low, gained.high)
        assert numbers == pytest.approx([float(x) for x in found[0]], abs=0.005)
    figure = headline.draw(table)
    (ax,) = figure.axes
    texts = [text.get_text() for text in ax.texts]
    assert "+41 points\n[31, 51]" in texts and "batch norm" in texts
    drawn = {line.get_color(): np.asarray(line.get_ydata()) for line in ax.get_lines()}
    for label in ("none", "batch", "group (G=4)"):
        wanted = table[table["label"] == label].groupby("lr")["accuracy"].median()
        color = looks([label])[label]["color"]
        np.testing.assert_array_equal(drawn[color], wanted)
        faces = [np.asarray(dots.get_facecolor())[0, :3] for dots in ax.collections]
        of_norm = [np.allclose(face, to_rgb(color)) for face in faces]
        (dots,) = (x for x, own in zip(ax.collections, of_norm, strict=True) if own)
        assert np.asarray(dots.get_offsets()).shape == (12 * 6, 2)


def test_names_of_lines_do_not_cover_each_other():
    found = headline.apart({"a": 44.8, "b": 10.0, "c": 44.9, "d": 46.0})
    assert found == pytest.approx({"b": 10.0, "a": 44.8, "c": 49.8, "d": 54.8})
