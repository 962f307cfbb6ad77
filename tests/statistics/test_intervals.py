"""Medians and their intervals, against slow obvious twins."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from normlab.statistics.intervals import (
    Interval,
    interval_name,
    median_interval,
    median_intervals,
    seeds_words,
)

NAN, INF = math.nan, math.inf


def coverage(n: int, k: int) -> float:
    """P(x_(k) <= median <= x_(n+1-k)), by listing all 2^n sides of the median."""
    inside = 0
    for sides in itertools.product((0, 1), repeat=n):
        below = sum(sides)
        inside += k <= below <= n - k
    return inside / 2**n


@pytest.mark.parametrize("n", range(1, 13))
def test_the_interval_is_the_narrowest_that_covers(n):
    x = np.arange(n, dtype=float) ** 2
    ks = [k for k in range(1, n // 2 + 1) if coverage(n, k) >= 0.95] or [1]
    k = max(ks)
    found = median_interval(np.random.default_rng(n).permutation(x))
    assert (found.low, found.high) == (x[k - 1], x[n - k])
    assert found.median == np.median(x)
    assert found.n == n
    assert found.coverage == pytest.approx(coverage(n, k) if n > 1 else 0.0)


@pytest.mark.parametrize(
    ("n", "known", "ends"),
    [
        (2, 0.5, (1, 2)),
        (3, 0.75, (1, 3)),
        (5, 0.9375, (1, 5)),
        (6, 0.96875, (1, 6)),
        (8, 0.9921875, (1, 8)),
        (20, 0.95861053466796875, (6, 15)),
    ],
)
def test_known_coverages(n, known, ends):
    found = median_interval(range(1, n + 1))
    assert found.coverage == pytest.approx(known, abs=1e-12)
    assert (found.low, found.high) == ends


@pytest.mark.parametrize("n", [3, 6, 20])
def test_the_interval_covers_as_often_as_it_says(n):
    random = np.random.default_rng(0)
    draws = random.exponential(size=(4000, n))  # skewed: the mean is not the median
    intervals = [median_interval(row) for row in draws]
    hits = np.mean([i.low <= math.log(2) <= i.high for i in intervals])
    # Three standard deviations of 4000 draws.
    said = intervals[0].coverage
    assert abs(hits - said) < 3 * math.sqrt(said * (1 - said) / 4000)


def test_another_level():
    assert median_interval(range(20), level=0.5).low == 7
    assert median_interval(range(20), level=0.999).low == 2


@pytest.mark.parametrize("keys", [["a"], ["a", "b"]])
def test_all_intervals_at_once_are_those_one_by_one(keys):
    random = np.random.default_rng(3)
    rows = pd.DataFrame(
        {
            "a": random.integers(6, size=300),
            "b": random.choice(["x", "y", "z"], size=300),
            "value": random.normal(size=300).round(1),
        }
    )
    rows.loc[::7, "value"] = NAN
    rows.loc[::11, "value"] = math.inf
    rows.loc[[1, 20], "value"] = -math.inf
    rows.loc[rows["a"] == 4, "value"] = NAN
    found = median_intervals(rows, keys, "value")
    with np.errstate(invalid="ignore"):
        slow = rows.groupby(keys, sort=False)["value"].apply(median_interval)
    wanted = pd.DataFrame(list(slow), columns=Interval._fields)
    assert {0} < set(wanted["n"]) and wanted["n"].nunique() > 3
    pd.testing.assert_frame_equal(found[list(Interval._fields)], wanted)
    pd.testing.assert_frame_equal(found[keys], slow.index.to_frame(index=False))


def test_no_intervals_of_no_rows():
    rows = pd.DataFrame({"a": [1], "b": [2], "value": [0.5]})[:0]
    for keys in (["a"], ["a", "b"]):
        found = median_intervals(rows, keys, "value")
        assert list(found) == [*keys, *Interval._fields] and found.empty
        assert [str(kind) for kind in found.dtypes[-5:]] == [
            *["float64"] * 3,
            "int64",
            "float64",
        ]


def test_nans_are_left_out():
    found = median_interval([NAN, 3, 1, NAN, 2])
    assert (found.median, found.low, found.high, found.n) == (2, 1, 3, 3)


def test_nothing_and_one():
    for nothing in ([], [NAN, NAN]):
        found = median_interval(nothing)
        assert math.isnan(found.median) and math.isnan(found.low)
        assert (found.n, found.coverage) == (0, 0.0)
    found = median_interval([4.0])
    assert found == (4.0, 4.0, 4.0, 1, 0.0)
    assert found.text == "4.000 [4.000, 4.000]"
    assert median_interval([99.5, 100.4, 34634.2]).text == "100 [99.500, 34,634]"
    # What is small is not nothing: errors of identities are told by their powers.
    assert median_interval([0.0, 3e-15, 6e-4]).text == "3.0e-15 [0.000, 0.001]"
    assert median_interval([math.inf]).text == "inf [inf, inf]"


def test_infinities_count():
    found = median_interval([1.0, 2.0, math.inf])
    assert (found.median, found.high) == (2.0, math.inf)
    assert median_interval([1.0, math.inf, math.inf]).median == math.inf


def test_interval_names():
    assert interval_name([0, 1]) == "one seed, no interval"
    assert interval_name([]) == interval_name([0]) == "no finite value, no interval"
    assert interval_name([3, 0, 3]) == "range of 3 seeds (75% interval of the median)"
    assert interval_name([6]) == "95% interval of the median of 6 seeds"
    fewer = "range of 2 to 5 seeds (50% to 94% interval of the median)"
    assert interval_name([2, 5]) == fewer
    assert interval_name([9, 7]) == "95% interval of the median of 7 to 9 seeds"
    assert interval_name([3, 9]).endswith("of 3 to 9 seeds, or the range below 6")


def test_what_figures_say_of_their_seeds():
    assert seeds_words([1.0, 1.0]) == seeds_words([0, 1]) == "one seed"
    assert seeds_words([]) == seeds_words([0, 0]) == "no finite value"
    assert seeds_words([0, 3, 3], "bars") == (
        "median over seeds, bars: range of 3 seeds (75% interval of the median)"
    )
    assert "range of 1 to 3 seeds (at most 75%" in seeds_words([1, 0, 3])
