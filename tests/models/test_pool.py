"""Max pooling and ReLU against flax.linen's, ties and second derivatives included."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab.models import backend
from normlab.models.pool import max_pool_relu


@pytest.fixture(params=["cpu", "gpu"], autouse=True)
def platform(request, monkeypatch):
    """Each has its own backward pass."""
    monkeypatch.setattr(backend, "is_cpu", lambda: request.param == "cpu")
    jax.clear_caches()


def linen_pool(x_NHWC):
    return nn.relu(nn.max_pool(x_NHWC, (2, 2), strides=(2, 2), padding="SAME"))


def plain_pool(x_NHWC):
    """Windows as two axes and one maximum over them: `jnp.max` shares among ties."""
    n, height, width, c = x_NHWC.shape
    pads = ((0, 0), (0, height % 2), (0, width % 2), (0, 0))
    x = jnp.pad(x_NHWC, pads, constant_values=-jnp.inf)
    windows = x.reshape(n, -(-height // 2), 2, -(-width // 2), 2, c)
    return nn.relu(windows.max((2, 4)))


@partial(jax.jit, static_argnums=0)
def _value_and_gradient(pool, x, cotangent):
    y, vjp = jax.vjp(pool, x)
    return y, vjp(cotangent)[0]


def value_and_gradient(pool, x):
    """The value, and the gradient under a random cotangent, the same for all."""
    shape = jax.eval_shape(pool, x).shape
    cotangent = np.random.default_rng(7).normal(size=shape).astype("float32")
    return jax.tree.map(np.asarray, _value_and_gradient(pool, x, cotangent))


def equal(found, expected):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def inputs(kind, shape):
    random = np.random.default_rng(3)
    x = {
        "random": random.normal(size=shape),
        "constant": np.full(shape, 1.5),
        "integers": random.integers(-1, 2, shape),  # most windows have a tie
    }[kind]
    return x.astype("float32")


SHAPES = [(2, 6, 4, 3), (2, 5, 7, 2), (3, 1, 5, 2)]


@pytest.mark.parametrize("shape", SHAPES)
def test_equals_linen_where_no_entries_are_equal(shape):
    x = inputs("random", shape)
    equal(value_and_gradient(max_pool_relu, x), value_and_gradient(linen_pool, x))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["constant", "integers"])
def test_equal_entries_share_the_gradient(kind, shape):
    x = inputs(kind, shape)
    linens = value_and_gradient(linen_pool, x)
    expected = value_and_gradient(plain_pool, x)
    np.testing.assert_array_equal(linens[0], expected[0])
    assert np.abs(linens[1] - expected[1]).max() > 0.1  # there, the first takes it all
    equal(value_and_gradient(max_pool_relu, x), expected)


def test_backward_needs_no_select_and_scatter():
    x = inputs("random", (1, 4, 4, 1))

    def gradient_of(pool):
        return str(jax.make_jaxpr(jax.grad(lambda x: pool(x).sum()))(x))

    assert "select_and_scatter" in gradient_of(linen_pool)
    assert "scatter" not in gradient_of(max_pool_relu)


@jax.jit
def hessian_vector_products(x, v):
    """Of the plain pool; of ours forward over reverse, and reverse over reverse."""

    def gradient(pool):
        return jax.grad(lambda x: (pool(x) ** 3).sum())

    return (
        jax.jvp(gradient(plain_pool), (x,), (v,))[1],
        jax.jvp(gradient(max_pool_relu), (x,), (v,))[1],
        jax.grad(lambda x: jnp.vdot(gradient(max_pool_relu)(x), v))(x),
    )


@pytest.mark.parametrize("kind", ["random", "integers"])
@pytest.mark.parametrize("shape", SHAPES[:2])
def test_hessian_vector_products(shape, kind):
    v = np.random.default_rng(5).normal(size=shape).astype("float32")
    expected, *found = hessian_vector_products(inputs(kind, shape), v)
    assert np.abs(expected).max() > 1
    for product in found:
        np.testing.assert_allclose(product, expected, rtol=1e-5, atol=1e-6)


def test_relu_may_follow_the_pool():
    x = inputs("random", (3, 6, 6, 4))
    weights = np.random.default_rng(8).normal(size=(3, 3, 3, 4)).astype("float32")

    def after(x):
        return jnp.sum(weights * max_pool_relu(x))

    def before(x):
        return jnp.sum(weights * max_pool_relu(nn.relu(x)))

    assert str(jax.make_jaxpr(after)(x)) != str(jax.make_jaxpr(before)(x))
    pair = jax.jit(lambda x: [jax.value_and_grad(f)(x) for f in (after, before)])(x)
    for a, b in zip(*pair, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_vmap_equals_one_by_one():
    x = np.stack([inputs("integers", (2, 5, 4, 2)), inputs("random", (2, 5, 4, 2))])

    @jax.jit
    def gradient(x):
        return jax.grad(lambda x: (max_pool_relu(x) ** 3).sum())(x)

    one_by_one = np.stack([gradient(x[0]), gradient(x[1])])
    np.testing.assert_array_equal(jax.vmap(gradient)(x), one_by_one)


def test_a_gpu_keeps_bytes_and_a_cpu_the_input(monkeypatch):
    x = inputs("random", (2, 4, 4, 3))

    def kept() -> set[str]:
        _, vjp = jax.vjp(max_pool_relu, x)
        return {str(leaf.dtype) for leaf in jax.tree.leaves(vjp)}

    monkeypatch.setattr(backend, "is_cpu", lambda: True)
    assert kept() == {"float32"}
    monkeypatch.setattr(backend, "is_cpu", lambda: False)
    assert kept() == {"uint8"}
