"""The three consequences: removed directions, gains of blocks, invariances."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab.quantities import bounds, bounds_consequences
from normlab.quantities.bounds import Layer
from tests.quantities.test_bounds import CASES, EPSILONS, numbers


@pytest.mark.parametrize(
    ("shape", "groups", "expected"),
    [
        ((5, 4), None, 8),
        ((3, 2, 2, 4), None, 8),
        ((3, 2, 2, 4), 1, 6),
        ((3, 2, 2, 4), 2, 12),
        ((3, 2, 2, 4), 4, 24),
        ((2, 2, 4), 4, 16),  # blocks of two: everything
        ((3, 4), 4, 12),  # blocks of one: nothing is left to remove a second time
    ],
)
def test_projected_directions_are_the_kernel_of_the_jacobian(
    shape, groups, expected, x64
):
    """By the rank of the derivative of yhat, for epsilon = 0 as a limit."""
    assert bounds_consequences.projected_directions(shape, groups) == expected
    y = jnp.asarray(np.random.default_rng(0).normal(size=shape))
    layer = Layer(y, None, 1e-14, groups)
    jacobian = jax.jit(jax.vmap(lambda g: bounds.pull_back(layer, g)))
    dense = np.asarray(jacobian(np.eye(y.size).reshape(-1, *shape)))
    rank = np.linalg.matrix_rank(dense.reshape(y.size, y.size), tol=1e-6)
    assert y.size - rank == expected


def test_projected_directions_refuse_groups_that_do_not_divide():
    with pytest.raises(ValueError, match="3 groups do not divide 4 channels"):
        bounds_consequences.projected_directions((2, 4), 3)


@pytest.mark.parametrize(("shape", "groups"), CASES[1::2])
def test_what_the_input_gradient_lacks_and_what_it_is_orthogonal_to(shape, groups, x64):
    def both(at):
        b = bounds.blocks_of(at.layer)
        v = at.layer.cut(at.input_gradient)
        return (
            bounds_consequences.removed(at.layer, at.output_gradient),
            b.variance * bounds.dot(v, v),
            bounds_consequences.invariance(
                at.layer, at.output_gradient, at.input_gradient
            ),
        )

    for epsilon, (lost, kept, free) in numbers(both, shape, groups).items():
        atol = 1e-9 * lost.whole.max()
        total = lost.mean + lost.radial
        np.testing.assert_allclose(lost.whole - total, kept, rtol=1e-9, atol=atol)
        share = total[lost.whole > 0] / lost.whole[lost.whole > 0]
        assert share.min() > 0 and share.max() < 1
        assert min(lost.mean.max(), lost.radial.max()) > 1e-3 * lost.whole.max()
        assert (abs(free.shift) <= 1e-12 * free.shift_size).all()
        error = abs(free.expected - free.scaling)
        assert (error <= 1e-12 * free.scaling_size).all()
        if epsilon == 0:
            assert (free.expected == 0).all()
        if epsilon == 0.1:
            assert (abs(free.expected) > 1e-5 * free.scaling_size).any()


def test_invariance_is_a_derivative_of_the_loss(x64):
    """By finite differences, of a batch norm whose epsilon is far from 0."""
    y, weight = jnp.asarray(np.random.default_rng(0).normal(size=(2, 6, 3)))
    layer = Layer(y, None, 0.3)

    def loss(y):
        b = bounds.blocks_of(Layer(y, None, 0.3))
        return jnp.sum(layer.cut(weight) * jnp.sin(b.yhat), 1)

    @jax.jit
    def both(y):
        g = weight * jnp.cos(layer.join(bounds.blocks_of(layer).yhat))
        found = bounds_consequences.invariance(layer, g, bounds.pull_back(layer, g))
        step = 1e-5
        return found, (loss(y * (1 + step)) - loss(y * (1 - step))) / (2 * step)

    found, change = both(y)
    np.testing.assert_allclose(found.scaling, change, rtol=1e-6)
    np.testing.assert_allclose(found.expected, found.scaling, rtol=1e-9)
    assert (abs(np.asarray(change)) > 1e-3).all()


@pytest.mark.parametrize("epsilon", EPSILONS)
def test_smaller_blocks_have_the_larger_mean_gain(epsilon, x64):
    """Groups within an example; and its channels, within their batch."""
    y = np.random.default_rng(0).normal(size=(6, 3, 3, 8))
    y *= np.random.default_rng(1).uniform(0.2, 3, (6, 1, 1, 8))
    gains = jax.jit(bounds_consequences.gains)
    gain = {
        groups: np.asarray(gains(Layer(jnp.asarray(y), None, epsilon, groups)))
        for groups in (None, 1, 2, 4, 8)
    }
    for few, many in ((1, 2), (2, 4), (4, 8)):
        assert (gain[few].mean(1) < gain[many].mean(1)).all()
    assert (gain[None] < gain[8].mean(0)).all()
    exact = 1 / (y.var((1, 2)) + epsilon)
    np.testing.assert_allclose(gain[8], exact, rtol=1e-12)
