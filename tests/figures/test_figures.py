"""Every figure of the suite, on runs of every kind."""

import functools
import io
import itertools
import math
from collections.abc import Callable
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import rgb_to_hsv, to_rgb
from matplotlib.figure import Figure

from normlab.figures import FIGURES, METRICS, Sources, draw_all, lr_sensitivity
from normlab.figures.colours import PALETTE, looks, others
from normlab.figures.headings import headline_of
from normlab.figures.style import save
from normlab.figures.tables import NotDrawn
from normlab.store import load
from tests.figures.seen import crosses_of, drawn, error_bars, lines_of, norms, words
from tests.store.handmade import make_cell, write_run

NAN, INF = math.nan, math.inf
SETTINGS = dict(matplotlib.rcParams)  # before anything is drawn
# Drawn of any run; the other figures are in test_quantity_figures.py, test_against.py
# and test_report_figures.py.
VARIED = ("batch_size", "groups")
ALWAYS = [
    name
    for name, drawing in FIGURES.items()
    if drawing.reads == (METRICS,)
    and not name.startswith(("santurkar", "report", *VARIED))
]


def diverging(value: float) -> Callable:
    """Losses that leave the numbers, at the steeper rates, seed by seed."""

    def loss(member, step: int) -> float:
        return value if member.lr > 5e-3 and step > 3 * member.seed else 1.0

    return loss


def always(value: float) -> Callable:
    return lambda member, step: value


BATCH = make_cell()
RUNS: dict[str, tuple[list, dict]] = {
    "plain": (norms(), {}),
    "one rate": (norms(lrs=(1e-3,)), {}),
    "rate zero": (norms(lrs=(0.0,)), {}),
    "rate zero and others": (norms(lrs=(0.0, 1e-3, 1e-2)), {}),
    "nine rates": (norms(lrs=[10.0**-k for k in range(9)]), {}),
    "one seed": (norms(seeds=1), {}),
    "eight seeds": (norms(seeds=8), {}),
    "some diverge": (norms(), {"loss": diverging(NAN)}),
    "some reach infinity": (norms(), {"loss": diverging(INF)}),
    "all are NaN": (norms(), {"loss": always(NAN)}),
    "all are infinite": (norms(), {"loss": always(INF)}),
    "regression": (norms(dataset="gaussian"), {"score": always(NAN)}),
    "a regression diverges": (
        norms(dataset="gaussian"),
        {"score": always(NAN), "loss": diverging(INF)},
    ),
    "a regression is infinite": (
        norms(dataset="gaussian"),
        {"score": always(NAN), "loss": always(INF)},
    ),
    "one has finished": ([BATCH, *norms()[1:]], {"until": {BATCH.id: 13}}),
    "none has finished": ([BATCH], {"until": {BATCH.id: 13}}),
    "hardly begun": ([BATCH], {"until": {BATCH.id: 1}}),
    "one step": (norms(steps=1, eval_every=1), {}),
    "long": (norms(steps=200), {}),
    "two datasets": (
        [*norms(), *norms(dataset="cifar10", train_size=50)],
        {},
    ),
    "batch sizes": ([*norms(), *norms(batch_size=50)], {}),
    "many settings": (
        [make_cell(norm="group", groups=g, epsilon=e) for g in (1, 2, 4, 8, 16)
         for e in (1e-5, 1e-3, 1e-1)],
        {},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def frames(tmp_path_factory) -> Callable[[str], pd.DataFrame]:
    stored: dict[str, pd.DataFrame] = {}

    def frame(name: str) -> pd.DataFrame:
        if name not in stored:
            cells, how = RUNS[name]
            folder = tmp_path_factory.mktemp("run")
            write_run(folder, cells, **how)
            stored[name] = load(folder)
        return stored[name]

    return frame


@pytest.fixture(scope="module")
def shown(frames) -> Callable[[str, str], tuple[pd.DataFrame, Figure]]:
    """A figure of a run and its table, drawn once; no test changes them."""

    @functools.cache
    def of(name: str, run: str) -> tuple[pd.DataFrame, Figure]:
        return drawn(name, frames(run))

    return of


NOTHING = {
    ("curves", "all are NaN"): "no finite values",
    ("curves", "all are infinite"): "no finite values",
    ("curves", "a regression is infinite"): "no finite values",
    ("curves", "hardly begun"): "a single point",
    ("curves", "one step"): "a single point",
    ("gradient_norm", "hardly begun"): "a single point",
    ("gradient_norm", "one step"): "a single point",
    ("lr_sensitivity", "one rate"): "several learning rates",
    ("lr_sensitivity", "rate zero"): "several learning rates",
}


@pytest.mark.parametrize(("name", "run"), NOTHING)
def test_where_there_is_nothing_to_show_it_says_so(name, run, shown):
    with pytest.raises(NotDrawn, match=NOTHING[name, run]):
        shown(name, run)


def test_a_title_is_as_wide_as_its_figure(shown):
    _, figure = shown("lr_sensitivity", "plain")
    figure.savefig(io.BytesIO(), format="png", dpi=100)
    [title] = [text for text in figure.texts if "small_cnn" in text.get_text()]
    box = title.get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.get_size_inches()[0] * figure.dpi


def test_gradients_that_are_not_finite_are_no_single_point(frames):
    with pytest.raises(NotDrawn, match="no finite values"):
        drawn("gradient_norm", frames("plain").assign(gradient_norm=NAN))


def test_a_line_of_one_point_is_seen(shown):
    table, figure = shown("curves", "plain")
    assert {str(line.get_marker()) for line in figure.axes[0].get_lines()} == {""}
    first = (table["metric"] == "batch_loss") & (table["setting"] == "batch")
    later = table.duplicated(["metric", "setting", "point"])
    ax = FIGURES["curves"].draw(table[~(first & later)]).axes[0]
    marked = [line for line in ax.get_lines() if line.get_marker() != ""]
    assert [line.get_label() for line in marked] == ["batch"]
    # Its interval, too.
    mine = table[first & (table["point"] == table["point"].iloc[0])].iloc[0]
    bars = [x for x in ax.collections if isinstance(x, LineCollection)]
    [[[_, low], [_, high]]] = bars[0].get_segments()
    assert (low, high) == (mine["low"], mine["high"]) and len(bars) == 1


@pytest.mark.parametrize(
    ("name", "run"),
    [pair for pair in itertools.product(ALWAYS, RUNS) if pair not in NOTHING],
)
def test_it_draws_without_a_warning(name, run, shown):
    table, figure = shown(name, run)
    assert type(figure) is Figure
    figure.draw_without_rendering()
    assert np.isfinite(figure.get_size_inches()).all()
    for ax in figure.axes:
        assert np.isfinite([*ax.get_xlim(), *ax.get_ylim()]).all()
        assert ax.get_ylim()[0] < ax.get_ylim()[1]


@pytest.mark.parametrize("run", ["plain", "batch sizes", "one seed", "some diverge"])
@pytest.mark.parametrize("name", ALWAYS)
def test_it_says_what_it_shows(name, run, shown):
    _, figure = shown(name, run)
    places: list[tuple[Any, Axes]] = [(x.get_subplotspec(), x) for x in figure.axes]
    left = [ax for place, ax in places if place.is_first_col()]
    bottom = [ax for place, ax in places if place.is_last_row()]
    assert all(ax.get_ylabel() for ax in left)
    assert all(ax.get_xlabel() for ax in bottom)
    assert all(
        "loss" not in ax.get_ylabel() or "(nats)" in ax.get_ylabel() for ax in left
    )
    text = words(figure)
    settings = {"batch", "group (G=4)"}
    if run == "batch sizes" and name == "lr_sensitivity":  # a panel each
        settings |= {"batch_size 10", "batch_size 50"}
    elif run == "batch sizes":
        settings = {f"{s}, batch_size {b}" for s in settings for b in (10, 50)}
    assert settings <= set(text.splitlines())
    assert "digits" in text and ("median over" in text) == (run != "one seed")
    assert name != "curves" or "digits, small_cnn" in text
    known = {"one seed": "one seed", "some diverge": "3 seeds ("}
    assert known.get(run, "range of 3 seeds (75%") in text


def test_equal_counts_say_where_the_norms_differ_most(shown):
    table = shown("lr_sensitivity", "plain")[0]
    is_batch, high = table["line"].eq("batch"), table["lr"].eq(table["lr"].max())

    def says(batch: float, **columns: str) -> str:
        """Of 0.5 everywhere, but for batch norm at the higher rate."""
        median = np.where(is_batch & high, batch, 0.5)
        ended = table.assign(median=median, low=median, high=median, **columns)
        return headline_of(lr_sensitivity.draw(ended))

    widest = f"Largest difference at lr {table['lr'].max():g}, in final test accuracy: "
    assert says(0.51) == f"{widest}batch 0.51, group (G=4) 0.5"
    assert says(0.5) == says(0.500001) == ""
    within = "Within 10 points of the best test accuracy: "
    assert says(0.8) == f"{within}batch at 1 of 2 learning rates, group (G=4) at 0"
    # A large loss is not the one to tell of.
    loss = "At most 2 times the lowest test loss: "
    assert says(0.6, metric="test_loss") == f"{loss}all at 2 of 2 learning rates"


def test_where_a_line_diverged_lines_differ_most(shown):
    table = shown("lr_sensitivity", "plain")[0]
    first, lr = table["line"] == table["line"].iloc[0], table["lr"].min()
    median = np.where(table["lr"] == lr, 0.9, np.where(first, 0.5, NAN))
    gone = lr_sensitivity._says(table.assign(median=median), "test_accuracy")
    assert gone.endswith("batch 0.5; no finite value: group (G=4)")


def test_lines_are_counted_together():
    counts = {"none": (4, 6), "batch": (5, 6), "group": (5, 6)}
    says = lr_sensitivity._at_rates
    assert says(counts) == "none at 4 of 6 learning rates, batch and group at 5"
    fewer = says(counts | {"group": (2, 3)})
    assert fewer.endswith("rates, batch at 5, group at 2 of 3 learning rates")
    named = says({"batch, momentum 0": (1, 2), "batch, momentum 0.9": (0, 2)})
    assert named.endswith("0 at 1 of 2 learning rates; batch, momentum 0.9 at 0")
    many = {f"s{i}": (4 - i // 2, 6) for i in range(8)}
    assert says(many) == "from s6 and s7 at 1 of 6 learning rates to s0 and s1 at 4"


@pytest.mark.parametrize("name", ALWAYS)
def test_it_leaves_matplotlib_alone(name, shown, tmp_path):
    table, figure = shown(name, "plain")
    save(figure, table, tmp_path, name)
    assert dict(matplotlib.rcParams) == SETTINGS


@pytest.mark.parametrize("run", ["plain", "some diverge", "batch sizes"])
def test_the_curves_are_the_table(run, shown):
    table, figure = shown("curves", run)
    points = list(dict.fromkeys(table["point"]))
    axes = np.array(figure.axes).reshape(2, len(points))
    for row, metric in zip(axes, ("batch_loss", "test_accuracy"), strict=True):
        for ax, point in zip(row, points, strict=True):
            mine = table[(table["metric"] == metric) & (table["point"] == point)]
            found = lines_of(ax)
            assert set(found) == set(table["setting"])  # one line a setting
            for setting, rows in found.items():
                wanted = mine[mine["setting"] == setting]
                pairs = zip(wanted["epoch"], wanted["median"], strict=True)
                assert rows == list(pairs)
                assert list(wanted["epoch"]) == sorted(set(wanted["epoch"]))


def test_a_regression_is_drawn_by_its_losses(shown):
    table, figure = shown("curves", "regression")
    assert set(table["metric"]) == {"batch_loss", "test_loss"}
    assert [figure.axes[i].get_ylabel() for i in (0, 2)] == [
        "batch loss\n(squared error)",
        "test loss\n(squared error)",
    ]
    assert {ax.get_yscale() for ax in figure.axes} == {"log"}
    mine = table[(table["metric"] == "test_loss") & (table["point"] == "lr 0.001")]
    wanted = mine[mine["setting"] == "batch"]
    rows = lines_of(figure.axes[2])["batch"]
    assert rows == list(zip(wanted["epoch"], wanted["median"], strict=True))
    low, high = figure.axes[2].get_ylim()
    assert low < wanted["median"].min() and wanted["median"].max() < high
    _, figure = shown("lr_sensitivity", "regression")
    ax = figure.axes[0]
    assert (ax.get_ylabel(), ax.get_yscale()) == (
        "final test loss (squared error)",
        "log",
    )


@pytest.mark.parametrize("run", ["plain", "some diverge", "one seed"])
def test_the_sensitivity_is_the_table(run, shown):
    table, figure = shown("lr_sensitivity", run)
    found = lines_of(figure.axes[0])
    assert set(found) == set(table["line"])
    for line, rows in found.items():
        wanted = table[table["line"] == line]
        np.testing.assert_array_equal(rows, wanted[["lr", "median"]])
        assert list(wanted["lr"]) == sorted(wanted["lr"])


def test_what_varies_beside_the_norm_has_panels_of_the_sensitivity(shown):
    table, figure = shown("lr_sensitivity", "batch sizes")
    assert [ax.get_title() for ax in figure.axes] == ["batch_size 10", "batch_size 50"]
    for ax in figure.axes:
        found = lines_of(ax)
        assert set(found) == {"batch", "group (G=4)"}
        for norm, rows in found.items():
            wanted = table[table["line"] == f"{norm}, {ax.get_title()}"]
            assert rows == list(zip(wanted["lr"], wanted["median"], strict=True))
    assert words(figure).count("group (G=4)") == 1


def test_at_most_twelve_panels_of_the_sensitivity_are_drawn(frames):
    frame = frames("plain")
    many = [frame.assign(weight_decay=0.1 * i) for i in range(15)]
    table, figure = drawn("lr_sensitivity", pd.concat(many))
    assert len(figure.axes) == 12 and table["line"].nunique() == 30
    assert "12 of 15 shown" in figure.get_suptitle()


def test_the_sensitivity_has_its_ticks_at_the_rates(shown):
    _, figure = shown("lr_sensitivity", "plain")
    figure.savefig(io.BytesIO(), format="png", dpi=50)  # lays it out
    ticks = [text.get_text() for text in figure.axes[0].get_xticklabels(which="both")]
    assert ticks == ["0.001", "0.01"]
    for bars in error_bars(figure.axes[0]):
        box = bars.lines[0].get_window_extent()
        assert figure.axes[0].bbox.x0 < box.x0 and box.x1 < figure.axes[0].bbox.x1


def test_intervals_are_those_of_the_table(shown):
    table, figure = shown("lr_sensitivity", "some diverge")
    found = {str(bars.get_label()): bars for bars in error_bars(figure.axes[0])}
    for line, rows in table.groupby("line"):
        parts: Any = found[str(line)].lines[2]
        segments = [segment for segment in parts[0].get_segments() if len(segment)]
        ends = np.array([segment[:, 1] for segment in segments])
        np.testing.assert_allclose(ends, rows[["low", "high"]].dropna())
    table, figure = shown("curves", "some diverge")
    rows = table[(table["metric"] == "batch_loss") & (table["point"] == "lr 0.01")]
    mine = rows[rows["setting"] == "batch"]
    corners = figure.axes[1].collections[0].get_paths()[0].vertices
    for end in ("low", "high"):
        wanted = set(zip(mine["epoch"], mine[end], strict=True))
        assert wanted <= set(map(tuple, np.asarray(corners).tolist())), end


def test_curves_average_losses_and_not_accuracies(frames):
    frame = frames("long")  # 200 steps, in 50 bins of 4
    table = FIGURES["curves"].tabulate(frame)
    losses = table[table["metric"] == "batch_loss"]
    one = losses[(losses["setting"] == "batch") & (losses["point"] == "lr 0.001")]
    assert set(losses["steps_averaged"]) == {4} and len(one) == 50
    rows = frame[(frame["label"] == "batch") & (frame["lr"] == 1e-3)]
    for i, (_, row) in enumerate(one.iterrows()):
        mine = rows[(rows["step"] >= 4 * i) & (rows["step"] < 4 * i + 4)]
        means = mine.groupby("seed")["batch_loss"].mean()
        assert row["median"] == pytest.approx(means.median(), rel=1e-6)
        assert row["low"] == pytest.approx(means.min(), rel=1e-6)
        assert row["epoch"] == pytest.approx((4 * i + 1.5) * 10 / 100)
    scores = table[
        (table["metric"] == "test_accuracy") & (table["point"] == "lr 0.001")
    ]
    scores = scores[scores["setting"] == "batch"]
    assert list(scores["epoch"]) == [k / 1.0 for k in range(0, 21)]
    assert set(scores["steps_averaged"]) == {1}


@pytest.mark.parametrize("value", [NAN, INF])
def test_members_leave_the_loss_one_by_one(value, tmp_path):
    # Seed 0 leaves at step 5, seed 1 at 9, seed 2 never: within bins of 2 steps.
    ends = {0: 5, 1: 9, 2: 1000}

    def loss(member, step: int) -> float:
        return value if step >= ends[member.seed] else float(1 + member.seed)

    write_run(tmp_path, [make_cell(lrs=(1e-3,), steps=120)], loss=loss)
    table = FIGURES["curves"].tabulate(load(tmp_path))
    losses = table[table["metric"] == "batch_loss"]
    assert list(losses["n"])[:6] == [3, 3, 3, 2, 2, 1]
    assert list(losses["median"])[:6] == [2, 2, 2, 2.5, 2.5, 3]
    assert len(losses) == 60 and losses["epoch"].is_monotonic_increasing
    np.testing.assert_allclose(np.diff(losses["epoch"]), 0.2)


def test_every_cell_has_its_own_bins(tmp_path):
    """As many of each batch size, whose cells have as many epochs and not steps."""
    cells = [make_cell(steps=1200, batch_size=10), make_cell(steps=120, batch_size=100)]
    write_run(tmp_path, cells)
    table, figure = drawn("curves", load(tmp_path))
    losses = table[(table["metric"] == "batch_loss") & (table["point"] == "lr 0.001")]
    counts = losses.groupby("setting")["epoch"].agg(["count", "max"])
    assert set(counts["count"]) == {60} and len(counts) == 2
    assert set(losses["steps_averaged"]) == {2, 20}
    assert "losses averaged over 2 to 20 steps" in figure.get_suptitle()


def test_at_most_six_rates_are_drawn_and_all_are_in_the_table(shown):
    table, figure = shown("curves", "nine rates")
    assert table["point"].nunique() == 9
    titles = [ax.get_title() for ax in figure.axes[:6]]
    assert len(figure.axes) == 12
    assert titles[0] == "lr 1" and titles[-1] == "lr 1e-08"
    assert "6 of 9 shown" in figure.get_suptitle()


def test_a_narrow_figure_of_curves_cuts_nothing(shown):
    table, figure = shown("curves", "many settings")
    figure.savefig(io.BytesIO(), format="png", dpi=50)  # lays it out
    legend, width = figure.legends[0], figure.bbox.width
    # 15 settings: columns of epsilons and rates, with a line for each number of groups.
    assert table["setting"].nunique() == 15 and len(figure.axes) == 2 * 6
    norms = [text.get_text() for text in legend.get_texts()]
    assert norms == [f"group (G={number})" for number in (1, 2, 4, 8, 16)]
    heading: Any = figure._suptitle  # type: ignore[attr-defined]
    for part in (legend, heading):
        box = part.get_window_extent()
        assert box.x0 >= 0 and box.x1 <= width
    markers = {str(line.get_marker()) for line in legend.get_lines()}
    assert markers == {look["marker"] for look in looks(norms).values()}


def test_a_long_legend_takes_nothing_of_the_panels(shown):
    _, few = shown("gradient_norm", "batch sizes")
    table, _ = shown("gradient_norm", "many settings")
    # Of one norm, all settings are in one panel.
    alone = "batch, " + table["setting"].str.replace(", ", " ")
    many = FIGURES["gradient_norm"].draw(table.assign(setting=alone))
    heights = []
    for figure in (few, many):
        figure.savefig(io.BytesIO(), format="png", dpi=100)  # lays it out
        heights.append(figure.axes[0].get_window_extent().height / figure.dpi)
    assert len(many.legends[0].get_texts()) == 15
    assert heights[1] > 0.9 * heights[0] > 0.9


def test_one_diverging_rate_does_not_hide_the_others(tmp_path):
    def loss(member, step: int) -> float:
        return 1e30 if member.lr > 5e-3 and step > 15 else 2.0

    write_run(tmp_path, norms(), loss=loss)
    _, figure = drawn("curves", load(tmp_path))
    assert figure.axes[0].get_ylim()[1] < 10
    texts = [[text.get_text() for text in ax.texts] for ax in figure.axes]
    cut = [ax.get_title() == "lr 0.01" for ax in figure.axes]
    assert any(cut) and texts == [["up to 1.0e+30"] * one for one in cut]


@pytest.mark.faults
@pytest.mark.parametrize("lost", [NAN, INF])
def test_a_cross_where_a_curve_ends(lost, tmp_path):
    """One of three seeds diverges at step 8, and at the highest rate all do at 13."""

    def loss(member, step: int) -> float:
        first = 13 if member.lr == 0.1 else 8 if member.seed == 1 else 99
        return lost if step >= first else 2.0

    write_run(tmp_path, norms(lrs=(1e-3, 0.1)), loss=loss)
    frame = load(tmp_path)
    table, figure = drawn("curves", frame)
    losses = table[table["metric"] == "batch_loss"]
    assert list(losses.groupby("point")["diverged"].sum()) == [2, 6]  # two norms
    found = [crosses_of(ax) for ax in figure.axes]
    labels = [["some seeds diverged"], ["all seeds diverged"]] * 2
    assert [list(points) for points in found] == labels
    # Losses are of every step, and accuracies of every tenth.
    epoch = frame["batch_size"].iloc[0] / frame["train_size"].iloc[0]
    for points, step in zip(found, (7, 12, 0, 10), strict=True):
        ((x, _),) = {(x, y) for (some,) in [points.values()] for x, y in some}
        assert x == pytest.approx(step * epoch)
    assert words(figure).count("some seeds diverged") == 1
    assert "diverged" not in words(drawn("curves", frame[~frame["diverged"]])[1])


def test_a_cross_where_seeds_diverged(shown):
    table, figure = shown("lr_sensitivity", "some diverge")
    ax = figure.axes[0]
    found = crosses_of(ax)
    points = set().union(*found.values())
    lost = table[table["diverged"] > 0]
    assert lost["median"].isna().all()  # of three seeds two are lost, or three
    assert points == {(lr, 0.03) for lr in lost["lr"]} and points  # at the panel's edge
    for label, whole in (("all", True), ("some", False)):
        rows = lost[(lost["diverged"] == lost["n"]) == whole]
        assert found.get(f"{label} seeds diverged", set()) == {
            (lr, 0.03) for lr in rows["lr"]
        }
    low, high = ax.get_xlim()
    assert low < min(points)[0] and max(points)[0] < high
    assert "seeds diverged" in words(figure)
    assert "diverged" not in words(shown("lr_sensitivity", "plain")[1])


@pytest.mark.parametrize(
    ("run", "scale"),
    [("plain", "log"), ("rate zero and others", "symlog")],
)
def test_the_scale_of_rates(run, scale, shown):
    _, figure = shown("lr_sensitivity", run)
    assert figure.axes[0].get_xscale() == scale


def test_momentum_and_weight_decay_are_told_apart(frames):
    frame = frames("plain").assign(weight_decay=lambda f: f["seed"] * 0.1)
    _, figure = drawn("lr_sensitivity", frame)
    titles = [ax.get_title() for ax in figure.axes]
    assert titles == ["weight_decay 0", "weight_decay 0.1", "weight_decay 0.2"]
    one = frame[frame["norm"] == "batch"]
    _, figure = drawn("lr_sensitivity", one)
    assert "batch, weight_decay 0.1" in lines_of(figure.axes[0])
    table, _ = drawn("curves", frame)
    assert "lr 0.001, weight_decay 0.2" in set(table["point"])


def test_files(frames, tmp_path):
    sources = Sources("a run", frames("plain"))
    written, _ = draw_all(sources, tmp_path / "new" / "figures", ALWAYS)
    assert {path.name for path in written} == {
        f"{name}.{kind}" for name in ALWAYS for kind in ("png", "pdf", "csv")
    }
    for path in written:
        head = path.read_bytes()[:8]
        if path.suffix == ".png":
            assert head == b"\x89PNG\r\n\x1a\n"
        elif path.suffix == ".pdf":
            assert head.startswith(b"%PDF")
        else:
            table = FIGURES[path.stem].tabulate(frames("plain"))
            pd.testing.assert_frame_equal(
                pd.read_csv(path), table.reset_index(drop=True), check_dtype=False
            )


def test_looks_are_told_apart():
    labels = [f"s{i}" for i in range(8)]
    found = looks([*labels, "s0"])
    assert list(found) == labels
    assert len({look["color"] for look in found.values()}) == 8
    assert len({look["marker"] for look in found.values()}) == 8
    many = looks(f"group (G={i})" for i in range(1, 41)).values()
    assert len({(look["color"], look["marker"]) for look in many}) == 40
    assert PALETTE[0] not in {look["color"] for look in many}


@pytest.mark.parametrize("labels", [["lr 0.1"], [f"lr {i}" for i in range(9)]])
def test_the_colours_of_norms_are_for_norms_alone(labels):
    assert len(set(PALETTE)) == len(PALETTE)
    found = {look["color"] for look in looks(labels).values()}
    found |= set(others(len(labels)))
    assert len(found) == len(labels) and not found & {x.lower() for x in PALETTE}


def test_a_norm_keeps_its_colour_whatever_else_varies():
    usual = looks(["none", "batch", "group"])
    norms, sizes = ("none", "batch", "group (G=4)"), ("batch_size 10", "batch_size 50")
    found = looks(f"{norm}, {size}" for size in sizes for norm in norms)
    for norm in norms:
        one, other = (found[f"{norm}, {size}"] for size in sizes)
        assert one["color"] == other["color"]
        assert one["color"] == usual[norm.partition(" (")[0]]["color"]
        assert one["marker"] != other["marker"]
        assert one["linestyle"] != other["linestyle"]
    # What varies for one norm alone are shades of its colour, from its own.
    alone = looks(f"batch, {how}" for how in ("random", "moments", "fixed")).values()
    shades = [look["color"] for look in alone]
    hues = [rgb_to_hsv(to_rgb(shade)) for shade in shades]
    assert to_rgb(shades[0]) == to_rgb(usual["batch"]["color"])
    assert len(set(shades)) == len({str(look["linestyle"]) for look in alone}) == 3
    np.testing.assert_allclose([hue[0] for hue in hues], hues[0][0], atol=0.01)


def test_a_norm_looks_alike_in_every_figure():
    usual = looks(["none", "batch", "group"])
    for labels in (["batch", "group"], ["layer", "group", "none"], ["group"]):
        found = looks(labels)
        assert list(found) == labels
        assert all(found[x] == usual[x] for x in labels if x in usual)
        assert len({look["color"] for look in found.values()}) == len(labels)
    several = looks(["batch", "group (G=4)", "group (G=1)"])
    assert several["group (G=4)"] == usual["group"]
    assert several["group (G=1)"] not in (usual["batch"], usual["group"])
    # By the number of its groups, whichever comes first or is there.
    for numbers in ((16, 1, 4), (1, 2, 4, 8, 16), (1,), (16,)):
        found = looks(f"group (G={number})" for number in numbers)
        assert len({look["color"] for look in found.values()}) == len(numbers)
        if 1 in numbers:
            assert found["group (G=1)"] == several["group (G=1)"]
        # Black is no norm's.
        assert usual["none"]["color"] not in [look["color"] for look in found.values()]
    strange = looks(["group (G=32)", "batch l1", "layer"]).values()
    assert usual["none"]["color"] not in [look["color"] for look in strange]
