"""Moments against float64 numpy, where the textbook formula has no digit left."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab.norms import functional

moments = jax.jit(functional.moments, static_argnums=1)


def naive_moments(x, axes):
    mean = x.mean(axes)
    return mean, np.square(x).mean(axes) - np.square(mean)


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 2), (0,), -1, (0, 1, 2, 3)])
def test_equal_numpy_in_float64(axes, x64):
    x = np.random.default_rng(0).normal(2.0, 3.0, (4, 3, 5, 6))
    mean, var = moments(x, axes)
    assert mean.dtype == var.dtype == jnp.float64
    np.testing.assert_allclose(mean, x.mean(axes), rtol=1e-12)
    np.testing.assert_allclose(var, x.var(axes), rtol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_survive_an_offset_of_1e4_in_float32(seed):
    x = np.random.default_rng(seed).normal(1e4, 1.0, (50, 16, 16, 8)).astype("float32")
    exact = x.astype("float64").var((0, 1, 2))
    mean, var = moments(x, (0, 1, 2))
    np.testing.assert_allclose(mean, x.astype("float64").mean((0, 1, 2)), rtol=2e-7)
    np.testing.assert_allclose(var, exact, rtol=1e-5)
    _, naive = naive_moments(x, (0, 1, 2))
    assert np.abs(naive - exact).max() > 0.1  # the input is hard enough to tell


@pytest.mark.parametrize("away", [0.0, 3.0, 1e4])
def test_elements_of_the_sample_may_lie_anywhere(away):
    """The shift is the mean of every eighth slice, here far from the mean of all."""
    x = np.random.default_rng(0).normal(1e4, 1.0, (48, 32, 8, 4)).astype("float32")
    x[::8, ::8] += away
    x_64 = x.astype("float64")
    variance = x_64.var((0, 1, 2))
    shift = np.asarray(x)[::8, ::8].mean((0, 1, 2), dtype="float64")
    deviations = np.abs(shift - x_64.mean((0, 1, 2))) / np.sqrt(variance)
    assert (deviations > 2.5).all() == (away > 0) and deviations.max() < 8
    mean, var = moments(x, (0, 1, 2))
    np.testing.assert_allclose(mean, x_64.mean((0, 1, 2)), rtol=2e-7)
    np.testing.assert_allclose(var, variance, rtol=2e-5)
    y = jax.jit(lambda x: functional.batch_norm(x, None, None, 0.0).y)(x)
    exact = (x_64 - x_64.mean((0, 1, 2))) / np.sqrt(variance)
    np.testing.assert_allclose(y, exact, atol=1e-4 if away > 100 else 1e-5)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_precision_is_computed_in_float32(dtype):
    x = np.random.default_rng(0).normal(8, 1, (64, 8, 8, 4)).astype(dtype)
    mean, var = moments(x, (0, 1, 2))
    assert mean.dtype == var.dtype == jnp.float32
    exact = np.asarray(x, "float64")
    np.testing.assert_allclose(mean, exact.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(var, exact.var((0, 1, 2)), rtol=1e-5)


@pytest.mark.parametrize("shape", [(6, 1, 1), (6, 4, 5), (1, 4, 1), (4, 5)])
def test_mask_selects_the_elements_that_count(shape):
    rng = np.random.default_rng(1)
    x = rng.normal(1e4, 1.0, (6, 4, 5)).astype("float32")
    mask = rng.random(shape) < 0.6
    mask.flat[0] = True
    real = np.broadcast_to(mask, x.shape)
    x[~real] = np.nan
    mean, var = moments(x, (0, 1, 2), mask=mask)
    chosen = x[real].astype("float64")
    assert 0 < chosen.size < x.size
    np.testing.assert_allclose(mean, chosen.mean(), rtol=2e-7)
    np.testing.assert_allclose(var, chosen.var(), rtol=1e-5)


@pytest.mark.parametrize("value", [0.0, 5.7, 6.2, -7.3, 1e5 / 3])
def test_variance_of_a_constant_is_never_negative(value):
    x = np.full((3, 5, 7, 2), value, "float32")
    _, var = moments(x, (0, 1, 2))
    assert (var >= 0).all()
    np.testing.assert_allclose(var, 0.0, atol=1e-12 * (1 + value**2))


def test_complex_input_is_refused():
    with pytest.raises(TypeError, match="real arrays, not complex64"):
        functional.moments(jnp.ones((2, 2), jnp.complex64), 0)
