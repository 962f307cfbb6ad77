"""Numbers with two significant digits of their interval."""

import math

import pytest

from normlab.statistics.digits import decimals, interval_text, plain


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((-4.538, -5.684, -3.392), "-4.5 [-5.7, -3.4]"),
        ((37.266, 13.979, 60.553), "37 [14, 61]"),
        ((0.147, 0.108, 0.185), "0.147 [0.108, 0.185]"),
        ((-0.0004, -0.31, 0.31), "0.00 [-0.31, 0.31]"),
        ((1234.5, 1200.0, 1299.0), "1,234 [1,200, 1,299]"),
        ((2476681.0, 1499896.0, 6676455.0), "2.48e+06 [1.50e+06, 6.68e+06]"),
        ((2.1e-7, 1.6e-7, 2.9e-7), "2.1e-07 [1.6e-07, 2.9e-07]"),
        ((0.5, 0.1, math.inf), "0.500 [0.100, ∞]"),
        ((0.5, math.nan, math.nan), "0.5"),
    ],
)
def test_an_interval(numbers, text):
    assert interval_text(*numbers) == text


@pytest.mark.faults
def test_an_end_is_on_the_same_side_of_a_bound_as_it_is_written():
    assert interval_text(0.28, -1.504, 1.0) == "0.3 [-1.5, 1.0]"
    assert interval_text(0.28, -1.504, 1.0, (-1.5,)) == "0.280 [-1.504, 1.000]"
    assert interval_text(0.28, -1.5, 1.0, (-1.5,)) == "0.3 [-1.5, 1.0]"  # at it


def test_at_most_so_many_decimals():
    assert interval_text(0.7037, 0.6998, 0.7076) == "0.7037 [0.6998, 0.7076]"
    assert interval_text(0.7037, 0.6998, 0.7076, most=3) == "0.704 [0.700, 0.708]"
    assert interval_text(0.0018, 0.0016, 0.0020, most=3) == "1.8e-03 [1.6e-03, 2.0e-03]"
    assert interval_text(37.3, 14.0, 60.6, most=3) == "37 [14, 61]"


def test_a_width_that_is_carried_over():
    assert decimals(0.0, 0.0996) == decimals(0.0, 0.1) == 2
    assert decimals(0.0, 0.094) == 3
    assert decimals(1.0, 1.0) == 3


def test_a_value_alone():
    assert [plain(x) for x in (0.08312, 12345.6, -math.inf, math.nan)] == [
        "0.0831", "12,346", "-∞", "diverged",
    ]  # fmt: skip
