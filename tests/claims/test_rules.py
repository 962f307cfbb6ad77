"""An interval becomes a verdict."""

import math

import numpy as np
import pytest

from normlab.claims.rules import above, at_least, at_most, below, within
from normlab.claims.shift import shift_interval
from normlab.statistics.intervals import Interval, median_interval

S, C, U = "supported", "contradicted", "undecided"


def interval(low: float, high: float, n: int = 5, coverage: float = 0.9375):
    return Interval((low + high) / 2, low, high, n, coverage)


@pytest.mark.parametrize(
    ("rule", "low", "high", "verdict"),
    [
        (above(0), 0.1, 0.2, S),
        (above(0), -0.2, -0.1, C),
        (above(0), -0.1, 0.2, U),
        (above(0), 0.0, 0.0, U),
        (above(1), 0.5, 0.9, C),
        (below(0), -0.2, -0.1, S),
        (below(0), 0.1, math.inf, C),
        (below(0), -0.1, 0.2, U),
        (below(1), 0.1, 0.9, S),
        (at_most(0), 0.0, 0.0, S),
        (at_most(0), 0.0, 0.1, U),
        (at_most(0), 0.1, 0.2, C),
        (at_least(1), 1.0, 2.0, S),
        (at_least(1), 0.9, 2.0, U),
        (at_least(1), 0.8, 0.9, C),
        (within(1), -1.0, 1.0, S),
        (within(1), -0.3, 0.2, S),
        (within(1), -1.1, 0.2, U),
        (within(1), 1.1, 2.0, C),
        (within(1), -2.0, -1.1, C),
        (within(1), -5.0, 5.0, U),
    ],
)
def test_rules(rule, low, high, verdict):
    assert rule.verdict(interval(low, high)) == verdict


@pytest.mark.parametrize("rule", [above(0), below(3), within(3), at_most(3)])
def test_too_few_seeds_decide_nothing(rule):
    assert rule.verdict(interval(1, 2)) == S
    assert rule.verdict(interval(1, 2, n=4)) == U
    assert rule.verdict(interval(1, 2, n=9, coverage=0.8)) == U
    assert rule.verdict(median_interval([])) == U


def test_four_seeds_are_too_few_and_five_are_not():
    assert above(0).verdict(median_interval([1.0] * 4)) == U
    assert above(0).verdict(median_interval([1.0] * 5)) == S


def test_the_shift_of_two_samples_against_published_numbers():
    # Hollander, Wolfe & Chicken 2014, example 4.1: 10 term and 5 preterm placentas.
    x = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46]
    y = [1.15, 0.88, 0.90, 0.74, 1.21]
    found = shift_interval(x, y)
    assert found.median == pytest.approx(0.305)
    assert (found.low, found.high) == pytest.approx((-0.15, 0.76))
    # The book's 96 % interval: P(U <= 8) of 10 and 5 is 0.020.
    assert found.coverage == pytest.approx(0.96, abs=0.005)
    assert found.n == 5


def test_the_shift_holds_its_level():
    random = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        found = shift_interval(random.normal(size=6) + 2, random.normal(size=8))
        hits += found.low <= 2 <= found.high
    assert 0.94 < hits / 400 < 0.99
    assert found.coverage > 0.95


def test_the_shift_of_few_says_how_little_it_covers():
    found = shift_interval([1.0, 2.0, math.nan], [0.0])
    assert (found.low, found.high, found.n) == (1.0, 2.0, 1)
    assert found.coverage == pytest.approx(1 - 2 / 3)
    assert shift_interval([], [1.0]).n == 0


@pytest.mark.faults
@pytest.mark.parametrize("off", [2e-6, -2e-6, 4e-4, -4e-4])
@pytest.mark.parametrize(
    ("rule", "low", "high", "verdict"),
    [
        (within(1.5), -1.5, 0.04, S),
        (within(1.5), -0.04, 1.5, S),
        (within(1.5), 1.5, 2.0, U),
        (at_most(1.5), 1.0, 1.5, S),
        (at_most(1.5), 1.5, 2.0, U),
        (at_least(-1), -1.0, 2.0, S),
        (at_least(-1), -2.0, -1.0, U),
        (at_least(0.999), 0.999, 1.0, S),
        (above(1), 1.0, 2.0, U),
        (above(1), 0.5, 1.0, U),
        (below(1), 0.5, 1.0, U),
        (below(1), 1.0, 2.0, U),
        (above(120), 120.0, 140.0, U),
    ],
)
def test_an_interval_is_compared_as_it_is_shown(rule, low, high, verdict, off):
    assert rule.verdict(interval(low, high)) == verdict
    found = interval(low + off, high + off)
    assert found.text.partition(" ")[2] == interval(low, high).text.partition(" ")[2]
    assert rule.verdict(found) == verdict


@pytest.mark.parametrize(
    ("rule", "value", "verdict"),
    [
        (above(0), 2e-7, S),
        (above(0), -2e-7, C),
        (within(0.001), 4e-4, S),
        (within(1.5), 1.501, C),
        (at_least(0.999), 0.9984, C),
        (below(120), 119.4, S),
        (below(12000), 12345.0, C),
    ],
)
def test_what_is_shown_to_differ_differs(rule, value, verdict):
    assert rule.verdict(interval(value, value)) == verdict


@pytest.mark.parametrize("bound", [0.9999, 1.5001, -0.00051, 150.5])
@pytest.mark.parametrize("rule", [above, below, at_most, at_least, within])
def test_no_bound_is_finer_than_what_is_shown(rule, bound):
    with pytest.raises(ValueError, match="more digits than are displayed"):
        rule(bound)
