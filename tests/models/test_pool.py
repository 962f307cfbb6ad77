"""Max pooling against flax.linen's, ties and second derivatives included."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab.models.pool import max_pool_2x2


def linen_pool(x_NHWC):
    return nn.max_pool(x_NHWC, (2, 2), strides=(2, 2), padding="SAME")


def both(x):
    """Value and gradient of our pool and of Linen's, under one random cotangent."""
    results = []
    for pool in (max_pool_2x2, linen_pool):
        y, vjp = jax.vjp(pool, x)
        cotangent = np.random.default_rng(7).normal(size=y.shape)
        results.append((y, *vjp(jnp.asarray(cotangent, y.dtype))))
    return results


def inputs(kind, shape):
    random = np.random.default_rng(3)
    x = {
        "random": random.normal(size=shape),
        "constant": np.full(shape, -1.5),
        "integers": random.integers(-2, 1, shape),  # most windows have a tie
    }[kind]
    return jnp.asarray(x, "float32")


@pytest.mark.parametrize("shape", [(2, 6, 4, 3), (2, 5, 7, 2), (1, 1, 3, 1)])
@pytest.mark.parametrize("kind", ["random", "constant", "integers"])
def test_equals_linen_in_value_and_gradient(kind, shape):
    ours, theirs = both(inputs(kind, shape))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_tied_inputs_have_ties_that_an_even_split_would_betray():
    x = inputs("integers", (2, 6, 4, 3))
    corners = np.stack([x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)])
    assert ((corners == corners.max(0)).sum(0) > 1).any()
    _, gradient = both(x)[0]
    windows = np.stack([gradient[:, i::2, j::2] for i in (0, 1) for j in (0, 1)])
    np.testing.assert_array_equal((windows != 0).sum(0), 1)


def test_backward_needs_no_select_and_scatter():
    x = inputs("random", (1, 4, 4, 1))

    def gradient_of(pool):
        return str(jax.make_jaxpr(jax.grad(lambda x: pool(x).sum()))(x))

    assert "select_and_scatter" in gradient_of(linen_pool)
    assert "scatter" not in gradient_of(max_pool_2x2)


@pytest.mark.parametrize("shape", [(2, 4, 4, 2), (1, 5, 3, 2)])
def test_hessian_vector_products(shape):
    """Forward over reverse: where the maximum is fixed, pool(x)**2 is quadratic."""
    random = np.random.default_rng(5)
    x = jnp.asarray(random.permutation(np.prod(shape)).reshape(shape), "float32")
    v = jnp.asarray(random.normal(size=shape), "float32")

    def hvp(x):
        def loss(x):
            return (max_pool_2x2(x) ** 2).sum()

        return jax.jvp(jax.grad(loss), (x,), (v,))[1]

    tied = jnp.round(x / 8)  # of equal entries the one that the gradient chose
    for point in (x, tied):
        chosen = np.asarray(jax.grad(lambda x: max_pool_2x2(x).sum())(point))
        np.testing.assert_allclose(hvp(point), 2 * chosen * v, rtol=1e-6)


def test_relu_may_follow_the_pool():
    x = inputs("random", (3, 6, 6, 4))
    weights = jnp.asarray(np.random.default_rng(8).normal(size=(3, 3, 3, 4)), "f4")

    def after(x):
        return jnp.sum(weights * nn.relu(max_pool_2x2(x)))

    def before(x):
        return jnp.sum(weights * max_pool_2x2(nn.relu(x)))

    assert str(jax.make_jaxpr(after)(x)) != str(jax.make_jaxpr(before)(x))
    for a, b in zip(
        jax.value_and_grad(after)(x), jax.value_and_grad(before)(x), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_vmap_equals_one_by_one():
    x = jnp.stack([inputs("integers", (2, 5, 4, 2)), inputs("random", (2, 5, 4, 2))])

    def gradient(x):
        return jax.grad(lambda x: (max_pool_2x2(x) ** 3).sum())(x)

    one_by_one = jnp.stack([gradient(x[0]), gradient(x[1])])
    np.testing.assert_array_equal(jax.vmap(gradient)(x), one_by_one)
