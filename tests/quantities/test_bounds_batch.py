"""Santurkar's theorems: corrected they hold, as printed they do not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab.quantities import bounds, bounds_batch
from normlab.quantities.bounds import Layer
from tests.quantities.test_bounds import EPSILONS, assert_identity, numbers

SHAPES = [(5, 4), (3, 2, 2, 4), (6, 2, 2, 3)]


def theorem_4_1(point, _):
    return bounds_batch.theorem_4_1(
        point.layer, point.output_gradient, point.input_gradient
    )


def theorem_4_2(point, _):
    return bounds_batch.theorem_4_2(
        point.layer,
        point.output_gradient,
        point.input_gradient,
        point.input_hessian,
        point.output_hessian,
    )


@pytest.mark.parametrize("epsilon", EPSILONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_theorem_4_1_holds_with_1_over_m_and_fails_as_printed(shape, epsilon, x64):
    def both(point, drawn):
        b = bounds.blocks_of(point.layer)
        return (
            theorem_4_1(point, drawn),
            bounds.dot(b.scale * point.layer.cut(point.output_gradient), b.yhat),
            b,
        )

    found, along, blocks = numbers(both, shape, epsilon, None)
    assert_identity(found)
    assert (found.bound >= found.left - 1e-12 * found.size).all()
    # False in every channel whose scale is not 0, and by this much:
    moving = along != 0
    assert moving.sum() == moving.size - 1
    assert (found.printed_slack[moving] < -1e-6 * found.size[moving]).all()
    m = blocks.yhat.shape[-1]
    room = np.sqrt(m) / m - (2 - (blocks.yhat**2).sum(-1) / m) / m
    expected = -room * along**2 / blocks.variance
    atol = 1e-9 * found.size.max()
    np.testing.assert_allclose(found.printed_slack, expected, rtol=1e-9, atol=atol)


def test_the_printed_right_side_can_be_negative(x64):
    """A squared norm that is said to be less than a negative number."""
    m = 24
    y = np.random.default_rng(0).normal(size=(m, 1))
    g = jnp.asarray(y + 0.5 * np.random.default_rng(1).normal(size=(m, 1)))
    layer = Layer(jnp.asarray(y), None, 0.0)
    found = bounds_batch.theorem_4_1(layer, g, bounds.pull_back(layer, g))
    np.testing.assert_allclose(found.right, found.left, rtol=1e-9)
    assert found.left[0] > 0 > found.printed[0]


@pytest.mark.parametrize("groups", [None, 2])
@pytest.mark.parametrize("epsilon", EPSILONS)
def test_theorem_4_2(epsilon, groups, x64):
    found = numbers(theorem_4_2, (3, 2, 2, 4), epsilon, groups, 4, hessians=True)
    assert_identity(found)
    off = abs(found.printed_slack) / found.size
    if epsilon == 0:
        assert np.nanmax(off) < 1e-9
    else:
        assert np.nanmax(off) > 1e-3 * epsilon
    assert (found.alignment > 0).any() and (found.alignment < 0).any()


def test_theorem_4_2_as_printed_is_no_bound_for_positive_epsilon(x64):
    found = numbers(theorem_4_2, (5, 4), 0.5, None, hessians=True)
    assert_identity(found)
    off = found.printed_slack / np.where(found.size > 0, found.size, 1)
    assert off.min() < -1e-4 and off.max() > 1e-4


@pytest.mark.parametrize("epsilon", EPSILONS)
def test_theorem_4_4_is_theorem_4_1_over_the_worst_input(epsilon, x64):
    radius = 1.7

    def both(point, _):
        arrays = (point.layer, point.output_gradient, point.input_gradient)
        return bounds_batch.theorem_4_4(*arrays, radius), arrays

    found, (layer, g, v) = numbers(both, (5, 4), epsilon, None)
    assert_identity(found)
    assert (found.bound >= found.left * (1 - 1e-9)).all()
    # By the book: sums over the batch, every coefficient as printed.
    b = jax.vmap(bounds.blocks_of)(layer)
    square, mean = (g**2).sum(1), g.mean(1)
    along = (np.moveaxis(g, -1, 1) * b.yhat).sum(-1)
    factor = layer.scale**2 / b.variance
    printed = factor * ((radius**2 * square) ** 2 - 5 * mean**2 - radius**2 * along**2)
    corrected = factor * radius**2 * (square - 5 * mean**2 - along**2 / 5)
    np.testing.assert_allclose(found.printed, printed, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.bound, corrected, rtol=1e-9, atol=1e-12)
    assert (abs(found.printed - found.bound) > 0.01 * found.bound).any()
    # Inputs of that norm: none exceeds the left side, and one attains it.
    rng = np.random.default_rng(0)
    for member, channel in np.ndindex(found.left.shape):
        gradient = v[member, :, channel]
        for _ in range(3):
            x = rng.normal(size=(5, 7))
            x *= radius / np.linalg.norm(x, 2)
            most = found.left[member, channel] * (1 + 1e-12)
            assert ((x.T @ gradient) ** 2).sum() <= most
        if gradient.any():
            unit = gradient / np.linalg.norm(gradient)
            worst = ((radius * np.outer(unit, np.eye(7)[0])).T @ gradient) ** 2
            np.testing.assert_allclose(worst.sum(), found.left[member, channel])


def test_theorem_4_4_as_printed_fails(x64):
    """A small gradient: its fourth power is less than its square."""
    y, g = jnp.asarray(np.random.default_rng(3).normal(size=(2, 8, 3)))
    layer = Layer(y, None, 0.0)
    v = bounds.pull_back(layer, 0.01 * g)
    found = bounds_batch.theorem_4_4(layer, 0.01 * g, v, 1.0)
    assert_identity(found)
    assert (found.printed_slack < -0.5 * found.left).all()


def test_theorems_of_batch_norm_refuse_groups():
    layer = Layer(jnp.ones((2, 3, 4)), None, 1e-5, 2)
    for call in (
        lambda: bounds_batch.theorem_4_1(layer, layer.y, layer.y),
        lambda: bounds_batch.theorem_4_4(layer, layer.y, layer.y, 1.0),
    ):
        with pytest.raises(ValueError, match="asked of 2 groups"):
            call()


def test_lemma_4_5(x64):
    """The projection is the nearest point of the ray, and nearer than W* itself."""
    start, optimum = jnp.asarray(np.random.default_rng(0).normal(size=(2, 6, 4)))
    start = start + 0.5 * optimum
    found = jax.tree.map(np.asarray, bounds_batch.lemma_4_5(start, optimum))
    np.testing.assert_allclose(found.left, found.right, rtol=1e-9)
    on_ray = np.linspace(-3, 3, 6001)[:, None, None] * np.asarray(optimum)
    distance = ((np.asarray(start) - on_ray) ** 2).sum(-1)
    assert (found.left <= distance + 1e-12).all()
    np.testing.assert_allclose(found.left, distance.min(0), atol=1e-5)
    assert (found.factor > 0).sum() >= 3


def test_lemma_4_5_where_batch_norm_gives_its_premise(x64):
    """The loss is the same at k W*, to the last digits; without the norm it is not."""
    rng = np.random.default_rng(1)
    x, start, optimum = (
        jnp.asarray(rng.normal(size=shape)) for shape in ((9, 4), (4, 3), (4, 3))
    )
    found = bounds_batch.lemma_4_5(start.T, optimum.T)
    rescaled = optimum * abs(found.factor)[None]

    def loss(w, normalize):
        z = x @ w
        if normalize:
            z = (z - z.mean(0, keepdims=True)) / z.std(0, keepdims=True)
        return jnp.sin(z + jnp.square(z)).sum()

    np.testing.assert_allclose(loss(rescaled, True), loss(optimum, True), rtol=1e-12)
    assert abs(loss(rescaled, False) - loss(optimum, False)) > 0.1
