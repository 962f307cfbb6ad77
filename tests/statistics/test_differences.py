"""Differences that an axis of a run makes, paired by seed."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from normlab.errors import UserError
from normlab.statistics.differences import differences
from normlab.statistics.finals import final_rows
from normlab.store import load
from tests.store.handmade import make_cell, write_run

SEEDS = 5


def scored(member, step: int) -> float:
    """Noise of the seed, which is common to a pair, and of the network."""
    shared = 0.3 * np.random.default_rng(member.seed).random()
    own = np.random.default_rng([member.seed, round(1e6 * member.lr)]).random()
    return 0.4 + shared + 0.1 * own


def better(member, step: int) -> float:
    return scored(member, step) + 0.05 + 0.01 * member.seed


@pytest.fixture(scope="module")
def frame(tmp_path_factory) -> pd.DataFrame:
    """None and group norm with two batch sizes and two rates; group norm is better."""
    tables = []
    norms = {"none": (scored, {}), "group": (better, {"groups": 4})}
    for norm, (score, own) in norms.items():
        for size in (50, 10):
            folder = tmp_path_factory.mktemp("run")
            cell = make_cell(seeds=SEEDS, norm=norm, batch_size=size, **own)
            write_run(folder, [cell], score=score)
            tables.append(load(folder))
    return pd.concat(tables, ignore_index=True)


def test_they_are_paired_by_seed(frame):
    found = differences(frame, "norm", "group (G=4)", "none", "test_accuracy")
    assert list(found["batch_size"]) == [50, 50, 10, 10]
    assert list(found["lr"]) == [1e-3, 1e-2] * 2
    assert list(found["n"]) == [SEEDS] * 4
    final = final_rows(frame)
    for row in found.to_dict("records"):
        at = (final["batch_size"] == row["batch_size"]) & (final["lr"] == row["lr"])
        group, none = (
            final[at & (final["norm"] == norm)].sort_values("seed")["test_accuracy"]
            for norm in ("group", "none")
        )
        paired: Any = stats.ttest_rel(group, none)
        alone: Any = stats.ttest_ind(group, none)
        interval = paired.confidence_interval(0.95)
        wanted = {"low": interval.low, "high": interval.high, "p": paired.pvalue}
        wanted["mean"] = np.mean(group) - np.mean(none)
        for name, value in wanted.items():
            np.testing.assert_allclose(row[name], value, rtol=1e-6)
        # The pairs matter: without them, the shared noise hides the difference.
        assert alone.pvalue > 0.1 > 0.01 > row["p"]


def test_the_other_direction_is_its_negative(frame):
    one = differences(frame, "norm", "group (G=4)", "none", "test_accuracy")
    other = differences(frame, "norm", "none", "group (G=4)", "test_accuracy")
    np.testing.assert_allclose(other["mean"], -one["mean"])
    np.testing.assert_allclose(other["low"], -one["high"])
    np.testing.assert_allclose(other["p"], one["p"])


def test_any_axis_has_differences(frame):
    found = differences(frame, "lr", 1e-2, 1e-3, "test_loss")
    assert list(found["norm"]) == ["none"] * 2 + ["group (G=4)"] * 2
    np.testing.assert_allclose(found["mean"], 0.009, rtol=1e-4)
    equal = differences(frame, "batch_size", 50, 10, "test_accuracy")
    assert set(equal["mean"]) == {0.0} and set(equal["p"]) == {1.0}
    assert equal["low"].isna().all()


def test_seeds_of_one_side_only_are_left_out(frame):
    without = frame[(frame["norm"] == "none") | (frame["seed"] != 2)]
    found = differences(without, "norm", "group (G=4)", "none", "test_accuracy")
    assert set(found["n"]) == {SEEDS - 1}
    apart = frame[(frame["norm"] == "none") == (frame["seed"] < 2)]
    with pytest.raises(UserError, match="no two networks differ in norm alone"):
        differences(apart, "norm", "group (G=4)", "none", "test_accuracy")


@pytest.mark.parametrize("metric, sign", [("test_accuracy", -1), ("test_loss", 1)])
def test_a_network_that_diverged_is_worse_than_any_other(frame, metric, sign):
    lost = frame.copy()
    at = (lost["norm"] == "group") & (lost["seed"] < 3)
    lost.loc[at & (lost["step"] == lost["steps"]), metric] = np.nan
    lost.loc[at, "diverged"] = True
    found = differences(lost, "norm", "group (G=4)", "none", metric)
    assert list(found["mean"]) == [sign * math.inf] * 4
    assert set(found["n"]) == {SEEDS}
    both = lost.copy()
    also = (both["norm"] == "none") & (both["seed"] < 3)
    both.loc[also & (both["step"] == both["steps"]), metric] = np.nan
    both.loc[also, "diverged"] = True
    found = differences(both, "norm", "group (G=4)", "none", metric)
    assert np.isfinite(found["mean"]).all()


@pytest.mark.parametrize(
    "asked, said",
    [
        (("groups", 4, 16), r"no axis 'groups'; known: norm, batch_size, lr$"),
        (
            ("norm", "batch", "none"),
            r"norm has no 'batch'; known: none, group \(G=4\)$",
        ),
        (("lr", 1e-3, 0.5), "lr has no 0.5; known: 0.001, 0.01$"),
    ],
)
def test_what_the_run_does_not_vary(frame, asked, said):
    with pytest.raises(UserError, match=said):
        differences(frame, *asked, metric="test_accuracy")
