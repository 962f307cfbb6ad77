"""The student report's plots, redrawn: which panels, whose numbers, what is beside."""

import io
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from normlab.cell import Cell
from normlab.figures import FIGURES, NotDrawn, Sources, plotted, report_panels
from normlab.figures.reference import report
from normlab.figures.tables import REPORT, RUN
from normlab.store import load
from normlab.store.thin import thin
from tests.figures.seen import lines_of, words
from tests.store.handmade import make_cell, write_run

METRICS = ("train_accuracy", "test_accuracy", "batch_loss")


IMAGES = report_panels.IMAGES


def test_the_report_trained_on_all_images():
    assert IMAGES == 50000


@pytest.fixture(autouse=True)
def all_images(monkeypatch):
    """A made run's images are all that there are."""
    monkeypatch.setattr(report_panels, "IMAGES", 100)


def cell(norm: str, **changes) -> Cell:
    how = {"dataset": "cifar10", "batch_size": 50, "lrs": (1e-3,), **changes}
    return make_cell(norm=norm, **how)


def frame_of(folder: Path, *cells: Cell, **how) -> pd.DataFrame:
    return load(write_run(folder, cells, **how).root)


@pytest.fixture(scope="module")
def frame(tmp_path_factory) -> pd.DataFrame:
    """E1 to E4, and of group norm G=1, G=4 and one that is not in the report."""
    cells = [
        cell(norm, batch_size=size, lrs=(1e-4, 1e-3, 1e-2))
        for norm in ("none", "batch")
        for size in (10, 50, 100)
    ]
    cells += [cell("group", groups=groups) for groups in (1, 2, 4)]
    return frame_of(tmp_path_factory.mktemp("run"), *cells)


def test_the_digitised_curves():
    for name, experiment in report.EXPERIMENTS.items():
        table = report.curves(name)
        assert not table["value"].isna().any()
        assert set(table["label"]) == {"none", experiment.label}
        # Epochs 17 and 18 lie behind the legends.
        assert set(table["epoch"]) == {k + 0.5 for k in range(20) if k not in (16, 17)}
        scores = table.loc[table["metric"] != "batch_loss", "value"]
        assert scores.between(0.1, 1).all()
        for _, curve in table.groupby(["metric", "label"]):
            assert 13 <= len(curve) <= 18
            late = curve.loc[curve["epoch"] > 10, "value"]
            assert late.diff().abs().max() < 0.1  # nothing jumps like a legend
    # Last epoch of E1 as the report's analysis has it, without and with batch norm.
    last = report.curves("E1").query("epoch == 19.5").set_index(["metric", "label"])
    found = last["value"].round(2).to_dict()
    assert found[("train_accuracy", "none")] == 0.98
    assert found[("train_accuracy", "batch")] == 1.0
    assert found[("test_accuracy", "none")] == pytest.approx(0.685, abs=0.006)
    assert found[("test_accuracy", "batch")] == pytest.approx(0.725, abs=0.006)


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        (
            "report_bn",
            [
                "E1: batch 50, lr 0.001",
                "E2: batch 50, lr 0.0001",
                "E3: batch 10, lr 0.001",
                "E4: batch 100, lr 0.001",
            ],
        ),
        ("report_gn", ["E5: group (G=1)", "E6: group (G=4)"]),
    ],
)
def test_a_column_an_experiment_that_the_run_has(name, columns, frame):
    table = FIGURES[name].tabulate(frame)
    assert list(dict.fromkeys(table["experiment"])) == columns
    figure = FIGURES[name].draw(table)
    assert [ax.get_title() for ax in figure.axes[: len(columns)]] == columns
    assert len(figure.axes) == 3 * len(columns)
    assert "(nats)" in figure.axes[-len(columns)].get_ylabel()
    text = words(figure)
    assert REPORT in text and "range of 3 seeds" in text and "none" in text
    figure.savefig(io.BytesIO(), format="png", dpi=40)
    for column in columns:
        for metric in METRICS:
            rows = table[(table["experiment"] == column) & (table["metric"] == metric)]
            settings = set(rows["setting"])
            assert len(settings) == 2 and "none" in settings
            for setting in settings:
                mine = rows[rows["setting"] == setting]
                assert set(mine["source"]) == {RUN, REPORT}


def test_lines_are_the_table(frame):
    table = FIGURES["report_bn"].tabulate(frame)
    figure = FIGURES["report_bn"].draw(table)
    first = table[table["experiment"].str.startswith("E1")]
    for ax, metric in zip(figure.axes[::4], METRICS, strict=True):
        for setting in ("none", "batch"):
            mine = first[(first["metric"] == metric) & (first["setting"] == setting)]
            own = mine[mine["source"] == RUN]
            pairs = list(zip(own["epoch"], own["median"], strict=True))
            assert lines_of(ax)[setting] == pairs and len(pairs) > 1


def test_accuracies_are_the_runs_and_losses_are_means_of_epochs(frame):
    table = FIGURES["report_bn"].tabulate(frame)
    # 20 steps of 10 of 100 images: two epochs; evaluated at steps 0, 10 and 20.
    mine = table[
        table["experiment"].str.startswith("E3")
        & (table["setting"] == "batch")
        & (table["source"] == RUN)
    ]
    own = frame[
        (frame["batch_size"] == 10) & (frame["lr"] == 1e-3) & (frame["norm"] == "batch")
    ]
    scores = mine[mine["metric"] == "test_accuracy"]
    assert list(scores["epoch"]) == [1, 2]  # not before the first step
    wanted = own[own["step"].isin([10, 20])].groupby("step")["test_accuracy"]
    np.testing.assert_allclose(scores["median"], wanted.median())
    losses = mine[mine["metric"] == "batch_loss"]
    assert list(losses["epoch"]) == pytest.approx([0.45, 1.45])
    assert set(losses["steps_averaged"]) == {10} and set(losses["n"]) == {3}
    first = own[own["step"] < 10].groupby("seed")["batch_loss"].mean()
    assert losses["median"].iloc[0] == pytest.approx(first.median())


def test_a_thinned_run_has_the_losses_of_the_whole(tmp_path, monkeypatch):
    """Its rows stand for half an epoch each, but for the first, which is one step."""
    monkeypatch.setattr(report_panels, "IMAGES", 1000)
    own = cell("batch", batch_size=50, train_size=1000, steps=60, eval_every=10)

    def falling(member, step: int) -> float:
        return 5.0 if step == 0 else 2.0 - step / 60 + 0.1 * member.seed

    whole = write_run(tmp_path / "whole", [own], loss=falling)
    few = thin(whole.root, tmp_path / "few")
    found = []
    for run in (whole, few):
        table = FIGURES["report_bn"].tabulate(load(run.root))
        loss = table["metric"].eq("batch_loss") & table["source"].eq(RUN)
        found.append(table[loss].reset_index(drop=True))
    one, other = found
    assert len(one) == len(other) == 3  # epochs of 20 steps
    # The row at the end of an epoch has the first step of the next, too.
    np.testing.assert_allclose(other["epoch"], one["epoch"], atol=0.051)
    np.testing.assert_allclose(other["median"], one["median"], atol=0.02)
    assert one["median"].iloc[0] == pytest.approx(2.1 - 9.5 / 60 + 2.9 / 20)


def test_a_first_step_alone_is_no_average_of_epochs(tmp_path, monkeypatch):
    """Evaluated every second epoch, a thinned run has a row for two epochs each."""
    monkeypatch.setattr(report_panels, "IMAGES", 1000)
    own = cell("batch", batch_size=50, train_size=1000, steps=80, eval_every=40)

    def falling(member, step: int) -> float:
        return 5.0 if step == 0 else 2.0 - step / 80

    whole = write_run(tmp_path / "whole", [own], loss=falling)
    table = FIGURES["report_bn"].tabulate(load(thin(whole.root, tmp_path / "few").root))
    mine = table[table["metric"].eq("batch_loss") & table["source"].eq(RUN)]
    assert list(mine["epoch"]) == pytest.approx([1, 3], abs=0.051)
    # Of 41 steps: the first is that of the next two epochs, too.
    assert mine["median"].iloc[0] == pytest.approx((5.0 + 40 * 1.75) / 41, abs=0.02)


def test_what_the_report_does_not_vary_is_told_apart(tmp_path):
    cells = [cell("none"), cell("batch"), cell("batch", init="report")]
    table = FIGURES["report_bn"].tabulate(frame_of(tmp_path, *cells))
    names = {"none, init standard", "batch, init standard", "batch, init report"}
    own = table[table["source"] == RUN]
    assert set(own["setting"]) == names
    beside = table[table["source"] == REPORT]
    assert set(beside["setting"]) == {"none, init standard", "batch, init standard"}


def test_one_that_diverges_does_not_hide_the_others(tmp_path):
    def loss(member, step: int) -> float:
        return math.nan if member.seed == 0 and step > 5 else 10.0 ** (step / 2)

    frame = frame_of(tmp_path, cell("none"), cell("batch"), loss=loss)
    table = FIGURES["report_bn"].tabulate(frame)
    low, high = FIGURES["report_bn"].draw(table).axes[-1].get_ylim()
    assert low == 0 and high < 20
    losses = table[(table["metric"] == "batch_loss") & (table["source"] == RUN)]
    mine = losses[losses["setting"] == "none"]
    assert list(mine["n"]) == [3] * 3 + [2] * 7  # epochs of two steps


def test_a_run_of_one_norm_has_its_columns_alone(tmp_path):
    frame = frame_of(tmp_path, cell("batch"))
    table = FIGURES["report_bn"].tabulate(frame)
    assert set(table["setting"]) == {"batch"}
    assert plotted("report_bn", Sources(tmp_path)) is not None
    with pytest.raises(NotDrawn, match="--norm=none,group"):
        FIGURES["report_gn"].tabulate(frame)


@pytest.mark.parametrize(
    "changes",
    [
        {"dataset": "digits"},
        {"model": "vgg11"},
        {"optimizer": "sgd"},
        {"lrs": (2e-3,)},
        {"batch_size": 20},
        {"train_size": 99},  # fewer images make another epoch
    ],
)
def test_other_settings_are_not_the_reports(changes, tmp_path):
    frame = frame_of(tmp_path, cell("none", **changes), cell("batch", **changes))
    with pytest.raises(NotDrawn, match="the report's experiments"):
        FIGURES["report_bn"].tabulate(frame)
