"""The identities of a norm layer against autodiff through a plain norm, in float64."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab.quantities import bounds
from normlab.quantities.bounds import Layer

MEMBERS = 3
EPSILONS = (0.0, 1e-5, 0.1)


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


class Point(NamedTuple):
    """A layer, the loss after it, and the loss's derivatives by autodiff."""

    layer: Layer
    input_gradient: jax.Array
    output_gradient: jax.Array
    input_hessian: Any  # v -> Hess v, dense
    output_hessian: Any


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
    return {name: jnp.asarray(value) for name, value in drawn.items()}


def point(drawn, epsilon, groups, hessians=False) -> Point:
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
    return Point(
        Layer(y, scale, epsilon, groups),
        jax.grad(before)(y),
        jax.grad(loss)(z),
        product(before, y),
        product(loss, z),
    )


# Shapes of input, and groups: batch, layer, group and instance norm.
CASES = [
    ((5, 4), None),
    ((3, 2, 2, 4), None),
    ((3, 2, 2, 4), 1),
    ((3, 2, 2, 4), 2),
    ((2, 5, 6), 3),
    ((2, 5, 3), 3),
]


def numbers(function, shape, epsilon, groups, seed=0, hessians=False):
    """``function(point, drawn)`` of every member, jitted and mapped, as numpy."""

    def one(drawn):
        return function(point(drawn, epsilon, groups, hessians), drawn)

    found = jax.jit(jax.vmap(one))(draw(shape, seed))
    return jax.tree.map(np.asarray, found)


def of_first_order(point, _):
    return bounds.first_order(point.layer, point.output_gradient, point.input_gradient)


def assert_identity(found, rtol=1e-9):
    """Left and right agree, block by block, relative to the left side."""
    np.testing.assert_array_less(abs(found.slack), rtol * abs(found.left) + 1e-300)
    assert np.abs(found.left).max() > 1e-3  # something was compared


@pytest.mark.parametrize("epsilon", EPSILONS)
@pytest.mark.parametrize(("shape", "groups"), CASES)
def test_first_order(shape, groups, epsilon, x64):
    found = numbers(of_first_order, shape, epsilon, groups, seed=1)
    blocks = (shape[-1],) if groups is None else (shape[0], groups)
    assert found.left.shape == found.right.shape == (MEMBERS, *blocks)
    assert_identity(found)
    room = found.bound - found.left
    if epsilon == 0:
        np.testing.assert_array_less(abs(room), 1e-9 * found.left + 1e-300)
    else:
        assert (room >= -1e-12 * found.size).all() and room.max() > 0


@pytest.mark.parametrize("by_block", [False, True])
@pytest.mark.parametrize("epsilon", EPSILONS)
@pytest.mark.parametrize(("shape", "groups"), CASES)
def test_second_order(shape, groups, epsilon, by_block, x64):
    """Along a random direction and along the gradient, against dense Hessians."""

    def both(point, drawn):
        return [
            bounds.second_order(
                point.layer,
                point.output_gradient,
                direction,
                point.input_hessian,
                point.output_hessian,
                by_block=by_block,
            )
            for direction in (drawn["direction"], point.input_gradient)
        ]

    for found in numbers(both, shape, epsilon, groups, seed=2, hessians=True):
        assert_identity(found)
        assert (abs(found.bent) > 1e-3 * abs(found.right)).any()


@pytest.mark.parametrize("groups", [None, 2])
def test_forms_are_those_of_the_dense_hessian(groups, x64):
    """Rows across blocks add up to the whole form; each block has its own."""
    shape = (3, 2, 2, 4)
    drawn = {name: value[0] for name, value in draw(shape, 3).items()}
    at = point(drawn, 1e-5, groups, hessians=True)
    v = np.asarray(drawn["direction"])
    rows = bounds.row_forms(at.layer, at.input_hessian, drawn["direction"])
    own = bounds.block_forms(at.layer, at.input_hessian, drawn["direction"])
    whole = (v * np.asarray(at.input_hessian(drawn["direction"]))).sum()
    np.testing.assert_allclose(rows.sum(), whole, rtol=1e-12)
    assert abs(own.sum() - whole) > 1e-3 * abs(whole)
    channel = np.arange(4)
    for index in np.ndindex(own.shape):
        chosen = np.zeros(shape)
        if groups is None:
            chosen[..., index[0]] = 1
        else:
            chosen[index[0]] = channel // 2 == index[1]
        alone = jnp.asarray(chosen * v)
        expected = (alone * at.input_hessian(alone)).sum()
        np.testing.assert_allclose(own[index], expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("shape", "groups"), [((4, 3), None), ((3, 2, 4), 2), ((2, 2, 3, 6), 3)]
)
def test_cut_has_the_blocks_of_the_norm_and_join_inverts_it(shape, groups, x64):
    y = np.random.default_rng(0).normal(2.0, 3.0, shape)
    layer = Layer(jnp.asarray(y), None, 1e-5, groups)
    parts = layer.cut(layer.y)
    np.testing.assert_array_equal(layer.join(parts), y)
    blocks = bounds.blocks_of(layer)
    np.testing.assert_allclose(blocks.var, parts.var(-1), rtol=1e-12)
    np.testing.assert_array_equal(blocks.scale, 1.0)
    expected = parts - parts.mean(-1, keepdims=True)
    expected = expected / np.sqrt(parts.var(-1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(blocks.yhat, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("groups", [None, 2])
def test_pull_back_is_the_gradient_by_the_input(groups, x64):
    def both(point, _):
        return (
            bounds.pull_back(point.layer, point.output_gradient),
            point.input_gradient,
        )

    found, expected = numbers(both, (3, 2, 2, 4), 1e-5, groups)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


# What a wrong formula would compute: each must break an identity.
def without_the_term_of_epsilon(found, _):
    return found.bound


def with_the_wrong_epsilon(_, point):
    layer = Layer(point.layer.y, point.layer.scale, 0.0, point.layer.groups)
    return of_first_order(point._replace(layer=layer), None).right


def with_the_wrong_blocks(_, point):
    other = 1 if point.layer.groups == 2 else 2
    layer = Layer(point.layer.y, point.layer.scale, point.layer.epsilon, other)
    found = of_first_order(point._replace(layer=layer), None).right
    shape = (point.layer.y.shape[-1],)
    if point.layer.groups is None:
        return jnp.resize(found, shape)
    return jnp.resize(found, (point.layer.y.shape[0], point.layer.groups))


def without_the_scale(_, point):
    layer = Layer(point.layer.y, None, point.layer.epsilon, point.layer.groups)
    return of_first_order(point._replace(layer=layer), None).right


@pytest.mark.parametrize(
    "wrong",
    [
        without_the_term_of_epsilon,
        with_the_wrong_epsilon,
        with_the_wrong_blocks,
        without_the_scale,
    ],
)
@pytest.mark.parametrize("groups", [None, 2])
def test_a_wrong_formula_breaks_the_first_order(groups, wrong, x64):
    def both(point, drawn):
        found = of_first_order(point, drawn)
        return found, found._replace(slack=wrong(found, point) - found.left)

    right, broken = numbers(both, (3, 2, 2, 4), 0.1, groups)
    assert_identity(right)
    assert (abs(broken.slack) > 1e-4 * broken.left).sum() > 0.5 * broken.left.size
    with pytest.raises(AssertionError):
        assert_identity(broken)


@pytest.mark.parametrize("what", ["epsilon", "bent", "crossed"])
def test_a_wrong_formula_breaks_the_second_order(what, x64):
    """At epsilon = 0 in place of 0.1; without the norm's curvature; and without the
    terms that vanish for the gradient at epsilon = 0, for another direction."""

    def wrong(point, drawn):
        layer = point.layer
        if what == "epsilon":
            layer = Layer(layer.y, layer.scale, 0.0, layer.groups)
        found = bounds.second_order(
            layer,
            point.output_gradient,
            drawn["direction"],
            point.input_hessian,
            point.output_hessian,
        )
        slack = found.slack
        if what == "bent":
            slack = found.carried - found.left
        elif what == "crossed":
            b, v = bounds.blocks_of(layer), layer.cut(drawn["direction"])
            q = b.scale * layer.cut(point.output_gradient)
            kept = -bounds.dot(q, b.yhat) * bounds.dot(v, v) / (b.size * b.variance)
            slack = found.carried + kept - found.left
        return found._replace(slack=slack)

    found = numbers(wrong, (3, 2, 2, 4), 0.1, 2, hessians=True)
    assert (abs(found.slack) > 1e-4 * found.size).sum() > 0.5 * found.slack.size


def test_float32_holds_to_its_rounding():
    drawn = draw((3, 2, 2, 4))
    at = jax.jit(jax.vmap(lambda d: of_first_order(point(d, 1e-5, 2), d)))(drawn)
    assert at.slack.dtype == jnp.float32
    assert (abs(at.slack) <= 1e-5 * at.size).all()


def test_groups_that_do_not_divide_the_channels():
    layer = Layer(jnp.ones((2, 3, 4)), None, 1e-5, 3)
    with pytest.raises(ValueError, match="3 groups do not divide 4 channels"):
        bounds.first_order(layer, layer.y, layer.y)
