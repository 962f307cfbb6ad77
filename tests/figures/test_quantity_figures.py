"""Every figure of quantities, on made-up runs: what is drawn, and what it says."""

import itertools
from collections.abc import Callable
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from normlab.errors import UserError
from normlab.figures import FIGURES, NotDrawn, Sources, draw_all
from normlab.figures.colours import looks
from normlab.figures.tables import PAPER, RUN
from tests.figures import made
from tests.figures.seen import words
from tests.figures.test_figures import SETTINGS

ALWAYS = {
    "curves",
    "gradient_norm",
    "gradient_norm_layers",
    "activation_moments",
    "activation_histogram",
    "santurkar_2",
    "santurkar_3",
    "santurkar_11",
    "smoothness_by_eta",
    "sharpness",
    "hessian_spectrum",
    "identity_slack",
    "norm_consequences",
}
# What is drawn of the runs in `made.RUNS`, beside that.
DRAWN = {
    "plain": {"lr_sensitivity", "santurkar_4"},
    "one seed": {"lr_sensitivity", "santurkar_4"},
    "vgg": {"santurkar_1", "santurkar_4", "santurkar_5", "santurkar_12", "penalty"},
    "linear": {"santurkar_5", "santurkar_10", "santurkar_13"},
    "uniform": {"santurkar_5", "santurkar_10", "santurkar_13"},
}
BESIDE = {
    "vgg": {*DRAWN["vgg"], "santurkar_11"},
    "linear": DRAWN["linear"],
    "uniform": DRAWN["uniform"],
}
LINEAR = ("linear", "uniform")
ELSEWHERE = {"curves", "lr_sensitivity"}  # looked at in test_figures.py
REPORT = {"report_bn", "report_gn"}  # in test_report_figures.py
AGAINST = {"batch_size", "groups"}  # in test_against.py
# One member a panel: channels of two seeds have nothing in common.
OF_ONE = {"activation_moments", "activation_histogram", "santurkar_2"}
# Their tables hold more than lines of medians.
MORE = {"hessian_spectrum", "norm_consequences", "santurkar_11"}


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> Callable[[str], Sources]:
    stored: dict[str, Sources] = {}

    def of(run: str) -> Sources:
        if run not in stored:
            folder = tmp_path_factory.mktemp("run")
            stored[run] = Sources(made.write(folder, made.RUNS[run]).root)
        return stored[run]

    return of


@pytest.fixture(scope="module")
def drawn(sources) -> Callable[[str, str], tuple[pd.DataFrame, Figure]]:
    found: dict[tuple[str, str], tuple[pd.DataFrame, Figure]] = {}

    def of(name: str, run: str) -> tuple[pd.DataFrame, Figure]:
        if (name, run) not in found:
            table = tabulated(name, sources(run))
            found[name, run] = table, FIGURES[name].draw(table)
        return found[name, run]

    return of


def tabulated(name: str, sources: Sources) -> pd.DataFrame:
    return FIGURES[name].tabulate(*(sources.table(x) for x in FIGURES[name].reads))


def panels(figure: Figure) -> list[tuple[Any, Axes]]:
    """Axes with their places in the grid; colour bars have none."""
    found = [(ax.get_subplotspec(), ax) for ax in figure.axes]
    return [(place, ax) for place, ax in found if place is not None]


CASES = [(name, run) for run, more in DRAWN.items() for name in (*ALWAYS, *more)]
# One seed changes words alone.
CASES = [(name, run) for name, run in CASES if run != "one seed"]
# Its other figures are drawn as those of "linear".
CASES = [(x, run) for x, run in CASES if run != "uniform" or x in DRAWN["uniform"]]
# And those of "vgg" as those of "plain", but for published curves beside them.
CASES = [(x, run) for x, run in CASES if run != "vgg" or x in BESIDE["vgg"]]
CASES += [("santurkar_4", "one seed"), ("gradient_norm", "one seed")]


def test_each_figure_has_a_run():
    assert set(FIGURES) == {name for name, _ in CASES} | REPORT | AGAINST


@pytest.mark.parametrize(("name", "run"), sorted(CASES))
def test_it_says_what_it_shows(name, run, drawn):
    table, figure = drawn(name, run)
    assert type(figure) is Figure and not table.empty
    for place, ax in panels(figure):
        assert np.isfinite([*ax.get_xlim(), *ax.get_ylim()]).all()
        assert ax.get_xlabel() or not place.is_last_row()
        label = ax.get_ylabel()
        assert label or not place.is_first_col()
        unit = "squared error" if run in LINEAR else "nats"
        assert f"({unit}" in label or not ("loss" in label or "|" in label) or (
            label == "|g'| / |g|"
        ), label  # fmt: skip
    if name in ELSEWHERE:
        return
    text = words(figure)
    where = {"vgg": "cifar10, vgg16", "linear": "gaussian, deep_linear"}
    where["uniform"] = "gaussian_uniform, deep_linear"
    assert where.get(run, "digits, small_cnn") in text
    settings = set(table["setting"])
    assert settings <= set(text.splitlines())
    if name in OF_ONE:
        assert "one member, seed 0" in text
    elif run == "one seed":
        assert "one seed" in text
    else:
        assert "3 seeds" in text


@pytest.mark.parametrize(
    ("name", "run"),
    sorted((name, run) for name, run in CASES if name not in ELSEWHERE | OF_ONE | MORE),
)
def test_lines_are_the_table(name, run, drawn):
    table, figure = drawn(name, run)
    known = set(table["median"])
    count = 0
    for _, ax in panels(figure):
        for line in ax.get_lines():
            if line.get_label() in {*table["setting"], PAPER}:
                values = np.asarray(line.get_ydata())
                assert known >= set(values.tolist())
                count += len(values)
    lines = table if "edge" not in table else table[table["source"] == PAPER]
    assert count >= len(lines)


# Figures of bands -> their rows, as (measure, words of its label).
RANGES = [
    ("loss", "loss along"),
    ("difference", "|g - g'|"),
    ("beta", "effective"),
]
ROWS = {
    "santurkar_4": RANGES,
    "santurkar_10": RANGES,
    "santurkar_12": [("batch_accuracy", "training accuracy"), *RANGES],
    "santurkar_13": [("batch_loss", "batch loss"), *RANGES],
}


def corners(band) -> set[tuple[float, float]]:
    (path,) = band.get_paths()
    return {(float(x), float(y)) for x, y in path.vertices}


def ends(*parts: tuple[pd.DataFrame, str]) -> set[tuple[float, float]]:
    return {
        (float(x), float(y))
        for rows, column in parts
        for x, y in zip(rows["step"], rows[column], strict=True)
    }


@pytest.mark.parametrize(
    ("name", "run"), sorted((name, run) for name, run in CASES if name in ROWS)
)
def test_bands_are_the_table(name, run, drawn):
    table, figure = drawn(name, run)
    settings, points = (list(dict.fromkeys(table[x])) for x in ("setting", "point"))
    measures, colours = ROWS[name], looks(settings)
    places = list(itertools.product(measures, points))
    axes = [ax for _, ax in panels(figure)]
    for ax, ((measure, label), point) in zip(axes, places, strict=True):
        assert (label in ax.get_ylabel()) == (point == points[0])
        assert ax.get_title() == (point if measure == measures[0][0] else "")
        rows = table[(table["point"] == point) & (table["measure"] == measure)]
        own, paper = (rows[rows["source"] == source] for source in (RUN, PAPER))
        is_range = measure in ("loss", "difference")
        filled = not is_range or len(settings) <= 3
        wanted_bands, wanted_lines, bands, drawn_lines = {}, {}, {}, {}
        for setting in settings:
            colour = colours[setting]["color"]
            mine, theirs = (x[x["setting"] == setting] for x in (own, paper))
            low, high = (mine[mine["edge"] == edge] for edge in ("low", "high"))
            assert len(high) > 2
            if is_range and filled:
                wanted_bands[colour] = ends((low, "median"), (high, "median"))
            elif filled:
                wanted_bands[colour] = ends((high, "low"), (high, "high"))
            edges = [low, high] if is_range else [high]
            edges += [theirs[theirs["edge"] == edge] for edge in ("low", "high")]
            parts = [part[["step", "median"]].to_numpy() for part in edges]
            wanted_lines[colour] = [part.tolist() for part in parts if len(part)]
        for band in ax.collections:
            colour = to_hex(tuple(np.asarray(band.get_facecolor())[0, :3].tolist()))
            bands[colour.upper()] = corners(band)
        for line in ax.get_lines():
            points_of = np.asarray(line.get_xydata()).tolist()
            drawn_lines.setdefault(line.get_color(), []).append(points_of)
            is_dashed = line.get_linestyle() == "--"
            assert is_dashed == (line.get_label() == PAPER)
        assert bands == wanted_bands and drawn_lines == wanted_lines


def test_spikes_do_not_set_the_axis(drawn):
    table, _ = drawn("santurkar_10", "linear")
    usual = FIGURES["santurkar_10"].draw(table).axes[0].get_ylim()
    spiked = table["source"].eq(PAPER) & table["measure"].eq("loss")
    spiked &= table.index == table.index[spiked & (table["edge"] == "high")][1]
    assert spiked.sum() == 1
    wild = table.assign(median=table["median"].mask(spiked, 1e30))
    ax = FIGURES["santurkar_10"].draw(wild).axes[0]
    assert ax.get_ylim()[1] < 1e3 * usual[1]
    assert [text.get_text() for text in ax.texts] == ["up to 1.0e+30"]


def test_the_lines_of_figure_11_are_the_table(drawn):
    table, figure = drawn("santurkar_11", "vgg")
    settings = list(dict.fromkeys(table["setting"]))
    places = list(itertools.product((RUN, PAPER), settings))
    axes = [ax for _, ax in panels(figure)]
    for ax, (source, setting) in zip(axes, places, strict=True):
        mine = table[(table["source"] == source) & (table["setting"] == setting)]
        wanted = [
            sorted(zip(rows["length"], rows["median"], strict=True))
            for _, rows in mine.groupby("step")
        ]
        found = [
            [(x, y) for x, y in np.asarray(line.get_xydata()).tolist()]
            for line in ax.get_lines()
        ]
        assert found == wanted
        published = setting in ("none", "batch")
        assert len(wanted) == (3 if source == RUN else 51 * published)


@pytest.mark.parametrize(
    ("name", "run"),
    sorted(
        (name, run)
        for run, names in BESIDE.items()
        for name in names
        if name != "santurkar_11"  # over lengths, and not over steps
    ),
)
def test_published_curves_end_with_the_run(name, run, drawn):
    table, _ = drawn(name, run)
    own, paper = (table[table["source"] == source] for source in (RUN, PAPER))
    last = own["step"].max()
    assert last < 10000  # the paper's go on to there, or farther
    for _, rows in paper.groupby("measure" if "measure" in table else "metric"):
        assert len(np.unique(rows["step"][rows["step"] >= last])) == 1


def test_short_captions_tell_what_is_averaged(drawn, sources):
    frame = sources("vgg").table("metrics")
    longer = frame.assign(steps=200, step=10 * frame["step"])  # a row for ten steps
    for rows, told in ((frame, False), (longer, True)):
        figure = FIGURES["santurkar_1"].draw(FIGURES["santurkar_1"].tabulate(rows))
        assert ("accuracy: means of 10 steps" in words(figure)) == told
    _, figure = drawn("santurkar_4", "vgg")
    assert "range over trial steps of 0.5 to 4 learning rates" in words(figure)
    _, figure = drawn("santurkar_11", "vgg")
    assert "(to step 15000)" in "".join(ax.get_ylabel() for ax in figure.axes)


@pytest.mark.parametrize("run", ["plain", "vgg", *LINEAR])
def test_published_curves_are_beside_their_counterparts(run, drawn):
    for name in sorted(name for name, of in CASES if of == run):
        if name not in ELSEWHERE:
            table, figure = drawn(name, run)
            sources = set(table["source"]) if "source" in table else {RUN}
            beside = name in BESIDE.get(run, ())
            assert (PAPER in sources) == beside, name
            labels = words(figure) + "".join(ax.get_ylabel() for ax in figure.axes)
            assert (PAPER in labels) == beside, name


@pytest.mark.parametrize("run", ["plain", "linear"])
def test_all_that_a_run_has_are_drawn_and_the_csv_is_the_table(
    run, sources, tmp_path, quick
):
    written, _ = draw_all(sources(run), tmp_path)
    names = {path.stem for path in written}
    assert names == ALWAYS | DRAWN[run]
    assert len(written) == 3 * len(names)
    for name in names:
        table = tabulated(name, sources(run)).reset_index(drop=True)
        found = pd.read_csv(tmp_path / f"{name}.csv")
        pd.testing.assert_frame_equal(found, table, check_dtype=False)


@pytest.mark.parametrize("name", sorted(OF_ONE | {"santurkar_11"}))
def test_norms_that_are_left_out_are_told(name, drawn):
    table, figure = drawn(name, "plain")
    assert "shown" not in figure.get_suptitle()
    one = table[table["setting"] == table["setting"].iloc[0]]
    many = pd.concat([one.assign(setting=f"norm {k}") for k in range(8)])
    figure = FIGURES[name].draw(many)
    assert "6 of 8 norms shown" in figure.get_suptitle()
    assert len({ax.get_title() for ax in figure.axes} - {""}) == 6


@pytest.mark.parametrize("name", sorted({name for name, _ in CASES} - ELSEWHERE))
def test_nothing_is_left_open(name, drawn):
    run = next(run for other, run in CASES if other == name)
    _, figure = drawn(name, run)
    figure.draw_without_rendering()
    assert dict(matplotlib.rcParams) == SETTINGS


def test_where_there_are_no_numbers_nothing_is_drawn(tmp_path, quick):
    paths = made.write(tmp_path, made.RUNS["plain"][:2], nowhere=True)
    names = {
        path.stem for path in draw_all(Sources(paths.root), tmp_path / "figures")[0]
    }
    assert names == {"curves", "lr_sensitivity", "gradient_norm"}


def test_a_run_without_probes_has_the_figures_of_its_metrics(tmp_path, quick):
    paths = made.write(tmp_path, made.RUNS["plain"][:2], ())
    sources = Sources(paths.root)
    names = {path.stem for path in draw_all(sources, tmp_path / "figures")[0]}
    assert names == {"curves", "lr_sensitivity", "gradient_norm"}
    with pytest.raises(UserError, match="=santurkar_4: effective_smoothness was"):
        draw_all(sources, tmp_path / "figures", ["santurkar_4"])
    with pytest.raises(NotDrawn, match="figures=santurkar_1: it shows a VGG"):
        draw_all(sources, tmp_path / "figures", ["santurkar_1"])


@pytest.mark.parametrize(
    ("name", "run", "reason"),
    [
        ("santurkar_1", "plain", "shows a VGG"),
        ("santurkar_4", "linear", "see santurkar_10"),
        ("santurkar_4", "uniform", "see santurkar_10"),
        ("santurkar_5", "plain", "compares --norm=batch_lp"),
        ("santurkar_10", "vgg", "--dataset=gaussian"),
        ("santurkar_12", "linear", "use santurkar_13 for regression"),
        ("santurkar_12", "plain", "compares --norm=batch_lp"),
        ("santurkar_13", "vgg", "--dataset=gaussian"),
        ("penalty", "plain", "--weight_decay adds"),
    ],
)
def test_what_a_run_lacks_is_said(name, run, reason, sources):
    with pytest.raises(NotDrawn, match=reason):
        tabulated(name, sources(run))
