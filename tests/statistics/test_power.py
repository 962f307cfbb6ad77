"""How many seeds a decision needs, beside simulated experiments."""

import math

import numpy as np
import pytest

from normlab.statistics.paired import above_p, equivalence_p
from normlab.statistics.power import (
    POWER,
    power_above,
    power_equivalent,
    seeds_above,
    seeds_equivalent,
)


def simulated(mean: float, n: int, runs: int = 4000) -> np.ndarray:
    return np.random.default_rng(0).normal(mean, 1.0, (runs, n))


@pytest.mark.parametrize(("mean", "n"), [(1.0, 6), (0.5, 20), (0.0, 10)])
def test_power_is_the_share_that_finds_it(mean, n):
    found = np.mean(2 * above_p(simulated(mean, n), 0.0) <= 0.05)
    assert power_above(mean, 1.0, n) == pytest.approx(found, abs=0.025)


@pytest.mark.parametrize(("mean", "margin", "n"), [(0.0, 1.0, 14), (0.3, 1.0, 30)])
def test_power_of_equivalence(mean, margin, n):
    found = np.mean(2 * equivalence_p(simulated(mean, n), margin) <= 0.05)
    assert power_equivalent(mean, margin, 1.0, n) == pytest.approx(found, abs=0.025)


def test_the_number_of_seeds_is_the_least_with_that_power():
    # An effect of half a standard deviation: 34 pairs (Cohen 1988, two-sided 5%).
    assert seeds_above(0.5, 1.0, 5) == 34
    n = int(seeds_equivalent(0.3, 1.0, 1.0, 5))
    assert power_equivalent(0.3, 1.0, 1.0, n) >= POWER
    assert power_equivalent(0.3, 1.0, 1.0, n - 1) < POWER


def test_what_no_number_of_seeds_decides():
    assert seeds_above(-0.1, 1.0, 5) == seeds_above(0.0, 1.0, 5) == math.inf
    assert seeds_above(1e-3, 1.0, 5) == math.inf  # over 2000
    assert seeds_equivalent(1.0, 1.0, 1.0, 5) == math.inf
    assert seeds_above(1.0, math.nan, 5) == math.inf
    assert seeds_above(0.0, 0.0, 5) == seeds_equivalent(1.0, 1.0, 0.0, 5) == math.inf
    assert seeds_above(100.0, 1.0, 5) == 5


@pytest.mark.parametrize("level", [0.95, 0.99])
def test_equal_seeds_are_decided_by_the_sign_test(level):
    n = int(seeds_above(1.0, 0.0, 2, level))
    assert n == seeds_equivalent(0.0, 1.0, 0.0, 2, level) == {0.95: 6, 0.99: 8}[level]
    for p in (above_p, lambda x, _: equivalence_p(x - 1.0, 1.0)):
        assert 2 * p(np.ones(n), 0.0) <= 1 - level < 2 * p(np.ones(n - 1), 0.0)
    assert seeds_above(1.0, 0.0, 9, level) == 9
