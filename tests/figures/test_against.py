"""Final values against the batch size and the number of groups."""

import math

import numpy as np
import pandas as pd
import pytest

from normlab.figures import FIGURES, NotDrawn
from normlab.store import load
from tests.figures.seen import drawn, error_bars, lines_of, norms, words
from tests.store.handmade import make_cell, write_run

SIZES = (2, 8, 32)


def score(member, step: int) -> float:
    """Better at the greater rate; its spread over seeds is known."""
    return 0.5 + 10 * member.lr + 0.01 * member.seed


def run_of(cells, folder, **how) -> pd.DataFrame:
    write_run(folder, cells, **how)
    return load(folder)


@pytest.fixture
def sizes(tmp_path) -> pd.DataFrame:
    cells = [cell for size in SIZES for cell in norms(batch_size=size)]
    return run_of(cells, tmp_path, score=score)


def test_each_norm_at_its_best_rate(sizes):
    table, figure = drawn("batch_size", sizes)
    assert set(table["point"]) == {"lr 0.01"}  # the better of the two
    assert set(table["setting"]) == {"batch", "group (G=4)"}
    assert set(table["n"]) == {3}
    np.testing.assert_allclose(table["median"], 0.61)
    np.testing.assert_allclose(table["low"], 0.60)
    np.testing.assert_allclose(table["high"], 0.62)
    for ax, split in zip(figure.axes, ("training", "test"), strict=True):
        assert ax.get_ylabel() == f"final {split} accuracy"
        assert [tick.get_text() for tick in ax.get_xticklabels()] == ["2", "8", "32"]
        x, y = zip(*lines_of(ax)["group (G=4)"], strict=True)
        assert x == (0, 1, 2)
        np.testing.assert_allclose(y, 0.61)
    assert "lr 0.01" in figure.get_suptitle()
    assert "3 seeds" in figure.get_suptitle()


def test_the_best_rate_is_chosen_at_every_batch_size(tmp_path):
    frames = []
    for size, slope in ((2, -10), (32, 10)):
        folder = tmp_path / str(size)
        folder.mkdir()
        frames.append(
            run_of(
                [make_cell(batch_size=size)],
                folder,
                score=lambda member, step, slope=slope: 0.5 + slope * member.lr,
            )
        )
    table, figure = drawn("batch_size", pd.concat(frames, ignore_index=True))
    chosen = dict(zip(table["batch_size"], table["point"], strict=True))
    assert chosen == {2: "lr 0.001", 32: "lr 0.01"}
    assert "each at its best learning rate" in figure.get_suptitle()


def test_every_evaluation_of_batch_norm_has_a_line(sizes):
    is_batch = sizes["norm"] == "batch"
    frame = sizes.assign(eval_statistics=np.where(is_batch, "running,batch", ""))
    for name, shift in (("train_accuracy", 0.1), ("test_accuracy", 0.2)):
        frame[f"{name}_batch"] = (frame[name] + shift).where(is_batch)
    table, figure = drawn("batch_size", frame)
    by = "batch, by {} statistics".format
    assert set(table["setting"]) == {by("running"), by("batch"), "group (G=4)"}
    medians = table.groupby(["setting", "metric"])["median"].first()
    for name, value in (("train_accuracy", 0.71), ("test_accuracy", 0.81)):
        assert medians[by("batch"), name] == pytest.approx(value)
        assert medians[by("running"), name] == pytest.approx(0.61)
    assert by("batch") in words(figure)


def test_groups_stand_between_the_other_norms(tmp_path):
    cells = [make_cell(norm="group", groups=g) for g in (16, 1, 4)]
    cells += [make_cell(norm=norm) for norm in ("instance", "none")]
    table, figure = drawn("groups", run_of(cells, tmp_path, score=score))
    ticks = [tick.get_text() for tick in figure.axes[1].get_xticklabels()]
    assert ticks == ["none", "1", "4", "16", "instance"]
    assert set(table["setting"]) == {"lr 0.001", "lr 0.01"}
    # A line leads through the numbers alone.
    assert [x for x, _ in lines_of(figure.axes[1])["lr 0.01"]] == [1, 2, 3]
    alone = [b for b in error_bars(figure.axes[1]) if b.get_label() == "_alone"]
    assert len(alone) == 2
    for bars in alone:
        assert bars.lines[0].get_linestyle() == "None"
        assert np.asarray(bars.lines[0].get_xdata()).tolist() == [0, 4]


def test_what_else_varies_is_told(tmp_path):
    cells = [
        make_cell(norm="group", groups=g, epsilon=epsilon)
        for g in (1, 4)
        for epsilon in (1e-5, 1e-3)
    ]
    table, _ = drawn("groups", run_of(cells, tmp_path))
    assert "lr 0.01, epsilon 0.001" in set(table["setting"])
    assert table["setting"].nunique() == 4


def test_a_regression_has_losses_by_each_kind_of_statistics(tmp_path):
    cells = [make_cell(norm="batch", batch_size=size) for size in (2, 8)]
    frame = run_of(cells, tmp_path).assign(eval_statistics="running,batch")
    frame = frame.assign(train_accuracy=np.nan, test_accuracy=np.nan)
    for name in ("train_loss", "test_loss"):
        frame[f"{name}_batch"] = frame[name] + 2.0
    table, _ = drawn("batch_size", frame)
    medians = table[table["metric"] == "test_loss"].groupby("setting")["median"].max()
    by = "batch, by {} statistics".format
    assert medians[by("batch")] == pytest.approx(medians[by("running")] + 2)


def test_a_regression_has_losses(tmp_path):
    cells = [make_cell(batch_size=size) for size in (2, 8)]
    frame = run_of(cells, tmp_path, score=lambda member, step: math.nan)
    table, figure = drawn("batch_size", frame)
    assert figure.axes[1].get_ylabel() == "final test loss (squared error)"
    assert set(table["point"]) == {"lr 0.001"}  # its made-up loss is less


@pytest.mark.parametrize("name", ["batch_size", "groups"])
def test_a_run_of_other_norms_is_not_drawn(name, tmp_path):
    cell = make_cell(norm="group_correlated", groups=4)
    frame = run_of([cell], tmp_path)
    with pytest.raises(NotDrawn, match="has not finished two of them"):
        FIGURES[name].tabulate(frame)


@pytest.mark.parametrize("name", ["batch_size", "groups"])
@pytest.mark.parametrize("until", [None, 0, 13])
def test_one_of_them_is_not_drawn(name, until, tmp_path):
    cells = [
        make_cell(norm="group", groups=g, batch_size=size)
        for g, size in ((4, 2), (8, 4))
    ]
    if until is None:
        cells = cells[:1]
    # Of two, only one has finished.
    ends = {} if until is None else {cells[1].id: until}
    frame = run_of(cells, tmp_path, until=ends)
    with pytest.raises(NotDrawn, match="has not finished two of them"):
        FIGURES[name].tabulate(frame)
