"""Derivatives of the functional norms, forward, reverse and second order."""

from functools import partial
from typing import Any

import jax
import numpy as np
import pytest
from jax.test_util import check_grads

from normlab.norms import functional
from tests.marks import slow

EPSILONS = (0.0, 1e-5, 0.1)


def draw(seed, shape=(3, 2, 2, 4)):
    rng = np.random.default_rng(seed)
    channels = shape[-1]
    x = rng.normal(1.0, 2.0, shape)
    scale, bias = rng.normal(size=(2, channels))
    return rng, x, scale, bias


def batch_statistics(epsilon, mask=None):
    def norm(x, scale, bias):
        return functional.batch_norm(x, scale, bias, epsilon, mask=mask).y

    return norm


def running_statistics(epsilon, mask=None):
    mean: Any = np.linspace(-1.0, 1.0, 4)
    var: Any = np.linspace(0.5, 2.0, 4)

    def norm(x, scale, bias):
        return functional.normalize_by(x, mean, var, scale, bias, epsilon)

    return norm


def two_groups(epsilon, mask=None):
    def norm(x, scale, bias):
        return functional.group_norm(x, 2, scale, bias, epsilon, mask=mask).y

    return norm


FORMS = {"batch": batch_statistics, "running": running_statistics, "groups": two_groups}


@pytest.mark.parametrize(
    ("masked", "order"),
    [(True, 1), (False, 2), slow(True, 2)],
)
def test_check_grads(masked, order, x64):
    """With respect to x, scale and bias; of all forms in one program."""
    rng, x, scale, bias = draw(0)
    mask = rng.random(x.shape) < 0.7 if masked else None
    norms = [make(1e-5, mask) for make in FORMS.values()]
    together = jax.jit(lambda *args: [norm(*args) for norm in norms])
    modes = ["fwd", "rev"]
    check_grads(together, (x, scale, bias), order=order, modes=modes, eps=1e-4)


def test_check_grads_of_moments(x64):
    rng, x, _, _ = draw(1)
    mask = rng.random(x.shape) < 0.7
    moments = jax.jit(lambda x: functional.moments(x, (0, 2), mask=mask))
    check_grads(moments, (x,), order=2, modes=["fwd", "rev"], eps=1e-4)


@partial(jax.jit, static_argnums=5)
def derivatives(x, scale, bias, w, v, num_groups, epsilon):
    """Gradient and Hessian times v; and the norm's output and variance themselves."""

    def loss(x):
        z = functional.group_norm(x, num_groups, scale, bias, epsilon).y
        return (w * z).sum() + (z**3).sum() / 3

    plain = functional.group_norm(x, num_groups, None, None, epsilon)
    return *jax.jvp(jax.grad(loss), (x,), (v,)), plain.y, plain.var


@pytest.mark.parametrize("epsilon", EPSILONS)
@pytest.mark.parametrize("num_groups", [1, 2, 4])
def test_input_gradient_and_curvature_have_their_closed_forms(num_groups, epsilon, x64):
    """Of L(z) = sum w z + 1/3 sum z^3, z = group_norm(x), for one example.

    With s^2 = var + epsilon, g = dL/dz, q = scale g, and per block of m elements
    P v = v - mean v, J v = (P v - xhat <xhat, v> / m) / s, a = <q, P v>,
    b = <q, xhat>, c = <xhat, v>:  dL/dx = J q, and the second derivative along v is
    sum 2 z (scale J v)^2 + (-2 a c + 3 b c^2 / m - b <v, P v>) / (m s^2).
    """
    rng, x, scale, bias = draw(num_groups, (1, 2, 3, 4))
    w, v = rng.normal(size=(2, *x.shape))
    gradient, hessian_v, xhat, var = (
        np.asarray(found)
        for found in derivatives(x, scale, bias, w, v, num_groups, epsilon)
    )

    def blocks(array):
        return np.asarray(array).reshape(6, num_groups, -1).swapaxes(0, 1)

    def dot(p, q):
        return (p * q).sum((1, 2), keepdims=True)

    z, h = xhat * scale + bias, blocks(xhat)
    m = h[0].size
    s = np.sqrt(var.reshape(-1, 1, 1) + epsilon)

    def project(u):
        return u - u.mean((1, 2), keepdims=True)

    def jacobian(u):
        return (project(u) - h * dot(h, u) / m) / s

    q, u = blocks((w + z**2) * scale), blocks(v)
    np.testing.assert_allclose(blocks(gradient), jacobian(q), rtol=1e-10, atol=1e-12)
    a, b, c = dot(q, project(u)), dot(q, h), dot(h, u)
    bent = (-2 * a * c + 3 * b * c**2 / m - b * dot(u, project(u))) / (m * s**2)
    scaled = jacobian(u) * blocks(np.broadcast_to(scale, x.shape))
    expected = (2 * blocks(z) * scaled**2).sum() + bent.sum()
    assert abs(bent.sum()) > 0.01 * abs(expected)
    np.testing.assert_allclose((v * hessian_v).sum(), expected, rtol=1e-10)


@pytest.mark.parametrize("form", ["batch", "groups"])
def test_constant_blocks_have_exact_finite_derivatives(form):
    """There xhat = 0, so dy/dx = scale P / sqrt(epsilon)."""
    rng, x_shape, epsilon = np.random.default_rng(0), (3, 2, 3, 4), 1e-2
    scale, bias, w = (
        rng.normal(size=s).astype("float32") for s in ((4,), (4,), x_shape)
    )
    norm = FORMS[form](epsilon)

    @jax.jit
    def found(x, scale, bias):
        def loss(x, scale, bias):
            return (w * norm(x, scale, bias)).sum()

        gradient, point = jax.grad(loss, argnums=(0, 1, 2)), (x, scale, bias)
        along_x = (w, 0 * scale, 0 * bias)
        return norm(*point), *jax.jvp(gradient, point, along_x)

    for value in (0.0, 0.1, 1e4 + 0.1):
        x = np.full(x_shape, value, "float32")
        y, gradients, curvatures = found(x, scale, bias)
        np.testing.assert_allclose(y, np.broadcast_to(bias, y.shape), atol=0.02)
        np.testing.assert_allclose(gradients[1], 0.0, atol=0.2)
        np.testing.assert_allclose(gradients[2], w.sum((0, 1, 2)), rtol=1e-5)
        shape, axes = ((18, 4), 0) if form == "batch" else ((3, 6, 2, 2), (1, 3))
        q = (w * scale).reshape(shape)
        expected = (q - q.mean(axes, keepdims=True)).reshape(x.shape) / np.sqrt(epsilon)
        np.testing.assert_allclose(gradients[0], expected, rtol=0.02, atol=0.05)
        assert all(np.isfinite(c).all() for c in curvatures)


def test_variance_of_a_constant_has_its_curvature():
    """2/m (I - 11'/m), where clipping the variance at 0 would cut it."""
    hessian = jax.jit(jax.hessian(lambda x: functional.moments(x, (0, 1))[1]))
    expected = 2 / 7 * (np.eye(7) - 1 / 7)
    for value in (0.0, 0.1, -7.3):
        found = np.asarray(hessian(np.full((1, 7), value, "float32")))
        np.testing.assert_allclose(found.reshape(7, 7), expected, atol=1e-6)
