"""Lanczos' method beside dense decompositions."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab.quantities.lanczos import Ritz, extreme, ritz
from tests.quantities.by_hand import projected
from tests.quick import quick

RANDOM = np.random.default_rng(0)


def symmetric(eigenvalues) -> np.ndarray:
    """A dense matrix with these eigenvalues."""
    size = len(eigenvalues)
    basis, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(size, size)))
    return (basis * np.asarray(eigenvalues)) @ basis.T


@partial(quick, static_argnums=2)
def compiled(matrix, start, iterations: int) -> Ritz:
    return ritz(lambda v: matrix @ v, start, iterations)


def of(matrix, start, iterations) -> Ritz:
    matrix = jnp.asarray(matrix)
    return compiled(matrix, jnp.asarray(start, matrix.dtype), iterations)


@pytest.mark.parametrize("iterations", [1, 7])
def test_it_is_the_matrix_on_the_krylov_space(iterations, x64):
    matrix = symmetric(np.linspace(-3, 5, 30))
    start = 7 * RANDOM.normal(size=30)
    found = of(matrix, start, iterations)
    values, weights, rests = projected(matrix, start, iterations)
    np.testing.assert_allclose(found.value, values, rtol=1e-9)
    np.testing.assert_allclose(found.weight, weights, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(found.residual, rests, rtol=1e-9)
    assert rests.max() > 0.1  # nothing has converged: the residuals are of a size


def test_the_ends_of_a_spectrum_with_outliers_in_float32():
    """A bulk of 294, and three on either side: like a trained network's Hessian."""
    bulk = RANDOM.normal(size=294)
    ends = [-40.0, -31.0, -25.0, 50.0, 80.0, 200.0]
    matrix = symmetric([*bulk, *ends]).astype(np.float32)
    found = of(matrix, RANDOM.normal(size=300), 20)
    top = extreme(found, 3, largest=True)
    bottom = extreme(found, 3, largest=False)
    dense = np.linalg.eigvalsh(matrix.astype(np.float64))
    np.testing.assert_allclose(top["eigenvalue"], dense[:-4:-1], rtol=1e-4)
    np.testing.assert_allclose(bottom["eigenvalue"], dense[:3], rtol=1e-4)
    assert np.concatenate([top["residual"], bottom["residual"]]).max() < 1e-2 * 200


def test_an_eigenvalue_is_within_the_residual(x64):
    eigenvalues = RANDOM.normal(size=30)
    found = of(symmetric(eigenvalues), RANDOM.normal(size=30), 7)
    away = np.abs(np.asarray(found.value)[:, None] - eigenvalues).min(1)
    assert (away <= np.asarray(found.residual) + 1e-12).all()
    assert (np.asarray(found.residual) > 1e-3).any()


def test_reorthogonalised_there_are_no_copies():
    """Long after the outlier has converged, rounding would find it a second time."""
    matrix = symmetric([1e4, *np.linspace(-1, 1, 299)]).astype(np.float32)
    found = of(matrix, RANDOM.normal(size=300), 20)
    assert (np.asarray(found.value) > 2).sum() == 1
    assert np.isfinite(np.asarray(found.value)).all()


def test_a_small_matrix_has_fewer_values(x64):
    matrix = symmetric([-1.0, 2.0, 4.0])
    found = of(matrix, [1.0, 1.0, -2.0], 8)
    np.testing.assert_allclose(found.value[:3], [-1.0, 2.0, 4.0], rtol=1e-10)
    np.testing.assert_allclose(found.weight.sum(), 1, rtol=1e-12)
    assert found.value.shape == (8,)
    assert np.isnan(found.value[3:]).all() and np.isnan(found.residual[3:]).all()
    assert (found.weight[3:] == 0).all()


def test_a_start_in_an_invariant_subspace_sees_that_alone():
    """Here exactly: the third vector is 0/0."""
    found = of(np.diag([5.0, -3.0, 7.0, 8.0]), [1.0, 1.0, 0.0, 0.0], 4)
    np.testing.assert_allclose(found.value[:2], [-3, 5], rtol=1e-6)
    np.testing.assert_allclose(found.weight[:2], [0.5, 0.5], rtol=1e-6)
    np.testing.assert_allclose(found.residual[:2], 0, atol=1e-5)
    assert np.isnan(found.value[2:]).all() and (found.weight[2:] == 0).all()


def test_a_matrix_of_zeros():
    found = of(np.zeros((4, 4)), np.arange(4.0), 4)
    np.testing.assert_array_equal(found.value, [0, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(found.weight, [1, 0, 0, 0])


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e30])
def test_a_matrix_that_is_not_finite(bad):
    """1e30 squared is beyond float32: its length is not known."""
    found = of(np.full((4, 4), bad), np.arange(4.0), 4)
    for values in found:
        assert np.isnan(values).all()
    assert np.isnan(extreme(found, 3, largest=True)["eigenvalue"]).all()


def test_members_do_not_disturb_each_other(x64):
    good, start = symmetric(np.arange(30.0)), RANDOM.normal(size=30)
    both = jnp.asarray(np.stack([good, good * np.nan]))
    found = quick(jax.vmap(lambda a: ritz(lambda v: a @ v, jnp.asarray(start), 7)))(
        both
    )
    alone = of(good, start, 7)
    for mapped, one in zip(found, alone, strict=True):
        np.testing.assert_allclose(mapped[0], one, rtol=1e-9)
        assert np.isnan(mapped[1]).all()


def test_the_outermost_come_first():
    value = jnp.array([[-2.0, 0.5, 3.0, jnp.nan], [1.0, 2.0, 4.0, 5.0]])
    found = Ritz(value, value, value + 10)
    top, bottom = (extreme(found, 3, largest=largest) for largest in (True, False))
    np.testing.assert_array_equal(top["eigenvalue"], [[3, 0.5, -2], [5, 4, 2]])
    np.testing.assert_array_equal(top["residual"], [[13, 10.5, 8], [15, 14, 12]])
    np.testing.assert_array_equal(bottom["eigenvalue"], [[-2, 0.5, 3], [1, 2, 4]])
    short = extreme(Ritz(value[:, :2], value[:, :2], value[:, :2]), 3, largest=True)
    np.testing.assert_array_equal(
        short["eigenvalue"], [[0.5, -2, np.nan], [2, 1, np.nan]]
    )
