"""Distances from bounds: their sign is that of the rule's verdict."""

import math

import numpy as np
import pytest

from normlab.claims import CLAIMS
from normlab.claims.bounds import (
    bound_words,
    distance,
    part_of,
    shortfall,
    statements_of,
)
from normlab.claims.rules import CONTRADICTED, NOTHING_SAID, SUPPORTED
from normlab.statistics.paired import estimate
from tests.page.conftest import verdict

SIDES = {1: SUPPORTED, -1: CONTRADICTED}
# An effect in each kind of rule and unit: ids of parts.
KINDS = {
    "above": "C1p.1",
    "below": "C1p.2",
    "within": "C6.1",
    "ratio below": "SF4.1",
    "ratio above": "C10.1",
    "no margin": "C9.1",
}


def part(id: str):
    found = part_of(verdict(id), CLAIMS)
    assert found is not None
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_distance_is_on_the_side_of_the_verdict(kind):
    """The oracle is the rule's own test of the same values."""
    one = part(KINDS[kind])
    ratio = one.unit == "ratio"
    assert one.rule.kind == kind.split()[-1] or kind == "no margin"
    bound = math.log(one.rule.bound) if ratio else one.rule.bound
    spread = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    found = set()
    for shift in (-9.0, -1.0, -0.2, 0.0, 0.2, 1.0, 9.0):
        values = bound + shift + 0.3 * spread
        rule = one.rule.statements(values, None, ratio).verdict
        shown = estimate(values)
        ends = (shown.estimate, shown.low, shown.high)
        middle, low, high = (math.exp(x) if ratio else x for x in ends)
        row = verdict(KINDS[kind], estimate=middle, low=low, high=high, unit=one.unit)
        place = distance(row, one)
        assert place is not None and place.low <= place.middle <= place.high
        assert SIDES.get(place.side, "undecided") == rule
        found.add(place.side)
    assert found == {-1, 0, 1} if kind != "within" else {-1, 0} <= found


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_tells_what_the_test_of_its_values_does(kind):
    """The oracle has the values themselves, which differ in shape from any other's."""
    one = part(KINDS[kind])
    ratio = one.measure.ratio
    bound = math.log(one.rule.bound) if ratio else one.rule.bound
    found = set()
    for shift in (-9.0, -0.2, -0.01, 0.0, 0.01, 0.2, 9.0):
        for spread in (0.3, 0.003):
            shape = np.array([-2.0, 0.1, 0.2, 0.3, 5.0, 1.0])
            values = bound + shift + spread * shape
            shown = estimate(values)
            ends = (shown.estimate, shown.low, shown.high)
            middle, low, high = (math.exp(x) if ratio else x for x in ends)
            row = verdict(KINDS[kind], n=6, estimate=middle, low=low, high=high)
            wanted = one.rule.statements(values, one.margin, ratio)
            told = statements_of(row._replace(unit=one.unit), one)
            assert told == pytest.approx(tuple(wanted), rel=1e-6, abs=1e-12)
            found.add(told.verdict)
    assert len(found) >= 2


@pytest.mark.parametrize(
    "changes", [{"level": 0.9375}, {"n": 4}, {"high": math.inf}, {"low": math.nan}]
)
def test_nothing_is_said_of_a_row_without_students_interval(changes):
    row = verdict("C1p.1", estimate=4.0, low=3.0, high=5.0, unit="points")
    assert statements_of(row, part("C1p.1")).verdict == SUPPORTED
    assert statements_of(row._replace(**changes), part("C1p.1")) == NOTHING_SAID
    assert statements_of(row, None) == NOTHING_SAID
    assert statements_of(verdict("F1"), part("F1")) == NOTHING_SAID


def test_a_distance_is_in_margins():
    row = verdict("C1p.1", estimate=-4.5, low=-5.5, high=-3.5, unit="points")
    assert distance(row, part("C1p.1")) == (-5.5, -4.5, -3.5, "1 point")
    ratio = verdict("SF4.1", estimate=1 / 1.1, low=1 / 1.21, high=1.0, unit="ratio")
    found = distance(ratio, part("SF4.1"))
    assert found is not None and found.margin == "10%"
    assert found[:3] == pytest.approx((0.0, 1.0, 2.0))
    free = verdict("C9.1", estimate=3.0, low=2.0, high=4.0, unit="standard deviations")
    found = distance(free, part("C9.1"))
    assert found is not None and found.margin == "" and found.high - found.low == 2


def test_what_has_no_distance():
    assert distance(verdict("X1"), part_of(verdict("X1"), CLAIMS)) is None
    assert part_of(verdict("C1p.99"), CLAIMS) is None
    assert distance(verdict("F1"), part("F1")) is None  # an identity
    assert distance(verdict("R1"), part("R1")) is None  # a prediction
    empty = verdict("C1p.1", estimate=math.nan, low=math.nan, high=math.nan)
    assert distance(empty, part("C1p.1")) is None


def test_a_claims_row_has_the_part_that_it_shows():
    parts = CLAIMS["C1p"].parts
    for one in parts:
        row = verdict("C1p", statistic=f"{one.statistic}; 20 epochs")
        assert part_of(row, CLAIMS) is one
    assert bound_words(parts[0]) == "above 0 points"
    assert bound_words(part("C6.1")).startswith("within ±")
    assert bound_words(part("SF4.1")) == "below 1"


def test_the_scale_of_runs_beside_the_sources():
    words = "vgg11, width 0.125, 3000 steps"
    found = shortfall(words, CLAIMS["SF4"])
    assert found.words == "1/8 width, 3000 of 15000 steps (vgg11)"
    assert found.sizes == ("1/8 width", "3000 of 15000 steps")
    some = "width 0.5, 10000 images, 1.5 epochs"
    assert shortfall(some, CLAIMS["W5"]).words == (
        "1/2 width, 10000 of 50000 images, 1.5 of 10 epochs"
    )
    assert shortfall("digits", CLAIMS["E11d"]) == ((), ("digits",))
    assert shortfall("digits", CLAIMS["E11d"]).words == "digits"
    assert shortfall("batch size 32", CLAIMS["SF4"]).sizes == ("batch size 32",)
    assert shortfall("", CLAIMS["SF4"]).words == ""
