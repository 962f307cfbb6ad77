"""Intervals and tests of paired differences, beside scipy's and made-up samples."""

import math

import numpy as np
import pytest
from scipy import stats

from normlab.statistics.paired import (
    above_p,
    below_p,
    bootstrap_interval,
    equivalence_p,
    estimate,
    flip_p,
    new_value_p,
    prediction_interval,
    t_interval,
    with_error,
)

X = np.random.default_rng(0).normal(0.5, 1.0, 9)
SAMPLES = np.random.default_rng(1).normal(size=(4000, 8))


def test_the_interval_is_scipys():
    found, wanted = estimate(X), stats.ttest_1samp(X, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high))
    assert found.estimate == pytest.approx(X.mean()) and found.n == 9
    assert found.sd == pytest.approx(X.std(ddof=1)) and found.level == 0.95


@pytest.mark.parametrize("bound", [0.0, 0.7, 2.0])
def test_p_values_are_scipys(bound):
    for p, way in ((above_p, "greater"), (below_p, "less")):
        _, wanted = stats.ttest_1samp(X, bound, alternative=way)
        assert p(X, bound) == pytest.approx(wanted)
    values = [equivalence_p(X, 2.0), max(above_p(X, -2.0), below_p(X, 2.0))]
    assert values[0] == values[1]


def test_the_interval_gains_from_seeds():
    random = np.random.default_rng(2)
    widths = []
    for n in (5, 10, 20):
        _, low, high, _ = t_interval(random.normal(size=(500, n)))
        widths.append(float(np.mean(high - low)))
    assert widths[0] > 1.6 * widths[1] > 1.6 * 1.3 * widths[2]


def test_the_interval_and_the_prediction_hold_their_level():
    _, low, high, _ = t_interval(SAMPLES)
    assert np.mean((low <= 0) & (high >= 0)) == pytest.approx(0.95, abs=0.012)
    low, high = prediction_interval(SAMPLES[:, :7])
    new = SAMPLES[:, 7]
    within = (low <= new) & (new <= high)
    assert within.mean() == pytest.approx(0.95, abs=0.012)
    p = np.array([new_value_p(x[:7], x[7]) for x in SAMPLES[:200]])
    np.testing.assert_array_equal(2 * p >= 0.05, within[:200])


def test_equal_values_have_no_interval_and_the_sign_test():
    found = estimate([0.3] * 5)
    assert found.estimate == pytest.approx(0.3) and found.sd == 0
    assert math.isnan(found.low) and math.isnan(found.high)
    by_signs = 1 / 2**5
    assert (above_p([0.3] * 5, 0), below_p([0.3] * 5, 0)) == (by_signs, 1)
    assert (above_p([0.0] * 5, 0), equivalence_p([0.0] * 5, 1)) == (1, by_signs)
    # Rounding is no spread, and another error does not make up for one.
    apart = 70.1 + 0.3 - np.array([70.1, 70.1 + 1e-14, 70.1, 70.1, 70.1])
    assert np.ptp(apart) > 0 and above_p(apart, 0) == by_signs
    assert with_error(1e-3)(apart, 0) == by_signs
    both = np.array([[0.3] * 5, [0.1, 0.2, 0.3, 0.4, 0.5]])
    assert above_p(both, 0).tolist() == [by_signs, above_p(both[1], 0)]
    assert new_value_p(both, 9.0)[0] == 1 / 6
    assert bootstrap_interval([0.3] * 5) == pytest.approx((0.3, 0.3))
    assert bootstrap_interval([0.3, 0.3, 0.3, 0.3, 1.0]) == pytest.approx((0.3, 1.0))


def test_few_values():
    assert estimate([]).n == 0 and math.isnan(estimate([]).estimate)
    one = estimate([2.0])
    assert one.estimate == 2 and math.isnan(one.low) and one.n == 1
    assert above_p([2.0], 0) == 1


def test_infinite_values_are_counted_and_not_averaged():
    values = [1.0, 2.0, 3.0, math.inf, math.inf, math.inf]
    found = estimate(values)
    assert (found.estimate, found.low, found.high) == (math.inf, 1, math.inf)
    assert found.level == pytest.approx(1 - 2 / 64) and math.isnan(found.sd)
    assert above_p(values, 0) == pytest.approx(1 / 64)
    assert below_p(values, 0) == 1
    assert above_p([-math.inf, 1.0, 2.0], 0) == pytest.approx(0.5)
    assert above_p([math.inf, -math.inf], 0) == 0.75


def test_flipping_signs():
    assert flip_p([1, 2, 3, 4, 5, 6], 0) == pytest.approx(1 / 64)
    assert flip_p([-1, 2, 3, 4, 5, 6], 0) == pytest.approx(2 / 64)
    assert flip_p([1, 2, 3, 4, 5, 6], 7) == 1
    # The exact number of sign patterns with a sum at least as large.
    x = np.array([0.3, -0.2, 0.5, 0.9, -0.1, 0.4, 0.7])
    signs = 1 - 2 * ((np.arange(128)[:, None] >> np.arange(7)) & 1)
    wanted = np.mean(signs @ x >= x.sum() - 1e-12)
    assert flip_p(x, 0) == pytest.approx(wanted)


def test_the_bootstrap_of_a_skewed_sample_leans_to_its_tail():
    x = np.random.default_rng(3).exponential(size=30)
    low, high = bootstrap_interval(x)
    assert low < x.mean() < high and high - x.mean() > x.mean() - low
    _, t_low, t_high, _ = t_interval(x)
    assert high - low == pytest.approx(t_high - t_low, rel=0.3)
    assert bootstrap_interval(x) == (low, high)  # the same random numbers
