"""Santurkar's other theorems: corrected they hold, as printed they do not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab.quantities import bounds, bounds_printed
from normlab.quantities.bounds import Layer
from tests.quantities.test_bounds import (
    assert_identity,
    numbers,
    of_first_order,
    of_second_order,
    own_forms,
)


@pytest.mark.parametrize("groups", [None, 2])
def test_theorem_4_2(groups, x64):
    """An equality at epsilon = 0, and with epsilon neither that nor a bound."""

    def both(at):
        layer, v = at.layer, at.input_gradient
        b = bounds.blocks_of(layer)
        scaled = layer.join(b.scale * layer.cut(v))
        curvature = own_forms(layer, at.output_hessian, scaled)
        printed = bounds_printed.theorem_4_2(layer, at.output_gradient, v, curvature)
        aligned = bounds.bent(layer, at.output_gradient, v).alignment
        return of_second_order(at, v, own_forms), printed, aligned

    found = numbers(both, (3, 2, 2, 4), groups, seed=4, hessians=True)
    for epsilon, (sides, printed, aligned) in found.items():
        assert_identity(sides)
        off = (printed - sides.left) / np.where(sides.size > 0, sides.size, 1)
        assert (aligned > 0).any() and (aligned < 0).any()
        if epsilon == 0:
            assert abs(off).max() < 1e-9
        else:
            assert off.min() < -1e-3 * epsilon and off.max() > 1e-3 * epsilon


def test_theorem_4_4_is_theorem_4_1_over_the_worst_input(x64):
    radius = 1.7

    def both(at):
        printed = bounds_printed.theorem_4_4(at.layer, at.output_gradient, radius)
        arrays = at.output_gradient, at.input_gradient, at.layer.scale
        return of_first_order(at), printed, bounds.blocks_of(at.layer), arrays

    for first, printed, b, (g, v, scale) in numbers(both, (5, 4), None).values():
        # By the book: sums over the batch, every coefficient as printed.
        square, mean = (g**2).sum(1), g.mean(1)
        along = (np.moveaxis(g, -1, 1) * b.yhat).sum(-1)
        factor = scale**2 / b.variance
        expected = (radius**2 * square) ** 2 - 5 * mean**2 - radius**2 * along**2
        np.testing.assert_allclose(printed, factor * expected, rtol=1e-9, atol=1e-12)
        corrected = factor * radius**2 * (square - 5 * mean**2 - along**2 / 5)
        bound = radius**2 * first.bound
        np.testing.assert_allclose(bound, corrected, rtol=1e-9, atol=1e-12)
        assert (abs(printed - bound) > 0.01 * bound).any()
        # Inputs of that norm: none exceeds the left side, and one attains it.
        rng = np.random.default_rng(0)
        most = radius**2 * first.left
        for member, channel in np.ndindex(most.shape):
            gradient = v[member, :, channel]
            for _ in range(3):
                x = rng.normal(size=(5, 7))
                x *= radius / np.linalg.norm(x, 2)
                reached = ((x.T @ gradient) ** 2).sum()
                assert reached <= most[member, channel] * (1 + 1e-12)
            if gradient.any():
                unit = gradient / np.linalg.norm(gradient)
                x = radius * np.outer(unit, np.eye(7)[0])
                reached = ((x.T @ gradient) ** 2).sum()
                np.testing.assert_allclose(reached, most[member, channel])


def test_theorem_4_4_as_printed_fails(x64):
    """A small gradient: its fourth power is less than its square."""
    y, g = jnp.asarray(np.random.default_rng(3).normal(size=(2, 8, 3)))
    layer = Layer(y, None, 0.0)

    @jax.jit
    def both(g):
        v = bounds.pull_back(layer, g)
        return bounds.first_order(layer, g, v), bounds_printed.theorem_4_4(layer, g, 1)

    first, printed = both(0.01 * np.asarray(g))
    assert (abs(first.slack) < 1e-9 * first.left).all()
    assert (printed < 0.5 * first.left).all()


def test_theorem_4_4_refuses_groups():
    layer = Layer(jnp.ones((2, 3, 4)), None, 1e-5, 2)
    with pytest.raises(ValueError, match="asked of 2 groups"):
        bounds_printed.theorem_4_4(layer, layer.y, 1.0)


def test_lemma_4_5(x64):
    """The projection is the nearest point of the ray, and nearer than W* itself."""
    start, optimum = jnp.asarray(np.random.default_rng(0).normal(size=(2, 6, 4)))
    start = start + 0.5 * optimum
    found = jax.jit(bounds_printed.lemma_4_5)(start, optimum)
    found = jax.tree.map(np.asarray, found)
    np.testing.assert_allclose(found.left, found.right, rtol=1e-9)
    on_ray = np.linspace(-3, 3, 6001)[:, None, None] * np.asarray(optimum)
    distance = ((np.asarray(start) - on_ray) ** 2).sum(-1)
    assert (found.left <= distance + 1e-12).all()
    np.testing.assert_allclose(found.left, distance.min(0), atol=1e-5)
    assert (found.factor > 0).sum() >= 3


def test_lemma_4_5_where_batch_norm_gives_its_premise(x64):
    """The loss is the same at k W*, to the last digits; without the norm it is not."""
    rng = np.random.default_rng(1)
    x, start, optimum = (rng.normal(size=shape) for shape in ((9, 4), (4, 3), (4, 3)))
    found = jax.jit(bounds_printed.lemma_4_5)(start.T, optimum.T)
    rescaled = optimum * abs(np.asarray(found.factor))

    def loss(w, normalize):
        z = x @ w
        if normalize:
            z = (z - z.mean(0)) / z.std(0)
        return np.sin(z + np.square(z)).sum()

    np.testing.assert_allclose(loss(rescaled, True), loss(optimum, True), rtol=1e-12)
    assert abs(loss(rescaled, False) - loss(optimum, False)) > 0.1
