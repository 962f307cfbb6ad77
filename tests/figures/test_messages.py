"""What a headline says, limits of axes, and which settings have panels of their own."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from normlab.figures import gradient_norm
from normlab.figures.colours import LINES, PALETTE, others
from normlab.figures.headings import headline_of, title
from normlab.figures.messages import highest, last_rows, listed, medians, short
from normlab.figures.panels import apart
from normlab.figures.santurkar_5 import _sparse
from normlab.figures.scales import accuracy_axis, usual
from normlab.figures.tables import PAPER, RUN, binned

ROWS = pd.DataFrame(
    {
        "setting": ["none", "none", "batch", "batch", "batch"],
        "point": ["lr 0.1", "lr 0.1", "lr 0.1", "lr 0.1", "lr 0.1"],
        "step": [0, 10, 0, 10, 99],
        "median": [0.1, 0.6, 0.2, 0.8, 0.9],
        "source": [RUN, RUN, RUN, RUN, PAPER],
    }
)


def test_the_best_of_the_run_is_named():
    ends = last_rows(ROWS, "step")
    assert ends["median"].tolist() == [0.6, 0.8]
    assert highest(ends, "accuracy") == "Highest accuracy: 0.8 (batch, lr 0.1)"
    assert highest(ends, "loss", lower=True) == "Lowest loss: 0.6 (none, lr 0.1)"
    both = "Highest accuracy: 0.8 (a tie of none and batch; lr 0.1)"
    assert highest(ends.assign(median=0.8), "accuracy") == both
    nearly = ends.assign(median=[0.8, 0.80001])  # equal as written
    assert highest(nearly, "accuracy") == both
    apart = nearly.assign(point=["lr 1", "lr 2"])
    assert "(a tie of none, lr 1 and batch, lr 2)" in highest(apart, "accuracy")
    many = pd.concat([ends] * 4)
    assert highest(many, "accuracy") == "Highest accuracy: 0.8 (a tie of 4)"
    assert highest(ends.assign(median=np.nan), "accuracy") == ""


def test_a_curve_that_ends_early_is_said_to():
    early = ROWS[(ROWS["setting"] == "none") | (ROWS["step"] == 0)]
    ends = last_rows(early, "step")
    # It breaks off, so its end is no final value; unless there is no other curve.
    said = highest(ends.assign(diverged=[0, 1]), "final loss", lower=True)
    assert said == "Lowest final loss: 0.6 (none, lr 0.1)"
    said = highest(ends.assign(diverged=0), "final loss", lower=True)
    assert said == "Lowest final loss: 0.2 (batch, lr 0.1; ends at step 0)"
    whole = highest(ends.assign(diverged=0), "final accuracy")
    assert whole == "Highest final accuracy: 0.6 (none, lr 0.1)"
    # Not known to have diverged, or to be the end: it is not ranked, and is named.
    best = "Highest final accuracy: 0.6 (none, lr 0.1); shorter curves, not ranked: "
    assert highest(ends, "final accuracy") == f"{best}batch, lr 0.1"
    shorter = [ends.iloc[1:].assign(setting=f"s{i}") for i in range(4)]
    two, four = (pd.concat([ends.iloc[:1], *shorter[:n]]) for n in (2, 4))
    assert highest(two, "final accuracy") == f"{best}s0 and s1; lr 0.1"
    assert highest(four, "final accuracy") == f"{best}4"


def test_each_of_a_tie_has_its_reservations():
    """In any order of the rows."""
    tie = pd.DataFrame({"setting": ["none", "batch"], "point": "lr 1", "median": 0.8})
    tie = tie.assign(n=4, diverged=[1, 0])
    lost = "none: 1 of 4 seeds diverged"
    for rows, names in ((tie, "none and batch"), (tie[::-1], "batch and none")):
        said = highest(rows, "x")
        assert said == f"Highest x: 0.8 (a tie of {names}; lr 1; {lost})"
    early = tie.assign(diverged=0, lost=1, seeds=4, step=[5, 10])
    assert highest(early, "x").endswith(
        "; none: 1 of 4 seeds diverged, ends at step 5; batch: 1 of 4 seeds diverged)"
    )
    many = pd.concat([tie] * 2 + [tie.assign(diverged=1)])
    assert highest(many, "x").endswith("(a tie of 6; 4 of them: 1 of 4 seeds diverged)")


def test_what_diverged_is_not_the_best():
    """By the seeds left at a curve's end, or by the number that diverged."""
    rows = ROWS.assign(n=[3, 3, 3, 3, 1])
    end = (rows["setting"] == "batch") & (rows["step"] == 10)

    def said(left):
        return highest(last_rows(rows.assign(n=rows["n"].mask(end, left)), "step"), "x")

    assert said(3) == "Highest x: 0.8 (batch, lr 0.1)"
    assert said(2) == "Highest x: 0.8 (batch, lr 0.1; 1 of 3 seeds diverged)"
    assert said(1) == "Highest x: 0.6 (none, lr 0.1)"
    finals = pd.DataFrame({"setting": ["a", "b"], "median": [0.9, 0.5], "n": 4})
    assert highest(finals.assign(diverged=[2, 0]), "x") == "Highest x: 0.5 (b)"
    assert highest(finals.assign(diverged=3), "x").endswith(
        "0.9 (a; 3 of 4 seeds diverged)"
    )


def test_few_settings_are_listed_and_of_many_the_extremes():
    assert medians(ROWS, "norm") == "norm: none 0.35, batch 0.5"
    many = {f"s{i}": float(i) for i in range(7)}
    assert listed("norm", many) == "norm: from 0 (s0) to 6 (s6)"
    tied = many | {"s1": 0.0, "s5": 6.001} | {f"t{i}": 6.0 for i in range(2)}
    assert listed("norm", tied) == "norm: from 0 (s0 and s1) to 6 (4 settings)"
    assert listed("norm", dict.fromkeys(many, 2.0)) == "norm: 2 for all"
    assert listed("norm", {"a": 2.0, "b": 2.00001}) == "norm: 2 for all"
    assert listed("norm", {"a": np.nan, "b": np.inf}) == ""
    lost = {"a": 1.0, "b": 1.0, "c": np.nan}
    assert listed("norm", lost) == "norm: 1 for the others; no finite value: c"
    one = {"a": 1.0, "b": np.inf}
    assert listed("norm", one) == "norm: a 1; no finite value: b"
    fewer = many | {"x": np.nan}
    assert listed("norm", fewer) == ("norm: from 0 (s0) to 6 (s6); no finite value: x")
    texts = [short(x) for x in (0.68649, 12.345, 10800, 4.6e-7, 6.2e14, 0)]
    assert texts == ["0.686", "12.3", "10800", "4.6e-07", "6.2e+14", "0"]


def test_a_median_over_less_is_marked():
    """One setting diverges at step 3; or has no curve at all at one of two rates."""
    steps = range(11)
    whole = [
        {"setting": s, "point": p, "step": t, "median": 1.0 + t}
        for s in ("none", "batch")
        for p in ("lr 0.1", "lr 1")
        for t in steps
    ]
    table = pd.DataFrame(whole).assign(source=RUN)
    assert medians(table, "norm") == "norm: 6 for all"
    high = (table["setting"] == "none") & (table["point"] == "lr 1")
    for cut in (high & (table["step"] > 3), high):
        assert medians(table[~cut], "norm").endswith("; shorter curves: none")
    nearly = table[~(high & (table["step"] == 10))]
    assert "shorter" not in medians(nearly, "norm")


def test_the_headline_stands_above_the_caption():
    figure = Figure(figsize=(3, 2), layout="constrained")
    figure.subplots()
    says = "A sentence that is longer than one line of this small figure"
    title(figure, ["digits", "3 seeds"], says)
    assert headline_of(figure) == says
    lines = figure.get_suptitle().split("\n")
    headline = figure.texts[-1]
    count = headline.get_text().count("\n") + 1
    assert count > 1 and lines == [*[""] * count, "digits; 3 seeds"]
    figure.draw_without_rendering()
    caption: object = figure.texts[0]
    top, whole = headline.get_window_extent(), caption.get_window_extent()  # type: ignore
    assert top.y1 <= figure.bbox.height
    assert top.y0 >= whole.y0 + 0.9 * whole.height / len(lines)


def test_many_settings_have_panels_of_their_own():
    labels = [f"{norm}, batch_size {n}" for n in (10, 50) for norm in "abc"]
    table = pd.DataFrame({"setting": [*labels, "none"], "point": "lr 0.1"})
    few = table[table["setting"].str.endswith("10")]
    assert apart(few) is few
    drawn = apart(table)
    assert list(dict.fromkeys(drawn["point"])) == [
        "batch_size 10\nlr 0.1",
        "batch_size 50\nlr 0.1",
    ]
    for _, rows in drawn.groupby("point"):
        assert set(rows["setting"]) == {"a", "b", "c", "none"}
    assert len(LINES) + 1 <= 6  # with the dashes of published curves


@pytest.mark.parametrize("values", [(0.2, 0.9), (0.98, 1.0), (1.0, 1.0)])
def test_an_axis_of_accuracies_ends_at_1(values):
    ax = Figure().subplots()
    ax.plot([0, 1], values)
    accuracy_axis(ax)
    low, high = ax.get_ylim()
    assert 0 <= low < min(values) and max(values) < high <= 1.03
    assert not [tick for tick in ax.get_yticks() if 1 < tick <= high]


def test_rare_values_are_not_usual():
    values = [*range(1, 99), 1e15, np.nan, np.inf, -1]
    assert usual(values).max() < 99 and len(usual(values)) > 90
    assert len(usual([np.nan, -1])) == 0


def _lab(color: str) -> np.ndarray:
    """CIE L*a*b* of an sRGB colour under D65."""
    rgb = np.array(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722]]
    to_xyz += [[0.0193, 0.1192, 0.9505]]
    xyz = np.array(to_xyz) @ linear / [0.9505, 1, 1.089]
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_no_other_colour_resembles_a_norms():
    def nearest(color: str) -> float:
        return min(float(np.linalg.norm(_lab(color) - _lab(x))) for x in PALETTE[:15])

    assert nearest("#21a585") < 10  # of viridis, beside the green of group norm
    browns = {color for count in range(1, 8) for color in others(count)}
    assert min(map(nearest, browns)) > 20
    lightness = [_lab(color)[0] for color in others(7)]
    assert np.diff(lightness).min() > 3


def _frame(steps: int, every: int = 1) -> pd.DataFrame:
    """Steps of one member; with ``every``, the rows of a thin copy."""
    step = np.arange(0, steps + 1, every)
    loss = np.where(step // 5 % 2, 1.0, 3.0)  # a sawtooth within epochs of 10 steps
    fixed = {"cell": "a", "member": 0, "setting": "none", "point": "lr 0.1"}
    fixed |= {"steps": steps, "train_size": 100, "batch_size": 10}
    return pd.DataFrame({"step": step, "batch_loss": loss}).assign(**fixed)


def test_bins_of_epochs_have_no_sawtooth():
    by_half = binned(_frame(100), "batch_loss", bins=20)
    assert set(by_half["batch_loss"]) == {1.0, 3.0}
    by_epoch = binned(_frame(100), "batch_loss", bins=20, of_epochs=True)
    assert set(by_epoch["batch_loss"]) == {2.0} and len(by_epoch) == 10
    short_run = binned(_frame(50), "batch_loss", bins=10, of_epochs=True)
    assert set(short_run["batch_loss"]) == {1.0, 3.0}


def test_steps_on_a_logarithmic_axis():
    whole = _sparse(_frame(1000))
    steps = whole["step"].to_numpy()
    assert steps[0] == 1 and steps[-1] == 999 and 80 < len(steps) < 200
    # A thin copy has few rows, whose middles are between the steps of a whole run.
    thin = _sparse(_frame(1000, every=50))
    assert len(thin) > 10 and thin["step"].max() == 975.5


def test_the_gradient_norm_is_told_where_it_differs_most():
    rows = [
        (point, setting, value)
        for point, values in (("lr 0.1", (2.0, 1.0)), ("lr 1", (0.1, 9.0)))
        for setting, value in zip(("none", "batch"), values, strict=True)
    ]
    table = pd.DataFrame(rows, columns=["point", "setting", "median"])
    table["trains"] = True
    says = gradient_norm._says(table.assign(source=RUN, epoch=1.0))
    assert says == (
        "Median gradient norm over training at lr 1, where it differs most: none 0.1, "
        "batch 9"
    )
    one = gradient_norm._says(table.head(2).assign(source=RUN, epoch=1.0))
    assert one == "Median gradient norm over training: none 2, batch 1"
    # At chance, gradients are small: no result.
    table["trains"] = [True, True, False, True]
    says = gradient_norm._says(table.assign(source=RUN, epoch=1.0))
    assert says.endswith("at lr 0.1: none 2, batch 1")
    table["trains"] = [True, False, False, True]  # nowhere two
    assert gradient_norm._says(table.assign(source=RUN, epoch=1.0)) == ""
    table["trains"] = [True, True, False, True]
    one = gradient_norm._says(table.tail(2).assign(source=RUN, epoch=1.0))
    assert one == "Median gradient norm over training: batch 9"
