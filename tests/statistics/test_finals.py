"""Final values over seeds, best points and names of settings."""

import dataclasses
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from normlab.cell import HYPERPARAMETERS
from normlab.statistics.finals import (
    best,
    dynamic_columns,
    evaluated_by,
    final_rows,
    main_metric,
    settings_label,
    static_columns,
    summarize,
    text_table,
)
from normlab.store import load
from tests.store.handmade import accuracy, make_cell, write_run

NAN, INF = math.nan, math.inf


# The defect this guards against: a best value kept up to date before the comparison
# that should record its step, so that the best step is 0 for ever.
@pytest.mark.parametrize(
    ("values", "higher", "wanted"),
    [
        ([0.1, 0.5, 0.9, 0.4], True, (20, 0.9)),
        ([0.1, 0.5, 0.9, 0.05], False, (30, 0.05)),
        ([0.9, 0.5, 0.9, 0.9], True, (0, 0.9)),
        ([0.5, 0.2, 0.2, 0.3], False, (10, 0.2)),
        ([NAN, 0.5, NAN, 0.6], True, (30, 0.6)),
        ([NAN, 0.5, NAN, 0.6], False, (10, 0.5)),
        ([-3.0, -1.0, -2.0, -5.0], True, (10, -1.0)),
    ],
)
def test_the_best_of_every_setting(values, higher, wanted):
    table = pd.DataFrame({"lr": [0, 10, 20, 30], "median": values, "setting": "a"})
    table = pd.concat([table, table.assign(setting="b", median=[3.0, 1.0, 2.0, 4.0])])
    found = best(table, higher)
    assert list(found["setting"]) == ["a", "b"]
    assert tuple(found.loc[0, ["lr", "median"]]) == wanted
    assert found.loc[1, "median"] == (4.0 if higher else 1.0)


def test_the_best_by_several_keys_in_the_order_of_the_table():
    settings, sizes = ["b", "b", "a", "b"], [50, 10, 10, 10]
    table = pd.DataFrame({"setting": settings, "batch_size": sizes})
    found = best(
        table.assign(median=[1.0, 2.0, 3.0, 4.0]), keys=["setting", "batch_size"]
    )
    assert list(zip(found["setting"], found["batch_size"], strict=True)) == [
        ("b", 50),
        ("b", 10),
        ("a", 10),
    ]
    assert list(found["median"]) == [1.0, 4.0, 3.0]


def test_evaluations_by_one_kind_of_statistics():
    frame = pd.DataFrame(
        {
            "norm": ["batch", "batch", "group", "batch_lp"],
            "eval_statistics": ["running,batch", "batch", "running", "running"],
            "test_loss": [1.0, 2.0, 3.0, 4.0],
            "test_loss_batch": [5.0, NAN, NAN, NAN],
            "test_accuracy": [0.1, 0.2, 0.3, 0.4],
        }
    )
    by = {kind: evaluated_by(frame, kind) for kind in ("running", "batch", "precise")}
    losses = {
        kind: found["test_loss"].fillna(-1).tolist() for kind, found in by.items()
    }
    assert losses == {
        "running": [1.0, -1.0, 3.0, 4.0],
        "batch": [5.0, 2.0, 3.0, -1.0],
        "precise": [-1.0, -1.0, 3.0, -1.0],
    }
    assert by["batch"]["test_accuracy"].fillna(-1).tolist() == [-1.0, 0.2, 0.3, -1.0]
    assert frame["test_loss"].tolist() == [1.0, 2.0, 3.0, 4.0]


def test_a_plugin_may_have_running_averages():
    """So what is not known to be the same under other statistics is not told."""
    frame = pd.DataFrame(
        {
            "norm": ["my:Batch", "my:RMS", "none"],
            "eval_statistics": ["running,batch", "running", "running"],
            "test_loss": [1.0, 2.0, 3.0],
            "test_loss_batch": [5.0, NAN, NAN],
        }
    )
    assert evaluated_by(frame, "batch")["test_loss"].tolist() == [5.0, 2.0, 3.0]
    alone = evaluated_by(frame[1:], "batch")["test_loss"]
    assert alone.fillna(-1).tolist() == [-1.0, 3.0]
    assert evaluated_by(frame, "running")["test_loss"].tolist() == [1.0, 2.0, 3.0]


BATCH = make_cell(seeds=5)
GROUP = make_cell(seeds=5, norm="group", groups=4)


@pytest.fixture
def frame(tmp_path) -> pd.DataFrame:
    write_run(tmp_path, [BATCH, GROUP], score=scored)
    return load(tmp_path)


def scored(member, step: int) -> float:
    """Final accuracies: seeds 0..4 give 0.70 .. 0.74, more at the lower rate."""
    return accuracy(member, step) + 0.009 * member.seed - 10 * (member.lr - 1e-3)


def test_summarize(frame):
    table = summarize(frame)
    assert list(table.columns) == [
        "setting",
        "lr",
        "median",
        "low",
        "high",
        "n",
        "coverage",
        "diverged",
    ]
    assert list(table["setting"]) == ["batch"] * 2 + ["group (G=4)"] * 2
    assert list(table["lr"]) == [1e-3, 1e-2] * 2
    assert list(table["n"]) == [5] * 4
    np.testing.assert_allclose(table["median"], [0.72, 0.63] * 2, rtol=1e-6)
    np.testing.assert_allclose(table["low"], [0.70, 0.61] * 2, rtol=1e-6)
    np.testing.assert_allclose(table["high"], [0.74, 0.65] * 2, rtol=1e-6)
    assert list(table["diverged"]) == [0] * 4


def test_summarize_another_metric(frame):
    table = summarize(frame, "test_loss")
    last = frame[(frame["step"] == 20) & (frame["label"] == "batch")]
    wanted = last.groupby("lr")["test_loss"].median()
    np.testing.assert_allclose(table["median"][:2], wanted)


def test_only_the_last_step_of_finished_members_counts(tmp_path):
    write_run(tmp_path, [BATCH, GROUP], until={BATCH.id: 15})
    frame = load(tmp_path)
    assert set(final_rows(frame)["cell"]) == {GROUP.id}
    assert (final_rows(frame)["step"] == 20).all()
    assert set(summarize(frame)["setting"]) == {"group (G=4)"}


def test_nothing_is_finished(tmp_path):
    write_run(tmp_path, [BATCH], until={BATCH.id: 15})
    table = summarize(load(tmp_path))
    assert len(table) == 0
    assert {"setting", "lr", "median", "n", "diverged"} <= set(table.columns)
    assert len(best(table)) == 0
    assert "final test_accuracy" in text_table(table)


def test_seeds_that_diverged_are_counted(tmp_path):
    def loss(member, step: int) -> float:
        return NAN if member.lr == 1e-2 and member.seed < 2 and step > 3 else 1.0

    def score(member, step: int) -> float:
        return 0.1 if member.lr == 1e-2 and member.seed < 2 else 0.5

    write_run(tmp_path, [BATCH], loss=loss, score=score)
    table = summarize(load(tmp_path))
    assert list(table["diverged"]) == [0, 2]
    assert list(table["n"]) == [5, 5]  # as worse than any other
    found = table.loc[1, ["median", "low", "high"]].astype(float)
    np.testing.assert_allclose(found, [0.5, NAN, 0.5])
    assert "0.500 [diverged, 0.500] (2 diverged)" in text_table(table)


@pytest.mark.faults
@pytest.mark.parametrize("lost", range(6))
def test_seeds_that_diverged_spare_no_setting(lost, tmp_path):
    """Their accuracy is no number, and no median is of those that are left alone."""

    def loss(member, step: int) -> float:
        return NAN if member.seed < lost and step > 3 else 1.0

    def score(member, step: int) -> float:
        # An argmax of NaNs is class 0; a half is right of those that are left.
        return 0.9 if member.seed < lost else 0.5 + 0.01 * member.seed

    write_run(tmp_path, [BATCH], loss=loss, score=score)
    (row,) = summarize(load(tmp_path).query("lr == 1e-2")).itertuples()
    values = [-INF if seed < lost else 0.5 + 0.01 * seed for seed in range(5)]
    wanted = [x if x > -INF else NAN for x in (values[2], values[0], values[4])]
    assert (row.n, row.diverged) == (5, lost)
    found: Any = (row.median, row.low, row.high)
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_a_run_without_accuracies_is_judged_by_its_loss(tmp_path):
    write_run(tmp_path / "nats", [BATCH])
    assert main_metric(load(tmp_path / "nats")) == "test_accuracy"
    write_run(tmp_path / "squares", [BATCH], score=lambda member, step: NAN)
    frame = load(tmp_path / "squares")
    assert main_metric(frame) == "test_loss"
    assert main_metric(frame.assign(test_loss=NAN)) == "test_accuracy"


def test_a_loss_that_is_not_a_number_counts_as_infinite(tmp_path):
    def loss(member, step: int) -> float:
        return NAN if member.seed < 3 and step > 3 else 1.0

    write_run(tmp_path, [BATCH], loss=loss)
    table = summarize(load(tmp_path), "test_loss")
    assert list(table["median"]) == [math.inf] * 2 and list(table["low"]) == [1.0] * 2
    assert list(table["n"]) == [5, 5] and list(table["diverged"]) == [3, 3]


def test_best_takes_the_best_of_every_setting():
    table = pd.DataFrame(
        {
            "setting": ["b", "b", "b", "a", "a", "c", "c"],
            "lr": [1, 2, 3, 1, 2, 1, 2],
            "median": [0.5, 0.7, 0.7, NAN, 0.2, NAN, NAN],
        }
    )
    found = best(table)
    assert list(found["setting"]) == ["b", "a", "c"]
    assert list(found["lr"]) == [2, 2, 1]
    assert list(best(table, higher=False)["lr"]) == [1, 2, 1]


def test_settings_name_what_differs(tmp_path):
    cells = [
        make_cell(batch_size=10),
        make_cell(batch_size=50),
        make_cell(batch_size=10, norm="none"),
    ]
    write_run(tmp_path, cells)
    frame = load(tmp_path)
    assert static_columns(frame) == ["batch_size"]
    assert list(dict.fromkeys(settings_label(frame))) == [
        "batch, batch_size 10",
        "batch, batch_size 50",
        "none, batch_size 10",
    ]
    assert list(dict.fromkeys(summarize(frame)["setting"])) == list(
        dict.fromkeys(settings_label(frame))
    )


def test_settings_name_groupings_where_they_differ(tmp_path):
    """Not in cells whose channels have no groups to be assigned."""
    assigned = make_cell(norm="group_correlated", groups=4, lrs=(0.1,))
    names = ("random", "moments")
    members = [
        dataclasses.replace(m, grouping=g) for m in assigned.members for g in names
    ]
    both = dataclasses.replace(assigned, members=tuple(members))
    one = dataclasses.replace(assigned, members=tuple(members[::2]))
    for cell, settings in (
        (both, [f"group_correlated (G=4), {name}" for name in names]),
        (one, ["group_correlated (G=4)"]),
    ):
        folder = tmp_path / str(len(settings))
        write_run(folder, [make_cell(norm="group", groups=4, lrs=(0.1,)), cell])
        frame = load(folder)
        table = summarize(frame)
        assert list(table["setting"]) == ["group (G=4)", *settings]
        assert set(table["n"]) == {3}  # seeds, not seeds and groupings


def test_a_setting_keeps_its_name_while_others_are_unfinished(tmp_path):
    cells = [make_cell(batch_size=10), make_cell(batch_size=50)]
    write_run(tmp_path, cells, until={cells[1].id: 15})
    frame = load(tmp_path)
    assert list(summarize(frame)["setting"].unique()) == ["batch, batch_size 10"]


def test_dynamic_columns_are_what_members_vary_in():
    frame = pd.DataFrame(dict.fromkeys(HYPERPARAMETERS, [1, 1])).assign(warmup=[0, 1])
    assert dynamic_columns(frame) == ["lr", "warmup"]
    frame["lr"], frame["warmup"] = [1, 2], [0, 0]
    assert dynamic_columns(frame) == ["lr"]


def test_a_text_table(frame):
    lines = text_table(summarize(frame)).splitlines()
    assert lines[0] == "final test_accuracy: median [min, max of 5 seeds], * best"
    assert lines[1].split("  ")[0] == "norm"
    assert "lr 0.001" in lines[1] and "lr 0.01" in lines[1]
    cells = [word.strip() for word in lines[2].split("   ") if word.strip()]
    assert cells[0] == "batch"
    assert "0.720 [0.700, 0.740]" in lines[2] and "0.630 [0.610, 0.650]" in lines[2]
    assert lines[3].startswith("group (G=4)  0.720")
    assert len(lines) == 4


def test_the_best_point_of_each_setting_has_a_star(frame):
    lines = text_table(summarize(frame)).splitlines()[2:]
    assert [line.count("*") for line in lines] == [1] * len(lines)
    assert "0.720 [0.700, 0.740] *" in lines[0]
    # Of a loss, the smallest is best.
    as_loss = text_table(summarize(frame), "test_loss").splitlines()[2:]
    assert "0.630 [0.610, 0.650] *" in as_loss[0]
    assert "0.740] *" not in as_loss[0]
    # Nothing is best where every seed diverged.
    lost = summarize(frame).assign(median=INF, high=INF)
    assert "*" not in text_table(lost, "test_loss")


def test_points_at_chance_are_marked(frame):
    lines = text_table(summarize(frame), guesses={("batch", "lr 0.01")}).splitlines()
    assert lines[2].endswith("0.630 [0.610, 0.650] at chance")
    assert "\n".join(lines).count("at chance") == 1


def test_a_wide_table_continues_below(frame):
    table = summarize(frame)
    whole = text_table(table).splitlines()
    folded = text_table(table, width=50).splitlines()
    assert max(map(len, whole[1:])) > 50 >= max(map(len, folded[1:]))
    assert len(folded) == 1 + 2 * (len(whole) - 1)
    assert folded[1].split() == ["norm", "lr", "0.001"]
    assert folded[4].split() == ["norm", "lr", "0.01"]
    # Never less than a column.
    assert text_table(table, width=1).splitlines() == folded


def test_a_text_table_with_holes(tmp_path):
    cells = [make_cell(lrs=(0.1,)), make_cell(lrs=(0.2,), norm="none")]
    write_run(tmp_path, cells)
    lines = text_table(summarize(load(tmp_path))).splitlines()
    assert lines[2].endswith("  -")
    assert lines[3].split("  ")[0] == "none" and "-" in lines[3].split()
