"""The figures of the norm layers' identities, on runs written by hand."""

import io
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from normlab.figures import identity_slack, norm_consequences
from normlab.store import load_quantity
from normlab.store.quantities import ProbeRecorder, to_table
from tests.figures.seen import lines_of, words
from tests.store.handmade import make_cell, write_run

STEPS = (0, 10, 20)
LAYERS = ("norm1", "norm2", "norm10")
NORMS = ("batch", "layer")
RATES = (1e-3, 1e-2, 1e-1)


def values(norm: str, member, step: int, layer: int) -> dict[str, float]:
    """Made up: of the size of float32's rounding, and a printed form that fails."""
    per_norm = 1 + 9 * NORMS.index(norm)
    return {
        "relative_error": 1e-7 * per_norm * (1 + member.seed) * (1 + layer),
        "printed_ratio": 0.9 - 30 * layer * member.lr * (1 + member.seed),
        "removed": 0.01 * per_norm * (1 + layer) * (1 + member.seed),
        "removed_if_random": 2 / (64 * per_norm),
        "gain_median": 2.0 + step + member.seed,
        "gain_max": (2.0 + step + member.seed) * 10 * per_norm,
    }


def written(folder, change=lambda row: row, seeds=3) -> pd.DataFrame:
    """``identities`` of two norms, through the store."""
    cells = [make_cell(norm=norm, lrs=RATES, seeds=seeds) for norm in NORMS]
    paths = write_run(folder, cells)
    for cell in cells:
        recorder = ProbeRecorder(paths.cell(cell.id))
        for step in STEPS:
            rows = [
                [
                    change(values(cell.config.norm, member, step, k))
                    for k in range(len(LAYERS))
                ]
                for member in cell.members
            ]
            fields = {
                name: np.array([[row[name] for row in of] for of in rows])
                for name in rows[0][0]
            }
            labels = {"norm_layer": LAYERS}
            table = to_table(step, fields, ("norm_layer",), labels)
            recorder.add("identities", table)
        recorder.flush(STEPS[-1])
    return load_quantity(folder, "identities")


@pytest.fixture(scope="module")
def frame(tmp_path_factory) -> pd.DataFrame:
    return written(tmp_path_factory.mktemp("run"))


def saved(figure: Figure) -> Figure:
    """Drawn to the end: warnings are errors."""
    figure.savefig(io.BytesIO(), format="png", dpi=50)
    for ax in figure.axes:
        assert np.isfinite([*ax.get_xlim(), *ax.get_ylim()]).all()
    return figure


def only(table: pd.DataFrame, measure: str, layer: str, norm: str, step: int) -> Any:
    """Its one row there: low, median and high."""
    rows = table[
        (table["measure"] == measure)
        & (table["norm_layer"] == layer)
        & (table["setting"] == norm)
        & (table["step"] == step)
    ]
    (row,) = rows[["low", "median", "high"]].to_numpy()
    return row


def test_the_slack_by_layer_and_norm(frame):
    table = identity_slack.tabulate(frame)
    assert set(table["point"]) == {"lr 0.01"}  # the middle one
    assert len(table) == 2 * len(LAYERS) * len(NORMS) * len(STEPS)
    row = only(table, "printed_shortfall", "norm10", "layer", 20)
    np.testing.assert_allclose(row, [0.1 + 0.6, 0.1 + 1.2, 0.1 + 1.8], rtol=1e-6)
    row = only(table, "relative_error", "norm2", "batch", 0)
    np.testing.assert_allclose(row, [2e-7, 4e-7, 6e-7])
    assert set(table["n"]) == {3}


def test_the_slack_is_told():
    def said(n: int = 3, **worst: float) -> str:
        rows = [
            {"measure": name, "median": value / k, "setting": "batch", "n": n}
            for name, value in worst.items()
            for k in (1, 2)
        ]
        return identity_slack._says(pd.DataFrame(rows))

    begin = "In the median over seeds, the corrected identity holds to 4.5e-07"
    fails = said(relative_error=4.5e-7, printed_shortfall=0.4)
    assert fails == f"{begin}; the printed inequality fails by up to 40%"
    for holds in (-0.2, 1e-8):
        text = said(relative_error=4.5e-7, printed_shortfall=holds)
        assert text == f"{begin}; the printed inequality does not fail"
    for lost in (np.nan, np.inf):
        assert said(relative_error=4.5e-7, printed_shortfall=lost) == begin
    assert said(relative_error=np.nan) == ""
    one = said(n=1, relative_error=4.5e-7)
    assert one == "The corrected identity holds to 4.5e-07"


def test_the_slack_is_drawn(frame):
    table = identity_slack.tabulate(frame)
    figure = saved(identity_slack.draw(table))
    axes = np.array(figure.axes).reshape(len(LAYERS), 2)
    title = axes[0, 0].get_title()
    assert "worst block" in title and "|right - left| / left" in title
    # The quantity judges by it the blocks that keep hardly any gradient.
    assert "/ size where left is rounding" in title
    assert "left: |∂L/∂y|², size: |q|²/s²" in words(figure)
    assert "(left - right) / left" in axes[0, 1].get_title()
    assert "1/√m" in axes[0, 1].get_title()
    for pair, layer in zip(axes, LAYERS, strict=True):
        assert layer in pair[0].get_ylabel()
        for ax, measure in zip(
            pair, ("relative_error", "printed_shortfall"), strict=True
        ):
            mine = table[(table["measure"] == measure) & (table["norm_layer"] == layer)]
            drawn = lines_of(ax)
            for setting in NORMS:
                rows = mine[mine["setting"] == setting]
                pairs = list(zip(rows["step"], rows["median"], strict=True))
                assert drawn[setting] == pairs
        assert all(ax.get_yscale() == "log" for ax in pair)
        marked = [np.asarray(line.get_ydata())[0] for line in pair[1].get_lines()]
        assert 1.0 in marked  # beyond which the printed right side is negative
    # One axis: float32's rounding and what is negative are both on it.
    low, high = axes[0, 0].get_ylim()
    assert low < 1.19e-7 and high > table["median"].max()
    assert axes[-1, 1].get_ylim() == (low, high)
    assert all(ax.get_xlabel() == "step" for ax in axes[-1])
    text = words(figure)
    assert {*NORMS, "rounding unit of float32"} <= set(text.splitlines())
    assert "range of 3 seeds (75%" in text and "lr 0.01" in text and "digits" in text


@pytest.mark.parametrize(
    "change",
    [
        lambda row: row | {"relative_error": 0.0},
        lambda row: row | {"printed_ratio": math.nan},
        lambda row: row | {"relative_error": math.nan, "printed_ratio": -1e6},
    ],
)
def test_what_is_exact_or_has_diverged_is_drawn(change, tmp_path):
    saved(identity_slack.draw(identity_slack.tabulate(written(tmp_path, change))))


def test_the_consequences_by_layer_and_norm(frame):
    table = norm_consequences.tabulate(frame)
    for norm, factor in (("batch", 1), ("layer", 10)):
        row = only(table, "removed", "norm2", norm, 10)
        np.testing.assert_allclose(row, np.array([0.02, 0.04, 0.06]) * factor)
        row = only(table, "gain_spread", "norm1", norm, 10)
        np.testing.assert_allclose(row, 10 * factor)
        row = only(table, "gain_median", "norm1", norm, 10)
        np.testing.assert_allclose(row, [12, 13, 14])


def test_the_consequences_are_drawn(frame):
    table = norm_consequences.tabulate(frame)
    figure = saved(norm_consequences.draw(table))
    axes = np.array(figure.axes).reshape(3, len(LAYERS))
    assert [ax.get_title() for ax in axes[0]] == list(LAYERS)
    for row, measure in zip(
        axes, ("removed", "gain_median", "gain_spread"), strict=True
    ):
        assert row[0].get_ylabel()
        for ax, layer in zip(row, LAYERS, strict=True):
            mine = table[(table["measure"] == measure) & (table["norm_layer"] == layer)]
            drawn = lines_of(ax)
            for setting in NORMS:
                rows = mine[mine["setting"] == setting]
                pairs = list(zip(rows["step"], rows["median"], strict=True))
                assert drawn[setting] == pairs
            assert ax.get_yscale() == "log"
    # Dotted, one a norm, at 2/m; within the axis.
    levels = [
        float(np.asarray(line.get_ydata())[0])
        for line in axes[0, 1].get_lines()
        if line.get_linestyle() == ":"
    ]
    np.testing.assert_allclose(sorted(levels), [2 / 640, 2 / 64], rtol=1e-6)
    low, high = axes[0, 0].get_ylim()
    assert (
        low < 2 / 640
        and high > table["median"].where(table["measure"] == "removed").max()
    )
    text = words(figure)
    assert {*NORMS, "if directions were equally likely: 2/m"} <= set(text.splitlines())
    assert "range of 3 seeds (75%" in text and "lr 0.01" in text


def test_one_seed_has_no_interval(tmp_path):
    frame = written(tmp_path, seeds=1)
    for module in (identity_slack, norm_consequences):
        assert "one seed" in words(saved(module.draw(module.tabulate(frame))))
