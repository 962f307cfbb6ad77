"""Values become statements, and statements a verdict."""

import math

import numpy as np
import pytest

from normlab.claims.margins import MARGINS, margin_of, margin_words
from normlab.claims.rules import (
    Statements,
    above,
    at_least,
    at_most,
    below,
    identity,
    predicted,
    within,
)
from normlab.statistics.paired import bootstrap_interval, flip_p

S, C, U, N = "supported", "contradicted", "undecided", "no difference"
R = "not rejected"
SPREAD = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])  # its interval is ±1.963 wide


def around(mean: float, by: float = 0.1) -> np.ndarray:
    return mean + by * SPREAD


@pytest.mark.parametrize(
    ("rule", "values", "verdict"),
    [
        (above(0), around(0.2), S),
        (above(0), around(-0.2), C),
        (above(0), around(0.19), U),
        (above(0), np.zeros(5), U),
        (above(1), around(0.7), C),
        (below(0), around(-0.2), S),
        (below(0), around(0.2), C),
        (below(1), around(0.7), S),
        (within(1), around(0.8), S),
        (within(1), around(-0.8), S),
        (within(1), around(0.85), U),
        (within(1), around(1.25), C),
        (within(1), around(-1.25), C),
        (within(1), around(0, by=1), U),
        (within(1), np.zeros(5), U),
        (within(1), np.zeros(6), S),  # by signs
        (above(0), np.full(5, 0.3), U),
        (above(0), np.full(6, 0.3), S),
        (below(0), np.full(6, 0.3), C),
        (predicted(), around(0.2), R),
        (predicted(), around(0.6), C),
        (predicted(), around(0, by=1), U),  # wider than ±3
        (predicted(), around(0, by=0.6), R),  # ±2.88
        (predicted(), around(0.2, by=0.6), U),  # 3.08 on one side
        (predicted(), np.zeros(5), U),
        (predicted(), np.full(5, 0.3), U),
    ],
)
def test_rules(rule, values, verdict):
    assert rule.verdict(rule.statements(values)) == verdict


def test_a_bound_of_a_ratio_is_its_logarithm():
    assert below(0.5).statements(np.log(around(0.4, 0.01)), ratio=True).verdict == S
    assert below(0.5).statements(np.log(around(0.6, 0.01)), ratio=True).verdict == C


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        (around(0.0), N),
        (around(0.25), S),
        (around(-0.25), C),
        (around(0.0, by=1), U),
        (around(0.85), S),
    ],
)
def test_no_difference_is_a_verdict_of_its_own(values, verdict):
    said = above(0).statements(values, 1.0)
    assert said.verdict == verdict
    # An effect comes first, however small: then both are true.
    assert (said.equivalent <= 0.05) == (verdict == N or abs(values.mean()) == 0.25)


def test_a_margin_needs_a_difference_from_nothing():
    assert above(0.5).statements(around(0.5), 1.0).equivalent == 1
    assert within(0.5).statements(around(0.0), 1.0).equivalent == 1
    assert above(0).statements(around(0.0)).verdict == U


@pytest.mark.parametrize("rule", [above(0), below(3), within(3), predicted()])
def test_too_few_seeds_decide_nothing(rule):
    assert rule.statements(around(0.5)).verdict in (S, C)
    for few in (around(0.5)[:4], np.array([])):
        assert rule.statements(few) == Statements(1, 1, 1)


def test_the_statements_of_a_network_that_diverged():
    lost = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, math.inf])
    assert above(0).statements(lost).supports == pytest.approx(2 / 128)
    assert above(0).statements(lost[2:]).verdict == U  # five signs decide nothing
    assert predicted().statements(lost).verdict == U


def test_another_test_can_decide():
    values = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 9.0])
    assert above(0).statements(values).verdict == U
    said = above(0).statements(values, above=flip_p)
    assert said.verdict == S and said.supports == pytest.approx(2 / 64)
    assert bootstrap_interval(values)[0] > 0


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (identity(1e-3), [1e-7, 9e-4], [1e-7, 2e-3]),
        (at_most(0), [0.0, 0.0], [0.0, 0.1]),
        (at_least(0.999), [1.0, 0.9991], [1.0, 0.9]),
    ],
)
def test_a_single_network_breaks_an_exact_rule(rule, good, bad):
    assert rule.exact and rule.holds(good) and not rule.holds(bad)
    assert not rule.holds([math.nan]) and not rule.holds([math.inf * -1])


def test_margins():
    assert margin_of("nats") == 0.005 and margin_of("points") == 1
    assert margin_of("ratio") == pytest.approx(math.log(1.1))
    assert margin_of("epochs") is None
    words = {unit: margin_words(unit) for unit in MARGINS}
    assert words["nats"] == "0.005 nats" and words["points"] == "1 point"
    assert words["ratio"] == "10%"
