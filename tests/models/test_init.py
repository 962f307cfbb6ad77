"""Initialisers against the variances they promise."""

import jax
import numpy as np
import pytest

from normlab.errors import UserError
from normlab.models import INITS

# Variance of a standard normal truncated at two standard deviations.
TRUNCATED = 0.7737413035


@pytest.mark.parametrize(
    "shape, n",
    [
        ((3, 3, 16, 32), (9 * 16 + 9 * 32) / 2),
        ((300, 100), 200),
        ((5000,), 5000),  # a bias: both fans are its length, so it starts random
    ],
)
def test_report_variance_and_bounds(shape, n):
    draw = np.asarray(INITS["report"].kernel(jax.random.key(3), shape, "float32"))
    np.testing.assert_allclose(draw.var(), TRUNCATED * 1.3 / n, rtol=0.06)
    assert abs(draw.mean()) < 5 * draw.std() / np.sqrt(draw.size)
    bound = 2 * np.sqrt(1.3 / n)
    assert 0.97 * bound < np.abs(draw).max() <= bound * (1 + 1e-6)


def test_report_draws_every_kind_alike():
    init = INITS["report"]
    assert init.kernel is init.last_kernel is init.bias


def test_standard_variances():
    init, key = INITS["standard"], jax.random.key(4)
    relu = np.asarray(init.kernel(key, (3, 3, 16, 32), "float32"))
    last = np.asarray(init.last_kernel(key, (144, 40), "float32"))
    np.testing.assert_allclose(relu.var(), 2 / (9 * 16), rtol=0.06)  # He et al.
    np.testing.assert_allclose(last.var(), 1 / 144, rtol=0.06)
    np.testing.assert_array_equal(init.bias(key, (7,), "float32"), 0)


@pytest.mark.parametrize("kind", ["kernel", "last_kernel"])
def test_glorot_variance(kind):
    draw = getattr(INITS["glorot"], kind)(jax.random.key(5), (3, 3, 16, 32), "float32")
    np.testing.assert_allclose(np.var(draw), 2 / (9 * 16 + 9 * 32), rtol=0.06)
    np.testing.assert_array_equal(INITS["glorot"].bias(jax.random.key(5), (7,)), 0)


@pytest.mark.parametrize("name", INITS)
def test_another_key_is_another_draw(name):
    one, other = (
        INITS.find(name).kernel(jax.random.key(seed), (4, 5), "float32")
        for seed in (0, 1)
    )
    assert one.dtype == np.float32
    assert np.all(one != other)


def test_unknown_name_lists_the_known():
    with pytest.raises(UserError, match="--init=he: unknown; known: standard, report"):
        INITS.find("he")
