"""The identities of a norm layer against autodiff through a plain norm, in float64."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab.quantities import bounds
from normlab.quantities.bounds import Layer
from tests.quick import quick

MEMBERS = 3
EPSILONS = (0.0, 1e-5, 0.1)
# Shapes of input, and groups: batch, layer, group and instance norm.
CASES = [
    ((5, 4), None),
    ((3, 2, 2, 4), None),
    ((3, 2, 2, 4), 1),
    ((3, 2, 2, 4), 2),
    ((2, 5, 6), 3),
    ((2, 5, 3), 3),
]


def plain_norm(y, scale, bias, epsilon, groups):
    """A norm by the book, sharing nothing with normlab.norms."""
    if groups is None:
        parts, axes = y, tuple(range(y.ndim - 1))
    else:
        parts, axes = y.reshape(len(y), -1, groups, y.shape[-1] // groups), (1, 3)
    mean = parts.mean(axes, keepdims=True)
    var = ((parts - mean) ** 2).mean(axes, keepdims=True)
    yhat = ((parts - mean) / jnp.sqrt(var + epsilon)).reshape(y.shape)
    along = (1,) * (y.ndim - 1) + (-1,)
    return yhat * scale.reshape(along) + bias.reshape(along)


class LayerPoint(NamedTuple):
    """A layer, the loss after it, and the loss's derivatives by autodiff."""

    layer: Layer
    input_gradient: jax.Array
    output_gradient: jax.Array
    input_hessian: Any  # v -> Hess v, dense
    output_hessian: Any
    direction: jax.Array  # random


def draw(shape, seed=0, members=MEMBERS):
    """y, scale (mixed signs, a zero), bias and the loss's numbers, for each member."""
    rng = np.random.default_rng(seed)
    channels, size = shape[-1], int(np.prod(shape))
    scale = rng.normal(size=(members, channels))
    scale[:, 0] = -abs(scale[:, 0])
    scale[0, 1] = 0.0  # one member only, so that no channel is always still
    drawn = {
        "y": rng.normal(1.0, 2.0, (members, *shape)),
        "scale": scale,
        "bias": rng.normal(size=(members, channels)),
        "mix": rng.normal(size=(members, size, size)) / np.sqrt(size),
        "weight": rng.normal(size=(members, size)),
        "direction": rng.normal(size=(members, *shape)),
    }
    dtype = jnp.result_type(float)
    return {name: value.astype(dtype) for name, value in drawn.items()}


def point(drawn, epsilon, groups, hessians=False) -> LayerPoint:
    """One member's point: every element of z meets every other in the loss."""
    y, scale, bias = drawn["y"], drawn["scale"], drawn["bias"]

    def loss(z):
        return drawn["weight"] @ jnp.tanh(drawn["mix"] @ z.ravel())

    def before(y):
        return loss(plain_norm(y, scale, bias, epsilon, groups))

    def product(loss, at):
        if not hessians:
            return None
        dense = jax.hessian(loss)(at).reshape(at.size, at.size)
        return lambda v: (dense @ v.ravel()).reshape(at.shape)

    z = plain_norm(y, scale, bias, epsilon, groups)
    return LayerPoint(
        Layer(y, scale, epsilon, groups),
        jax.grad(before)(y),
        jax.grad(loss)(z),
        product(before, y),
        product(loss, z),
        drawn["direction"],
    )


def numbers(function, shape, groups, *, seed=0, hessians=False) -> dict[float, Any]:
    """epsilon -> ``function(point)`` of every member, as numpy."""

    def one(drawn, epsilon):
        return function(point(drawn, epsilon, groups, hessians))

    mapped = quick(jax.vmap(jax.vmap(one, (0, None)), (None, 0)))
    found = mapped(draw(shape, seed), jnp.asarray(EPSILONS))
    return {
        epsilon: jax.tree.map(lambda x, i=i: np.asarray(x[i]), found)
        for i, epsilon in enumerate(EPSILONS)
    }


class Sides(NamedTuple):
    """Two sides of an identity, and what to judge rounding by."""

    left: Any
    right: Any
    size: Any

    @property
    def slack(self):
        return self.right - self.left


def of_first_order(at: LayerPoint):
    return bounds.first_order(at.layer, at.output_gradient, at.input_gradient)


def row_forms(layer: Layer, product: Callable, v):
    """<v_b, (H v)_b> for every block b: the rows of the form <v, H v>."""
    return bounds.dot(layer.cut(v), layer.cut(product(v)))


def own_forms(layer: Layer, product: Callable, v):
    """<v_b, H_bb v_b> for every block b: each block's own form, one after another."""
    parts = layer.cut(v)
    index = jnp.arange(parts[..., 0].size).reshape(*parts.shape[:-1], 1)

    def form(i):
        alone = jnp.where(index == i, parts, 0.0)
        return bounds.dot(alone, layer.cut(product(layer.join(alone)))).sum()

    return jax.lax.map(form, index.ravel()).reshape(parts.shape[:-1])


def of_second_order(at: LayerPoint, direction, forms=row_forms) -> Sides:
    layer = at.layer
    left = forms(layer, at.input_hessian, direction)
    u = bounds.push_forward(layer, direction)
    carried = forms(layer, at.output_hessian, u)
    added = bounds.bent(layer, at.output_gradient, direction)
    return Sides(left, carried + added.value, abs(carried) + added.size)


def assert_identity(found, rtol=1e-9):
    """Left and right agree, block by block, relative to the left side."""
    np.testing.assert_array_less(abs(found.slack), rtol * abs(found.left) + 1e-300)
    assert np.abs(found.left).max() > 1e-3  # something was compared


# Batch norm of rows, and another number of groups, are the same law again.
AGAIN = (0, 4)
ONCE = [
    pytest.param(*case, marks=pytest.mark.slow) if i in AGAIN else case
    for i, case in enumerate(CASES)
]


@pytest.mark.parametrize(("shape", "groups"), ONCE)
def test_first_order(shape, groups, x64):
    """The identity; the inequality; and the printed one, which is none."""

    def both(at):
        b = bounds.blocks_of(at.layer)
        q = b.scale * at.layer.cut(at.output_gradient)
        return of_first_order(at), bounds.dot(q, b.yhat), b

    for epsilon, (found, along, b) in numbers(both, shape, groups, seed=1).items():
        blocks = (shape[-1],) if groups is None else (shape[0], groups)
        assert found.left.shape == found.right.shape == (MEMBERS, *blocks)
        assert_identity(found)
        room = found.bound - found.left
        if epsilon == 0:
            np.testing.assert_array_less(abs(room), 1e-9 * found.left + 1e-300)
        else:
            assert (room >= -1e-12 * found.size).all() and room.max() > 0
        # The printed form is false wherever the scale is not 0, and by this much:
        moving = along != 0
        assert moving.mean() > 0.8
        gap = found.printed - found.left
        assert (gap[moving] < -1e-6 * found.size[moving]).all()
        m = b.yhat.shape[-1]
        room = 1 / np.sqrt(m) - (2 - (b.yhat**2).sum(-1) / m) / m
        atol = 1e-9 * found.size.max()
        expected = -room * along**2 / b.variance
        np.testing.assert_allclose(gap, expected, rtol=1e-9, atol=atol)


def test_the_printed_right_side_can_be_negative(x64):
    """A squared norm that is said to be less than a negative number."""
    m = 24
    y = np.random.default_rng(0).normal(size=(m, 1))
    g = y + 0.5 * np.random.default_rng(1).normal(size=(m, 1))

    @quick
    def of(y, g):
        layer = Layer(y, None, 0.0)
        return bounds.first_order(layer, g, bounds.pull_back(layer, g))

    found = of(y, g)
    np.testing.assert_allclose(found.right, found.left, rtol=1e-9)
    assert found.left[0] > 0 > found.printed[0]


@pytest.mark.parametrize(("shape", "groups"), [CASES[0], CASES[3]])
def test_second_order(shape, groups, x64):
    """Along a random direction and along the gradient, against dense Hessians; with
    rows of the whole Hessian, and with each block's own."""

    def all_of_them(at):
        right = [
            (
                of_second_order(at, direction, forms),
                bounds.bent(at.layer, at.output_gradient, direction).value,
            )
            for direction in (at.direction, at.input_gradient)
            for forms in (row_forms, own_forms)
        ]
        return right, wrong_seconds(at)

    found = numbers(all_of_them, shape, groups, seed=2, hessians=True)
    for pairs, _ in found.values():
        for sides, added in pairs:
            assert_identity(sides)
            assert (abs(added) > 1e-3 * abs(sides.right)).any()
    for broken in found[0.1][1]:
        off = abs(broken.slack) > 1e-4 * broken.size
        assert off.sum() > 0.5 * broken.slack.size


def wrong_seconds(at):
    """What wrong formulas would compute, each of which must break the identity.

    At epsilon = 0 in place of 0.1; without the norm's curvature; and without the terms
    that vanish for the gradient at epsilon = 0, for another direction.
    """
    layer, v = at.layer, at.direction
    right = of_second_order(at, v)
    other = Layer(layer.y, layer.scale, 0.0, layer.groups)
    added = bounds.bent(layer, at.output_gradient, v).value
    b, parts = bounds.blocks_of(layer), layer.cut(v)
    q = b.scale * layer.cut(at.output_gradient)
    kept = -bounds.dot(q, b.yhat) * bounds.dot(parts, parts) / (b.size * b.variance)
    return [
        of_second_order(at._replace(layer=other), v),
        right._replace(right=right.right - added),
        right._replace(right=right.right - added + kept),
    ]


@pytest.mark.parametrize(
    ("shape", "groups"), [((4, 3), None), ((3, 2, 4), 2), ((2, 2, 3, 6), 3)]
)
def test_cut_has_the_blocks_of_the_norm_and_join_inverts_it(shape, groups, x64):
    y = np.random.default_rng(0).normal(2.0, 3.0, shape)
    layer = Layer(jnp.asarray(y), None, 1e-5, groups)

    @quick
    def cut(layer):
        parts = layer.cut(layer.y)
        return parts, layer.join(parts), bounds.blocks_of(layer)

    parts, again, blocks = jax.tree.map(np.asarray, cut(layer))
    np.testing.assert_array_equal(again, y)
    np.testing.assert_allclose(blocks.variance, parts.var(-1) + 1e-5, rtol=1e-12)
    np.testing.assert_array_equal(blocks.scale, 1.0)
    expected = parts - parts.mean(-1, keepdims=True)
    expected = expected / np.sqrt(parts.var(-1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(blocks.yhat, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("groups", [None, 2])
def test_both_derivatives_of_the_layer(groups, x64):
    """Pulled back and pushed forward, as by autodiff of the plain norm."""
    drawn = {name: value[0] for name, value in draw((3, 2, 2, 4)).items()}

    def norm(y):
        return plain_norm(y, drawn["scale"], drawn["bias"], 0.1, groups)

    @quick
    def both(y, v):
        layer = Layer(y, drawn["scale"], 0.1, groups)
        forward = bounds.push_forward(layer, v), jax.jvp(norm, (y,), (v,))[1]
        return forward, (bounds.pull_back(layer, v), jax.vjp(norm, y)[1](v)[0])

    for found, expected in both(drawn["y"], drawn["direction"]):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("groups", [None, 1])
def test_eigenvectors_of_the_jacobian(groups, x64):
    """Of the ones, of yhat, and of what is orthogonal to both."""

    def images(at):
        b, w = bounds.blocks_of(at.layer), at.layer.cut(at.direction)
        w = w - w.mean(-1, keepdims=True)
        share = bounds.dot(w, b.yhat) / bounds.dot(b.yhat, b.yhat)
        w = w - b.yhat * share[..., None]
        ones = jnp.ones_like(w)
        return b, w, [bounds.jacobian(b, x) for x in (ones, b.yhat, w)]

    found = numbers(images, (5, 4), groups)
    for epsilon, (b, w, (ones, yhat, rest)) in found.items():
        s = np.sqrt(b.variance)[..., None]
        np.testing.assert_allclose(ones, 0, atol=1e-14)
        np.testing.assert_allclose(yhat, epsilon / s**3 * b.yhat, 1e-9, 1e-14)
        np.testing.assert_allclose(rest, w / s, 1e-9, 1e-14)


# What a wrong formula would compute: each must break the identity.
def without_the_term_of_epsilon(at, _):
    return of_first_order(at).bound


def with_the_wrong_epsilon(at, layer):
    return of_first_order(
        at._replace(layer=Layer(layer.y, layer.scale, 0.0, layer.groups))
    ).right


def with_the_wrong_blocks(at, layer):
    """The sum over other blocks, spread over the right ones."""
    other = Layer(layer.y, layer.scale, layer.epsilon, 1 if layer.groups else 2)
    left = of_first_order(at).left
    return left * of_first_order(at._replace(layer=other)).right.sum() / left.sum()


def without_the_scale(at, layer):
    return of_first_order(
        at._replace(layer=Layer(layer.y, None, layer.epsilon, layer.groups))
    ).right


@pytest.mark.parametrize("groups", [None, 2])
def test_a_wrong_formula_breaks_the_first_order(groups, x64):
    wrongs = (
        without_the_term_of_epsilon,
        with_the_wrong_epsilon,
        with_the_wrong_blocks,
        without_the_scale,
    )

    def all_of_them(at):
        found = of_first_order(at)
        return [
            Sides(found.left, wrong, found.size)
            for wrong in (found.right, *(w(at, at.layer) for w in wrongs))
        ]

    found = numbers(all_of_them, (3, 2, 2, 4), groups)[0.1]
    assert_identity(found[0])
    for broken in found[1:]:
        assert (abs(broken.slack) > 1e-4 * broken.left).sum() > 0.5 * broken.left.size


def test_float32_holds_to_its_rounding():
    found = numbers(of_first_order, (3, 2, 2, 4), 2)[1e-5]
    assert found.slack.dtype == np.float32
    assert (abs(found.slack) <= 1e-5 * found.size).all()


def test_groups_that_do_not_divide_the_channels():
    layer = Layer(jnp.ones((2, 3, 4)), None, 1e-5, 3)
    with pytest.raises(ValueError, match="3 groups do not divide 4 channels"):
        bounds.first_order(layer, layer.y, layer.y)
