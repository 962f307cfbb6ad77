"""Every quantity beside its oracle, field by field, at one point of a small network."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import normlab
from normlab.quantities import QUANTITIES, needs_norms
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


# Quantities of a loss alone, and what they need beside it.
OF_A_LOSS = [name for name, q in QUANTITIES.items() if not needs_norms(name)]


@pytest.fixture(scope="module")
def probed():
    """What `normlab.probe` finds for the network by the book, which is plain JAX."""

    def of(statistics):
        return lambda params, indices: tiny_point.loss(params, indices, statistics)

    settings = tiny_point.SETTINGS
    with jax.enable_x64(True):
        measure = normlab.probe(
            of("batch"),
            OF_A_LOSS,
            etas=settings["probe_etas"],
            fixed_loss={name: of(name) for name in oracles.STATISTICS},
            layers=tiny_point.LAYERS,
            iterations=settings["probe_iterations"],
            samples=settings["probe_samples"],
        )
        first = np.arange(settings["probe_images"])

        def measured(params, following, key):
            return measure(
                params,
                tiny_point.BATCH,
                lr=tiny_point.LR,
                next_params=following,
                key=key,
                fixed_batch=first,
            )

        # The batches are numbers of images, and so a part of the program.
        measure._run = measure._measured  # type: ignore[method-assign]
        point = jax.tree.map(jnp.asarray, (tiny_point.PARAMS, tiny_point.NEXT))
        return tiny_point.quick(measured)(*point, tiny_point.key())


@pytest.mark.parametrize("name", OF_A_LOSS)
def test_a_probe_finds_what_the_sweep_finds(name, probed, found):
    assert not differing(name, probed[name], found[name])


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
