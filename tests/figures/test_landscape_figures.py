"""Figures of landscapes of every kind: scales that are shared, marks, captions."""

import math
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from normlab.figures import landscape_contour, landscape_line, landscape_surface
from normlab.figures.colours import looks
from normlab.figures.landscape_panels import levels, loss_name, panels, shape

SETTINGS = dict(matplotlib.rcParams)
SIDE = np.linspace(-1, 1, 5)
NORMS = {"none": False, "batch": True, "group (G=4)": False}
NAN, INF = math.nan, math.inf


def bowl(a, b):
    return 0.5 + a**2 + 2 * b**2


def table(kind: str = "plane", loss=bowl, scales=(1.0, 1.0, 1.0, 1.0), **changes):
    """Every norm, batch norm under both kinds of statistics."""
    line = kind in ("line", "between")
    b, a = np.meshgrid([0.0] if line else SIDE, SIDE, indexing="ij")
    frames, scale = [], iter(scales)
    for setting, running in NORMS.items():
        for statistics in ("batch", "running") if running else ("batch",):
            values = loss(a.reshape(-1), b.reshape(-1)) * next(scale)
            frames.append(
                pd.DataFrame({"a": a.reshape(-1), "b": b.reshape(-1)}).assign(
                    setting=setting,
                    running=running,
                    statistics=statistics,
                    loss=values,
                    accuracy=np.where(np.isfinite(values), 1 / (1 + values), 0.1),
                    path_step=NAN,
                )
            )
    frame = pd.concat(frames, ignore_index=True)
    fixed = {"dataset": "cifar10", "seed": 0, "lr": 1e-3, "kind": kind, "step": 1000}
    fixed |= {"split": "train", "images": 5000, "batch": 50}
    if kind in ("plane", "line"):
        fixed["direction_seed"] = 3
    if kind == "between":
        fixed["from_step"] = 0
    return frame.assign(**fixed | changes)


def with_path() -> pd.DataFrame:
    frame = table("path")
    keys = ["setting", "running", "statistics", "split", "dataset", "seed", "lr"]
    keys += ["kind", "step", "images", "batch"]
    path = pd.DataFrame({"a": [0.8, 0.2, 0.0], "b": [0.1, -0.3, 0.0]})
    path = path.assign(path_step=[0, 500, 1000])
    own = frame[keys].drop_duplicates().merge(path, how="cross")
    frame = pd.concat([frame, own], ignore_index=True)
    return frame.assign(share_a=0.81, share_b=0.123)


def drawn(figure: Figure) -> list[str]:
    """The texts of a figure, once it is drawn."""
    figure.draw_without_rendering()
    found = [figure.get_suptitle()]
    for ax in figure.axes:
        found += [ax.get_title(), ax.get_xlabel(), ax.get_ylabel()]
    return found


def two(*args, **changes) -> pd.DataFrame:
    """`table` of batch norm alone: two panels, which are drawn sooner than four."""
    frame = table(*args, **changes)
    return frame[frame["setting"] == "batch"]


TABLES = {
    "plane": table(),
    "path": with_path(),
    "one explodes": table(scales=(1.0, 1.0, 1e6, 1.0)),
    "not finite here and there": two(loss=lambda a, b: np.where(a > 0.6, NAN, 1 + b)),
    "infinite": two(loss=lambda a, b: np.where(a > 0.6, INF, 1 + b**2)),
    "nowhere finite": two(loss=lambda a, b: a * NAN),
    "flat": two(loss=lambda a, b: 0 * a + 2.3),
    "zero": two(loss=lambda a, b: 0 * a),
    "regression": two(accuracy=NAN),
    "both splits": pd.concat([table(), table(split="test")], ignore_index=True),
    "one panel": table()[lambda frame: frame["setting"] == "none"],
}
LINES = {
    "line": table("line"),
    "between": table("between"),
    "one explodes": two("line", scales=(1.0, 1.0, 1e6, 1.0)),
    "nowhere finite": two("line", loss=lambda a, b: a * NAN),
    "infinite": two("line", loss=lambda a, b: np.where(a > 0.6, INF, 1 + a**2)),
    "zero": two("line", loss=lambda a, b: 0 * a),
    "regression": two("line", accuracy=NAN),
    "both splits": pd.concat([two("line"), two("line", split="test")]),
    "no running averages": table("line")[lambda frame: frame["setting"] == "none"],
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("module", [landscape_contour, landscape_surface])
def test_planes_of_every_kind(module, name):
    texts = drawn(module.draw(TABLES[name]))
    assert "first 5000 images" in texts[0] and "seed 0, lr 0.001" in texts[0]
    assert "step 1000" in texts[0]
    assert ("up to the first 5000" in texts[0]) == (name == "both splits")
    assert dict(matplotlib.rcParams) == SETTINGS


@pytest.mark.parametrize("name", LINES)
def test_lines_of_every_kind(name):
    frame = LINES[name]
    texts = drawn(landscape_line.draw(frame))
    assert any("loss" in text for text in texts)
    assert any(text == "accuracy" for text in texts) == (name != "regression")


def test_panels():
    found = panels(table())
    assert [panel.title for panel in found] == [
        "none",
        "batch, batch statistics",
        "batch, running statistics",
        "group (G=4)",
    ]
    for panel in found:
        a, b = np.meshgrid(panel.a, panel.b)
        np.testing.assert_allclose(panel.loss, bowl(a, b))
        assert panel.path.empty
    both = panels(TABLES["both splits"])
    assert [p.title for p in both][::4] == ["none, train", "none, test"]


def test_points_that_are_not_computed_yet_are_nan():
    frame = table()[lambda frame: (frame["b"] < 1) | (frame["a"] < 1)]
    for panel in panels(frame):
        assert np.isnan(panel.loss[-1, -1]) and np.isfinite(panel.loss).sum() == 24


def test_levels_are_shared_and_one_explosion_does_not_flatten_them():
    plain, wild = levels(panels(table())), levels(panels(TABLES["one explodes"]))
    np.testing.assert_allclose(plain, wild)
    assert plain[0] == pytest.approx(0.5) and plain[-1] == pytest.approx(3.5)
    assert np.allclose(plain[1:] / plain[:-1], plain[1] / plain[0])
    wide = levels(panels(table(loss=lambda a, b: 10.0 ** (6 * a))))
    assert wide[0] == pytest.approx(1e3) and wide[-1] == pytest.approx(1e6)


def test_shapes():
    assert [shape(n) for n in (1, 3, 4, 5, 8, 9)] == [
        (1, 1),
        (1, 3),
        (1, 4),
        (2, 3),
        (2, 4),
        (3, 3),
    ]


def test_contours_are_labelled_and_the_path_is_drawn():
    figure = landscape_contour.draw(with_path())
    texts = drawn(figure)
    assert "PC 1 (81.0% of variance)" in texts
    assert "PC 2 (12.3% of variance)" in texts
    assert "train loss (nats)" in texts
    assert "path to step 1000" in texts[0]
    first = figure.axes[0]
    assert len(first.texts) >= 2  # labels of contours
    line = first.lines[0]
    np.testing.assert_array_equal(line.get_xdata(), [0.8, 0.2, 0.0])
    star = first.lines[-1]
    assert star.get_marker() == "*" and list(star.get_xdata()) == [0]  # type: ignore


def test_captions():
    plane = drawn(landscape_contour.draw(table()))
    assert "batches of 50" in plane[0] and "directions of seed 3" in plane[0]
    assert "first direction (filter norms)" in plane
    between = drawn(landscape_line.draw(table("between")))
    assert "step 0 to 1000" in between[0] and "directions" not in between[0]
    bare = drawn(landscape_line.draw(LINES["no running averages"]))
    assert "batches" not in bare[0]
    assert loss_name(TABLES["regression"]) == "train loss (squared error)"
    assert loss_name(TABLES["both splits"]) == "train and test loss (nats)"


def test_a_surface_is_cut_where_the_caption_says():
    figure = landscape_surface.draw(TABLES["one explodes"])
    assert "train loss (nats), cut at 3.5" in drawn(figure)
    axes: list[Any] = list(figure.axes)
    assert axes[2].get_zlim() == pytest.approx(np.log10((0.5, 3.5)))
    # There is no surface above the cut.
    for ax, facets in ((axes[0], 16), (axes[2], 0)):
        (surface,) = ax.collections
        paths = [path.vertices for path in surface.get_paths()]
        assert sum(bool(np.isfinite(path).all()) for path in paths) == facets
    assert [text.get_text() for text in axes[2].texts] == ["all of it is above the cut"]
    assert "train loss (nats)" in drawn(landscape_surface.draw(table()))


def test_norms_without_running_averages_are_in_both_columns():
    frame = table("line", scales=(1.0, 2.0, 3.0, 4.0))
    figure = landscape_line.draw(frame)
    assert drawn(figure).count("batch statistics") == 1
    for ax, scale in zip(figure.axes[:2], (2.0, 3.0), strict=True):
        lines = {str(line.get_label()): line for line in ax.lines}
        for name, look in looks(NORMS).items():
            assert lines[name].get_color() == look["color"]
        middle = {
            k: np.asarray(v.get_ydata())[2] for k, v in lines.items() if k in NORMS
        }
        assert middle == pytest.approx(
            {"none": 0.5, "batch": 0.5 * scale, "group (G=4)": 2.0}
        )


@pytest.mark.parametrize(("kind", "marks"), [("line", {0}), ("between", {0, 1})])
def test_the_points_themselves_are_marked(kind, marks):
    figure = landscape_line.draw(table(kind))
    for ax in figure.axes:
        grey = [line for line in ax.lines if line.get_color() == "#999999"]
        found = {float(np.asarray(line.get_xdata())[0]) for line in grey}
        assert found == marks
