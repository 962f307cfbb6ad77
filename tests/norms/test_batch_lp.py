"""LpBatchNorm against float64, batch norm, and the closed form of its gradient."""

from functools import partial
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


@partial(jax.jit, static_argnums=3)
def norm_and_by_itself(x, scale, bias, p):
    """What the norm finds, and x normalized by the statistics that it found."""
    found = lp.lp_batch_norm(x, scale, bias, p, 0.1)
    given = found.mean, found.moment, scale, bias
    return found, lp.lp_normalize_by(x, *given, p, 0.1)


@pytest.mark.parametrize("mean", [0.0, 1.0, -50.0])
@pytest.mark.parametrize("p", LP)
def test_equals_its_float64_twin(p, mean):
    x, scale, bias, _ = draw(mean=mean)
    x32, *affine = (v.astype("float32") for v in (x, scale, bias))

    found, by = norm_and_by_itself(x32, *affine, p)
    rounded = np.asarray(x32, np.float64)
    y, means, radii = twin(rounded, scale, bias, p, 0.1)
    assert np.abs(y - bias).max() > 0.01
    np.testing.assert_allclose(found.y, y, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.mean, means, rtol=1e-5)
    np.testing.assert_allclose(root(found.moment, p), radii, rtol=1e-6)
    np.testing.assert_allclose(by, y, rtol=1e-4, atol=1e-5)


def test_the_norms_grow_with_p_and_the_outputs_shrink():
    x = draw()[0].astype("float32")
    found = jax.jit(lambda x: [lp.lp_batch_norm(x, None, None, p, 0.0) for p in LP])(x)
    radii = [root(f.moment, p) for f, p in zip(found, LP, strict=True)]
    sizes = [np.abs(f.y).max((0, 1, 2)) for f in found]
    assert (radii[0] < radii[1]).all() and (radii[1] < radii[2]).all()
    assert (sizes[0] > sizes[1]).all() and (sizes[1] > sizes[2]).all()


def test_p_2_of_a_centred_input_is_batch_norm():
    x, scale, bias, _ = (v.astype("float32") for v in draw())
    centred = x - x.mean((0, 1, 2), keepdims=True)

    @jax.jit
    def both(x):
        ours = lp.lp_batch_norm(x, scale, bias, "2", 1e-2)
        return ours, functional.batch_norm(x, scale, bias, 1e-2)

    found, expected = both(centred)
    np.testing.assert_allclose(found.y, expected.y, atol=1e-5)
    np.testing.assert_allclose(found.moment, expected.var, rtol=1e-5)
    found, expected = both(x)
    assert np.abs(found.y - expected.y).max() > 0.1


@pytest.mark.parametrize("p", LP)
def test_epsilon_means_the_same_for_every_p(p):
    """Of r^2 = epsilon the square root of 1/2 is left."""
    x = np.sqrt(1e-3, dtype="float32") * np.array([[1], [-1], [1], [-1]], "float32")
    y = jax.jit(lambda x: lp.lp_batch_norm(x, None, None, p, 1e-3).y)(x)
    np.testing.assert_allclose(y, np.sign(x) / np.sqrt(2), rtol=1e-6)


def steepest(y, r, p):
    """The gradient of r with respect to the elements y of one channel."""
    m = y.size
    if p == "1":
        return np.sign(y) / m
    if p == "2":
        return y / (m * r)
    return np.where(np.abs(y) == np.abs(y).max(), np.sign(y), 0.0)


@partial(jax.jit, static_argnums=4)
def gradient_of(x, scale, bias, g, p, epsilon):
    """By x, of sum g y."""

    def loss(x):
        return (g * lp.lp_batch_norm(x, scale, bias, p, epsilon).y).sum()

    return jax.grad(loss)(x)


@pytest.mark.parametrize("epsilon", [0.0, 0.3])
@pytest.mark.parametrize("p", LP)
def test_input_gradient_has_its_closed_form(p, epsilon, x64):
    """dL/dy = gamma/s (g - mean(g) 1 - <g, yhat> ds/dy), s = sqrt(r^2 + epsilon).

    There yhat = (y - mean)/s and ds/dy = (r/s) dr/dy; with epsilon = 0, s is r.
    """
    x, scale, bias, g = draw(3)
    gradient = np.asarray(gradient_of(x, scale, bias, g, p, epsilon))
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
    mask = np.random.default_rng(2).random(x.shape) < 0.7

    @jax.jit
    def norm(x, scale, bias):
        return lp.lp_batch_norm(x, scale, bias, p, 1e-2, mask=mask).y

    check_grads(norm, (x, scale, bias), order=2, modes=["rev"], eps=1e-4)


@pytest.mark.parametrize("p", LP)
def test_a_constant_channel_has_a_finite_gradient(p):
    w = np.arange(8, dtype="float32").reshape(4, 2)
    norm = jax.jit(
        jax.value_and_grad(
            lambda x: (w * lp.lp_batch_norm(x, None, None, p, 1e-5).y).sum()
        )
    )
    for value in (0.0, 3.0):
        y, gradient = norm(np.full((4, 2), value, "float32"))
        assert y == 0.0
        expected = (w - w.mean(0, keepdims=True)) / np.sqrt(value**2 + 1e-5)
        np.testing.assert_allclose(gradient, expected, rtol=1e-5)


@pytest.mark.parametrize("p", LP)
def test_padded_batch_equals_the_unpadded_one(p):
    """Output, statistics and gradient; the padding is larger than all that is real."""
    x, scale, bias, g = (v.astype("float32") for v in draw(4))
    padding = np.full((2, *x.shape[1:]), 100.0, "float32")
    padded = np.concatenate([padding[:1], x, padding[1:]])
    mask = np.array([0, 1, 1, 1, 1, 1, 0], "float32").reshape(7, 1, 1, 1)
    longer = np.concatenate([0 * padding[:1], g, 0 * padding[1:]])

    @jax.jit
    def run(x, g, mask):
        def loss(x):
            found = lp.lp_batch_norm(x, scale, bias, p, 1e-5, mask=mask)
            return (g * found.y).sum(), found

        return jax.grad(loss, has_aux=True)(x)

    by_x, found = run(padded, longer, mask)
    expected_by_x, expected = run(x, g, None)
    np.testing.assert_allclose(found.y[1:-1], expected.y, atol=1e-5)
    np.testing.assert_allclose(by_x[1:-1], expected_by_x, atol=1e-5)
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-5)
    np.testing.assert_allclose(found.moment, expected.moment, rtol=1e-5)
    _, unmasked = run(padded, longer, np.ones_like(mask))
    assert np.abs(unmasked.moment - expected.moment).min() > 0.1


def begun(layer, x) -> Any:
    return jax.jit(lambda key: layer.init(key, x, False))(jax.random.key(0))


@pytest.mark.parametrize("p", LP)
def test_running_averages_follow_their_closed_form(p):
    """After n equal batches: r_n = momentum^n r_0 + (1 - momentum^n) batch."""
    x = np.random.default_rng(0).normal(3.0, 2.0, (16, 5)).astype("float32")
    layer = LpBatchNorm(p=p, momentum=0.9)
    variables = begun(layer, x)

    @jax.jit
    def update(v, x):
        return {**v, **layer.apply(v, x, False, mutable=["batch_stats"])[1]}

    mean = x.mean(0)
    moment = {"1": np.abs(x).mean(0), "2": (x**2).mean(0), "inf": np.abs(x).max(0)}[p]
    for n in range(21):
        kept, running = 0.9**n, variables["batch_stats"]
        np.testing.assert_allclose(running["mean"], (1 - kept) * mean, rtol=1e-5)
        expected = kept + (1 - kept) * moment
        np.testing.assert_allclose(running["moment"], expected, rtol=1e-5)
        variables = update(variables, x)


@pytest.mark.parametrize("p", LP)
def test_running_averages_normalize_and_stay(p):
    x = np.random.default_rng(0).normal(5.0, 1.0, (8, 4)).astype("float32")
    stats = {"mean": np.full(4, 2, "float32"), "moment": np.full(4, 9, "float32")}
    layer = LpBatchNorm(p=p, epsilon=0.0)

    @jax.jit
    def outputs(variables, x):
        running = layer.apply(variables, x, True, mutable=True)
        # Without mutable, batch statistics neither raise nor write.
        unwritten = layer.apply(variables, x, False)
        return (
            running,
            unwritten,
            layer.apply(variables, x, False, mutable=["batch_stats"]),
        )

    variables = {**begun(layer, x), "batch_stats": stats}
    (y, new), unwritten, (by_batch, after) = outputs(variables, x)
    np.testing.assert_allclose(y, (x - 2) / (3 if p == "2" else 9), rtol=1e-6)
    jax.tree.map(np.testing.assert_array_equal, new["batch_stats"], stats)
    np.testing.assert_array_equal(unwritten, by_batch)
    assert np.abs(after["batch_stats"]["moment"] - 9.0).min() > 0.01


def test_statistics_keep_their_dtype_in_a_scan(x64):
    x = np.random.default_rng(0).normal(2, 1, (3, 8, 4))
    layer = LpBatchNorm(p="1", momentum=0.5)
    variables = begun(layer, x[0])

    def step(variables, x):
        _, new = layer.apply(variables, x, False, mutable=["batch_stats"])
        return {**variables, **new}, None

    last, _ = jax.lax.scan(step, variables, x)
    size = np.abs(x).mean(1)
    expected = 1 / 8 + size[0] / 8 + size[1] / 4 + size[2] / 2
    np.testing.assert_allclose(last["batch_stats"]["moment"], expected, rtol=1e-12)


def test_a_narrow_input_is_summed_in_float32():
    x = np.full((70000, 1), 3.0, jnp.bfloat16)
    found = jax.jit(lambda x: lp.lp_batch_norm(x, None, None, "1", 1e-5))(x)
    assert found.moment.dtype == jnp.float32
    np.testing.assert_allclose(found.moment, 3.0, rtol=1e-5)


def test_another_p_is_refused():
    x = jnp.ones((2, 3))
    with pytest.raises(UserError, match="--norm_p=3: unknown; known: 1, 2, inf"):
        make_norm("batch_lp", norm_p="3")
    with pytest.raises(UserError, match="unknown p '3' of an lp norm"):
        LpBatchNorm(p="3").init(jax.random.key(0), x, False)
