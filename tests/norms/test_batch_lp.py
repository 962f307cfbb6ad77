"""LpBatchNorm against float64, batch norm, and the closed form of its gradient."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from normlab import norms
from normlab.errors import UserError
from normlab.norms import functional, lp, make_norm
from normlab.settings.norms import LP

LpBatchNorm: Any = norms.LpBatchNorm  # Linen declares wider types: Any


def draw(seed=0, shape=(5, 3, 2, 4), mean=1.0):
    """x, scale, bias and a cotangent, float64."""
    rng = np.random.default_rng(seed)
    x, g = rng.normal(mean, 2.0, shape), rng.normal(size=shape)
    scale, bias = rng.normal(size=(2, shape[-1]))
    return x, scale, bias, g


def twin(x, scale, bias, p, epsilon):
    """The formula in numpy, channel by channel: y, mean, r."""
    y, means, radii = np.empty_like(x), [], []
    for c in range(x.shape[-1]):
        values = x[..., c]
        mean = values.mean()
        r = np.linalg.norm(values.ravel(), float(p))
        if p != "inf":
            r = r / values.size ** (1 / float(p))
        y[..., c] = scale[c] * (values - mean) / np.sqrt(r**2 + epsilon) + bias[c]
        means.append(mean)
        radii.append(r)
    return y, np.array(means), np.array(radii)


def root(moment, p):
    return np.sqrt(moment) if p == "2" else np.asarray(moment)


@pytest.mark.parametrize("mean", [0.0, 1.0, -50.0])
@pytest.mark.parametrize("p", LP)
def test_equals_its_float64_twin(p, mean):
    x, scale, bias, _ = draw(mean=mean)
    x32, *affine = (jnp.asarray(v, jnp.float32) for v in (x, scale, bias))
    found = lp.lp_batch_norm(x32, affine[0], affine[1], p, 0.1)
    rounded = np.asarray(x32, np.float64)
    y, means, radii = twin(rounded, scale, bias, p, 0.1)
    assert np.abs(y - bias).max() > 0.01
    np.testing.assert_allclose(found.y, y, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.mean, means, rtol=1e-5)
    np.testing.assert_allclose(root(found.moment, p), radii, rtol=1e-6)
    given = found.mean, found.moment, affine[0], affine[1]
    by = lp.lp_normalize_by(x32, *given, p, 0.1)
    np.testing.assert_allclose(by, y, rtol=1e-4, atol=1e-5)


def test_the_norms_grow_with_p_and_the_outputs_shrink():
    x = jnp.asarray(draw()[0], jnp.float32)
    found = [lp.lp_batch_norm(x, None, None, p, 0.0) for p in LP]
    radii = [root(f.moment, p) for f, p in zip(found, LP, strict=True)]
    sizes = [jnp.abs(f.y).max((0, 1, 2)) for f in found]
    assert (radii[0] < radii[1]).all() and (radii[1] < radii[2]).all()
    assert (sizes[0] > sizes[1]).all() and (sizes[1] > sizes[2]).all()


def test_p_2_of_a_centred_input_is_batch_norm():
    x, scale, bias, g = (jnp.asarray(v, jnp.float32) for v in draw())
    centred = x - x.mean((0, 1, 2), keepdims=True)

    def ours(x):
        return lp.lp_batch_norm(x, scale, bias, "2", 1e-2)

    found = ours(centred)
    expected = functional.batch_norm(centred, scale, bias, 1e-2)
    np.testing.assert_allclose(found.y, expected.y, atol=1e-5)
    np.testing.assert_allclose(found.moment, expected.var, rtol=1e-5)
    other = functional.batch_norm(x, scale, bias, 1e-2).y
    assert np.abs(ours(x).y - other).max() > 0.1


@pytest.mark.parametrize("p", LP)
def test_epsilon_means_the_same_for_every_p(p):
    """Of r^2 = epsilon the square root of 1/2 is left."""
    x = jnp.sqrt(1e-3) * jnp.array([[1.0], [-1.0], [1.0], [-1.0]])
    y = lp.lp_batch_norm(x, None, None, p, 1e-3).y
    np.testing.assert_allclose(y, np.sign(x) / np.sqrt(2), rtol=1e-6)


def steepest(y, r, p):
    """The gradient of r with respect to the elements y of one channel."""
    m = y.size
    if p == "1":
        return np.sign(y) / m
    if p == "2":
        return y / (m * r)
    return np.where(np.abs(y) == np.abs(y).max(), np.sign(y), 0.0)


@pytest.mark.parametrize("epsilon", [0.0, 0.3])
@pytest.mark.parametrize("p", LP)
def test_input_gradient_has_its_closed_form(p, epsilon, x64):
    """dL/dy = gamma/s (g - mean(g) 1 - <g, yhat> ds/dy), s = sqrt(r^2 + epsilon).

    There yhat = (y - mean)/s and ds/dy = (r/s) dr/dy; with epsilon = 0, s is r.
    """
    x, scale, bias, g = draw(3)

    def loss(x):
        return (g * lp.lp_batch_norm(x, scale, bias, p, epsilon).y).sum()

    gradient = np.asarray(jax.jit(jax.grad(loss))(jnp.asarray(x)))
    _, means, radii = twin(x, scale, bias, p, epsilon)
    for c in range(x.shape[-1]):
        y, g_c, r = x[..., c], g[..., c], radii[c]
        s = np.sqrt(r**2 + epsilon)
        y_hat = (y - means[c]) / s
        slope = r / s * steepest(y, r, p)
        expected = scale[c] / s * (g_c - g_c.mean() - (g_c * y_hat).sum() * slope)
        np.testing.assert_allclose(gradient[..., c], expected, rtol=1e-9, atol=1e-11)
        assert np.abs((g_c * y_hat).sum() * slope).max() > 1e-3


@pytest.mark.parametrize("p", LP)
def test_check_grads(p, x64):
    """With respect to x, scale and bias; no two |x| are close, nor any to 0."""
    x, scale, bias, _ = draw(1, (3, 2, 2, 2))
    mask = jnp.asarray(np.random.default_rng(2).random(x.shape) < 0.7)

    @jax.jit
    def norm(x, scale, bias):
        return lp.lp_batch_norm(x, scale, bias, p, 1e-2, mask=mask).y

    point = tuple(map(jnp.asarray, (x, scale, bias)))
    check_grads(norm, point, order=2, modes=["rev"], eps=1e-4)


@pytest.mark.parametrize("value", [0.0, 3.0])
@pytest.mark.parametrize("p", LP)
def test_a_constant_channel_has_a_finite_gradient(p, value):
    x = jnp.full((4, 2), value)
    w = jnp.arange(8.0).reshape(4, 2)
    norm = jax.value_and_grad(
        lambda x: (w * lp.lp_batch_norm(x, None, None, p, 1e-5).y).sum()
    )
    y, gradient = norm(x)
    assert y == 0.0
    expected = (w - w.mean(0, keepdims=True)) / np.sqrt(value**2 + 1e-5)
    np.testing.assert_allclose(gradient, expected, rtol=1e-5)


@pytest.mark.parametrize("p", LP)
def test_padded_batch_equals_the_unpadded_one(p):
    """Output, statistics and gradient; the padding is larger than all that is real."""
    x, scale, bias, g = (jnp.asarray(v, jnp.float32) for v in draw(4))
    padding = jnp.full((2, *x.shape[1:]), 100.0)
    padded = jnp.concatenate([padding[:1], x, padding[1:]])
    mask = jnp.array([0.0, 1, 1, 1, 1, 1, 0]).reshape(7, 1, 1, 1)
    longer = jnp.concatenate([0 * padding[:1], g, 0 * padding[1:]])

    def run(x, g, mask):
        def loss(x):
            found = lp.lp_batch_norm(x, scale, bias, p, 1e-5, mask=mask)
            return (g * found.y).sum(), found

        return jax.jit(jax.grad(loss, has_aux=True))(x)

    by_x, found = run(padded, longer, mask)
    expected_by_x, expected = run(x, g, None)
    np.testing.assert_allclose(found.y[1:-1], expected.y, atol=1e-5)
    np.testing.assert_allclose(by_x[1:-1], expected_by_x, atol=1e-5)
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-5)
    np.testing.assert_allclose(found.moment, expected.moment, rtol=1e-5)
    _, unmasked = run(padded, longer, None)
    assert np.abs(unmasked.moment - expected.moment).min() > 0.1


@pytest.mark.parametrize("n", [0, 1, 2, 20])
@pytest.mark.parametrize("p", LP)
def test_running_averages_follow_their_closed_form(p, n):
    """After n equal batches: r_n = momentum^n r_0 + (1 - momentum^n) batch."""
    x = np.random.default_rng(0).normal(3.0, 2.0, (16, 5)).astype("float32")
    layer = LpBatchNorm(p=p, momentum=0.9)
    variables = layer.init(jax.random.key(0), x, False)

    def update(v):
        return {**v, **layer.apply(v, x, False, mutable=["batch_stats"])[1]}

    for _ in range(n):
        variables = update(variables)
    kept = 0.9**n
    moment = {"1": np.abs(x).mean(0), "2": (x**2).mean(0), "inf": np.abs(x).max(0)}[p]
    running = variables["batch_stats"]
    np.testing.assert_allclose(running["mean"], (1 - kept) * x.mean(0), rtol=1e-5)
    np.testing.assert_allclose(running["moment"], kept + (1 - kept) * moment, rtol=1e-5)


@pytest.mark.parametrize("p", LP)
def test_running_averages_normalize_and_stay(p):
    x = 5 + jax.random.normal(jax.random.key(0), (8, 4))
    stats = {"mean": jnp.full(4, 2.0), "moment": jnp.full(4, 9.0)}
    layer = LpBatchNorm(p=p, epsilon=0.0)
    variables = {**layer.init(jax.random.key(0), x, False), "batch_stats": stats}
    y, new = layer.apply(variables, x, True, mutable=True)
    np.testing.assert_allclose(y, (x - 2) / (3 if p == "2" else 9), rtol=1e-6)
    jax.tree.map(np.testing.assert_array_equal, new["batch_stats"], stats)
    # Without mutable, batch statistics neither raise nor write.
    by_batch, new = layer.apply(variables, x, False, mutable=["batch_stats"])
    np.testing.assert_array_equal(layer.apply(variables, x, False), by_batch)
    assert np.abs(new["batch_stats"]["moment"] - 9.0).min() > 0.01


def test_statistics_keep_their_dtype_in_a_scan(x64):
    x = 2 + jax.random.normal(jax.random.key(0), (3, 8, 4), jnp.float64)
    layer = LpBatchNorm(p="1", momentum=0.5)
    variables = layer.init(jax.random.key(0), x[0], False)

    def step(variables, x):
        _, new = layer.apply(variables, x, False, mutable=["batch_stats"])
        return {**variables, **new}, None

    last, _ = jax.lax.scan(step, variables, x)
    size = jnp.abs(x).mean(1)
    expected = 1 / 8 + size[0] / 8 + size[1] / 4 + size[2] / 2
    np.testing.assert_allclose(last["batch_stats"]["moment"], expected, rtol=1e-12)


def test_a_narrow_input_is_summed_in_float32():
    x = jnp.full((70000, 1), 3.0, jnp.bfloat16)
    found = lp.lp_batch_norm(x, None, None, "1", 1e-5)
    assert found.moment.dtype == jnp.float32
    np.testing.assert_allclose(found.moment, 3.0, rtol=1e-5)


def test_another_p_is_refused():
    x = jnp.ones((2, 3))
    with pytest.raises(UserError, match="--norm_p=3: unknown; known: 1, 2, inf"):
        make_norm("batch_lp", norm_p="3")
    with pytest.raises(UserError, match="unknown p '3' of an lp norm"):
        LpBatchNorm(p="3").init(jax.random.key(0), x, False)
