"""What a normalization layer does to a gradient and to a curvature, as identities.

A layer maps its input y to z = scale * yhat + bias, where yhat is y standardized block
by block: over a channel for batch norm, over an example's group of channels for group,
layer and instance norm. For one block of m elements, with s^2 = var + epsilon,

    P = I - 1 1'/m        yhat = P y / s        J = (P - yhat yhat'/m) / s

J is the derivative of yhat by y, and it is symmetric. With the loss's gradient g by z
and q = scale * g, the gradient by y is J q, and the second derivative along any v is
known, too. Both relations are exact for every epsilon, so what `first_order` and
`second_order` report as slack is rounding error: they check a network's gradients, and
docs/theory.md, which derives them and whose equations are named here.

For batch norm these are Theorems 4.1 and 4.2 of Santurkar et al. 2018 (arXiv
1805.11604v3), which `normlab.quantities.bounds_batch` sets beside them as printed.
`normlab.quantities.bounds_consequences` measures what follows from them.

Shapes: y is (N, ..., C); B stands for the shape of the blocks, (C,) for batch norm and
(N, G) for group norm with G groups. Where a block is constant and epsilon is 0 nothing
is defined, and the numbers are NaN. All of it is jit- and vmap-able.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from normlab.norms import functional

# Takes v of the shape of y to H v, where H is a Hessian of the loss.
Product = Callable[[Array], Array]

_STATIC = {"static": True}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Layer:
    """A normalization layer at one input. The bias takes no part in any relation.

    Attributes:
      y: the layer's input, (N, ..., C).
      scale: (C,), or None for ones.
      epsilon: what the layer adds to the variance.
      groups: the number G of groups; None for batch norm, 1 for layer norm and C for
        instance norm.
    """

    y: Array
    scale: Array | None
    epsilon: float = dataclasses.field(metadata=_STATIC)
    groups: int | None = dataclasses.field(default=None, metadata=_STATIC)

    def cut(self, x: Array) -> Array:
        """``x`` of the shape of y, as its blocks (*B, m)."""
        if self.groups is None:
            return jnp.moveaxis(x, -1, 0).reshape(x.shape[-1], -1)
        functional.check_groups(self.groups, x.shape[-1])
        size = x.shape[-1] // self.groups
        parts = x.reshape(x.shape[0], -1, self.groups, size)
        return jnp.moveaxis(parts, 2, 1).reshape(x.shape[0], self.groups, -1)

    def join(self, blocks: Array) -> Array:
        """The inverse of `cut`."""
        shape = self.y.shape
        if self.groups is None:
            return jnp.moveaxis(blocks.reshape(shape[-1], *shape[:-1]), 0, -1)
        size = shape[-1] // self.groups
        parts = blocks.reshape(shape[0], self.groups, -1, size)
        return jnp.moveaxis(parts, 1, 2).reshape(shape)


class Blocks(NamedTuple):
    """A layer's standardized input, its scale and its statistics, block by block.

    Attributes:
      yhat: the standardized input, (*B, m); sum(yhat^2) = m var / (var + epsilon).
      scale: each element's scale, (*B, m).
      var: the biased variance, B.
      variance: s^2 = var + epsilon, B.
    """

    yhat: Array
    scale: Array
    var: Array
    variance: Array

    @property
    def size(self) -> int:
        """m, the number of elements of a block."""
        return self.yhat.shape[-1]


class FirstOrder(NamedTuple):
    """The squared norm of the gradient by the layer's input; arrays of shape B.

    Attributes:
      left: |dL/dy|^2, as measured.
      right: what the identity makes of the gradient by the output.
      slack: right - left: rounding error, for every epsilon.
      bound: the right side of the inequality, with 1/m in place of the exact
        coefficient: at least ``right``, and equal to it at epsilon = 0.
      size: |q|^2 / s^2, the identity's largest term, by which to judge rounding.
    """

    left: Array
    right: Array
    slack: Array
    bound: Array
    size: Array


class SecondOrder(NamedTuple):
    """The second derivative along a direction; arrays of shape B.

    Attributes:
      left: <v, Hess v> with the loss's Hessian by the layer's input, as measured.
      right: ``carried`` + ``bent``.
      slack: right - left: rounding error, for every epsilon and direction.
      carried: <u, H u> with the Hessian H by the output and u = scale * J v.
      bent: what the curvature of the norm itself adds.
      size: |carried| and the absolute values of the terms of ``bent``, by which to
        judge rounding.
    """

    left: Array
    right: Array
    slack: Array
    carried: Array
    bent: Array
    size: Array


def blocks_of(layer: Layer) -> Blocks:
    """The layer's blocks, standardized by `normlab.norms.functional`."""
    y, epsilon = layer.y, layer.epsilon
    if layer.groups is None:
        yhat, _, var = functional.batch_norm(y, None, None, epsilon)
    else:
        yhat, _, var = functional.group_norm(y, layer.groups, None, None, epsilon)
    scale = jnp.ones(y.shape[-1:], yhat.dtype) if layer.scale is None else layer.scale
    lead = (1,) * (y.ndim - 1)
    scale = jnp.broadcast_to(scale.reshape(lead + scale.shape), y.shape)
    return Blocks(layer.cut(yhat), layer.cut(scale), var, var + epsilon)


def pull_back(layer: Layer, output_gradient: Array) -> Array:
    """dL/dy by automatic differentiation of the layer, from dL/dz; both (N, ..., C)."""

    def apply(y: Array) -> Array:
        scale, epsilon = layer.scale, layer.epsilon
        if layer.groups is None:
            return functional.batch_norm(y, scale, None, epsilon).y
        return functional.group_norm(y, layer.groups, scale, None, epsilon).y

    z, pull = jax.vjp(apply, layer.y)
    return pull(output_gradient.astype(z.dtype))[0]


def first_order(
    layer: Layer, output_gradient: Array, input_gradient: Array
) -> FirstOrder:
    """The first-order identity, (8) of docs/theory.md, for every block.

        |dL/dy|^2 = (|q|^2 - <1, q>^2 / m - (2 - |yhat|^2 / m) <q, yhat>^2 / m) / s^2

    is an equality for every epsilon and per-channel scale; ``<=`` with 1/m as the last
    coefficient is the inequality (10), an equality at epsilon = 0, where |yhat|^2 = m.
    For batch norm, q = scale * g, and (10) is Theorem 4.1 of Santurkar et al. with its
    1/sqrt(m) corrected.

    Args:
      layer: the layer and its input.
      output_gradient: dL/dz, (N, ..., C).
      input_gradient: dL/dy, (N, ..., C), as measured in the network; `pull_back`
        computes it from dL/dz.
    """
    b = blocks_of(layer)
    q, v = b.scale * layer.cut(output_gradient), layer.cut(input_gradient)
    m = b.size
    # What P leaves of q, and along yhat the part that the standardization removes.
    rest = dot(q, q) - jnp.square(q.sum(-1)) / m
    along = jnp.square(dot(q, b.yhat)) / m
    right = (rest - (2 - dot(b.yhat, b.yhat) / m) * along) / b.variance
    left = dot(v, v)
    bound = (rest - along) / b.variance
    return FirstOrder(left, right, right - left, bound, dot(q, q) / b.variance)


def second_order(
    layer: Layer,
    output_gradient: Array,
    direction: Array,
    input_product: Product,
    output_product: Product,
    *,
    by_block: bool = False,
) -> SecondOrder:
    """The second-order identity, (14) of docs/theory.md, along ``direction``.

    With a = <q, P v>, b = <q, yhat>, c = <yhat, v> and u = scale * J v in each block,

        <v, Hess v> = <u, H u> + (-2 a c + 3 b c^2 / m - b <v, P v>) / (m s^2)

    is an equality for every epsilon, direction and per-channel scale.

    Args:
      layer: the layer and its input.
      output_gradient: dL/dz, (N, ..., C).
      direction: v, (N, ..., C).
      input_product, output_product: v -> Hess v and u -> H u, products with the
        Hessian of the loss by the layer's input and by its output; (N, ..., C) to
        (N, ..., C).
      by_block: False for one product on each side: <v, Hess v> is summed over the
        elements of a block, the direction being the whole of v, so that terms across
        blocks are part of both sides and the sum over all blocks is the second
        derivative along v. True for each block's own Hessian, as in Theorem 4.2,
        along its own part of v: one product on each side for every block.
    """
    b = blocks_of(layer)
    q, v = b.scale * layer.cut(output_gradient), layer.cut(direction)
    m = b.size
    form = block_forms if by_block else row_forms
    left = form(layer, input_product, direction)
    u = layer.join(b.scale * jacobian(b, v))
    carried = form(layer, output_product, u)
    centred = v - v.mean(-1, keepdims=True)
    along, c = dot(q, b.yhat), dot(b.yhat, v)
    crossed, twice = -2 * dot(q, centred) * c, 3 * along * jnp.square(c) / m
    shrunk = -along * dot(v, centred)
    bent = (crossed + twice + shrunk) / (m * b.variance)
    size = abs(carried) + (abs(crossed) + abs(twice) + abs(shrunk)) / (m * b.variance)
    right = carried + bent
    return SecondOrder(left, right, right - left, carried, bent, size)


def jacobian(blocks: Blocks, v: Array) -> Array:
    """J v, (*B, m): the derivative of yhat along v."""
    centred = v - v.mean(-1, keepdims=True)
    share = dot(blocks.yhat, v) / blocks.size
    return (centred - blocks.yhat * share[..., None]) / jnp.sqrt(
        blocks.variance[..., None]
    )


def row_forms(layer: Layer, product: Product, v: Array) -> Array:
    """<v_b, (H v)_b> for every block b, of shape B: the rows of the form <v, H v>."""
    return dot(layer.cut(v), layer.cut(product(v)))


def block_forms(layer: Layer, product: Product, v: Array) -> Array:
    """<v_b, H_bb v_b> for every block b, of shape B: each block's own form.

    A product for each block, one after another.
    """
    parts = layer.cut(v)
    shape = parts.shape[:-1]
    index = jnp.arange(parts[..., 0].size).reshape(*shape, 1)

    def form(i: Array) -> Array:
        alone = jnp.where(index == i, parts, jnp.zeros((), parts.dtype))
        return dot(alone, layer.cut(product(layer.join(alone)))).sum()

    return lax.map(form, index.ravel()).reshape(shape)


def dot(p: Array, q: Array) -> Array:
    """<p, q> of every block: (*B, m), (*B, m) -> B."""
    return (p * q).sum(-1)
