"""Every quantity beside its oracle, field by field, at one point of a small network."""

from typing import Any

import jax
import numpy as np
import pytest

from normlab.quantities import QUANTITIES
from tests.quantities import oracles, tiny_point
from tests.quantities.oracles import ORACLES

# Of the largest entry. Images are rounded to float32, in another order.
TOLERANCE = 1e-6
# Fields that are 0 but for rounding, at any point.
ROUNDING = {("optimum_distance", "relative_error")}


def missing() -> set[str]:
    """Quantities without an oracle, and oracles without a quantity."""
    return QUANTITIES.keys() ^ ORACLES.keys()


def differing(name: str, found: dict, expected: dict) -> set[str]:
    """The fields of a quantity that are not what they should be."""
    wrong = found.keys() ^ expected.keys()
    for field in found.keys() & expected.keys():
        value, own = np.asarray(found[field]), np.asarray(expected[field])
        largest = 1e-3 if (name, field) in ROUNDING else abs(own).max()
        same = value.shape == own.shape and np.all(
            abs(value - own) <= TOLERANCE * largest
        )
        wrong |= set() if same else {field}
    return wrong


def says_nothing(name: str, expected: dict) -> set[str]:
    """The fields of which another quantity could not be told apart here."""
    return {
        field
        for field, value in expected.items()
        if (name, field) not in ROUNDING
        and (
            not np.isfinite(value).all()
            or not np.any(value)
            or (np.size(value) > 1 and np.ptp(value) == 0)
        )
    }


@pytest.fixture(scope="module")
def expected():
    """Quantity -> what its oracle says."""
    with jax.enable_x64(True):
        return {name: oracle() for name, oracle in ORACLES.items()}


@pytest.fixture(scope="module")
def found():
    """Quantity -> what is measured, all in one program."""
    return tiny_point.measured()


def test_every_quantity_has_an_oracle():
    assert not missing()


@pytest.mark.parametrize("name", QUANTITIES)
def test_a_quantity_is_what_its_oracle_says(name, found, expected):
    assert not says_nothing(name, expected[name])
    wrong = differing(name, found[name], expected[name])
    assert not wrong, {k: (found[name].get(k), expected[name].get(k)) for k in wrong}


@pytest.mark.parametrize("factor", [0.0, 1.01, -1.0])
@pytest.mark.parametrize("name", QUANTITIES)
def test_a_multiple_of_a_quantity_would_be_seen(name, factor, found, expected):
    """In every field."""
    wrong = {field: factor * value for field, value in found[name].items()}
    rounding = {field for quantity, field in ROUNDING if quantity == name}
    assert differing(name, wrong, expected[name]) == wrong.keys() - rounding


def test_vectors_of_signs_tell_the_trace():
    """Of which they are an estimate; its standard error is known of a matrix."""
    with jax.enable_x64(True):
        traces: Any = oracles.hessian_trace()["trace"]
        for statistics, trace in zip(oracles.STATISTICS, traces, strict=True):
            matrix = tiny_point.hessian(statistics)
            beside = matrix - np.diag(np.diag(matrix))
            error = np.sqrt(
                2 * (beside**2).sum() / tiny_point.SETTINGS["probe_samples"]
            )
            assert abs(trace - np.trace(matrix)) < 4 * error
