"""What a normalization layer does to a gradient and to a curvature, as identities.

A layer maps its input y to z = scale * yhat + bias, where yhat is y standardized block
by block: over a channel for batch norm, over an example's group of channels for group,
layer and instance norm. For one block of m elements, with s^2 = var + epsilon,

    P = I - 1 1'/m        yhat = P y / s        J = (P - yhat yhat'/m) / s

J is the derivative of yhat by y, and it is symmetric. With the loss's gradient g by z
and q = scale * g, the gradient by y is J q, and the second derivative along any v is
known, too. Both relations are exact for every epsilon, so the difference of their two
sides is rounding error. docs/theory.md derives them and numbers the equations.

For batch norm these are Theorems 4.1 and 4.2 of Santurkar et al. 2018 (arXiv
1805.11604v3) with corrected coefficients. `normlab.quantities.bounds_printed` has what
else they print, and `normlab.quantities.bounds_consequences` what follows.

Shapes: y is (N, ..., C). B is the shape of the blocks, (C,) for batch norm and (N, G)
  for
group norm with G groups. If a block is constant and epsilon is 0, nothing is defined
and the numbers are NaN. Everything works under jit and vmap.
"""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from normlab.norms import functional

_STATIC = {"static": True}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Layer:
    """A normalization layer at one input. The bias does not occur in any relation.

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
      variance: s^2 = var + epsilon, B.
    """

    yhat: Array
    scale: Array
    variance: Array

    @property
    def size(self) -> int:
        """m, the number of elements of a block."""
        return self.yhat.shape[-1]


class FirstOrder(NamedTuple):
    """The squared norm of the gradient by the layer's input; arrays of shape B.

    Attributes:
      left: |dL/dy|^2, as measured.
      right: what the identity (8) makes of the gradient by the output.
      slack: right - left: rounding error, for every epsilon.
      bound: the right side of the inequality (10), with 1/m as the last coefficient:
        at least ``right``, and equal to it at epsilon = 0.
      printed: the same with 1/sqrt(m), (12): for batch norm Theorem 4.1 of Santurkar
        et al. as printed (p. 9), for the others its analogue. It is less than ``left``
        wherever <q, yhat> is not 0 and sqrt(m) > 2 - |yhat|^2 / m: the printed
        inequality is false.
      size: |q|^2 / s^2, the identity's largest term, by which to judge rounding.
    """

    left: Array
    right: Array
    slack: Array
    bound: Array
    printed: Array
    size: Array


class Bent(NamedTuple):
    """What a norm's own curvature adds to a second derivative; arrays of shape B.

    Attributes:
      value: the last term of the identity (14).
      size: the absolute values of its parts, by which to judge rounding.
      alignment: <q, yhat>. Along the gradient at epsilon = 0 its sign is that of
        -``value``: where it is positive, the norm lowers the curvature.
    """

    value: Array
    size: Array
    alignment: Array


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
    return Blocks(layer.cut(yhat), layer.cut(scale), var + epsilon)


def first_order(
    layer: Layer, output_gradient: Array, input_gradient: Array
) -> FirstOrder:
    """The first-order identity, (8) of docs/theory.md, for every block.

        |dL/dy|^2 = (|q|^2 - <1, q>^2 / m - (2 - |yhat|^2 / m) <q, yhat>^2 / m) / s^2

    is an equality for every epsilon and per-channel scale; ``<=`` with 1/m as the last
    coefficient is the inequality (10), an equality at epsilon = 0, where |yhat|^2 = m.

    Args:
      layer: the layer and its input.
      output_gradient: dL/dz, (N, ..., C).
      input_gradient: dL/dy, (N, ..., C), as measured in the network.
    """
    b = blocks_of(layer)
    q, v = b.scale * layer.cut(output_gradient), layer.cut(input_gradient)
    m = b.size
    # What P leaves of q, and along yhat the part that the standardization removes.
    rest = dot(q, q) - jnp.square(q.sum(-1)) / m
    along = jnp.square(dot(q, b.yhat)) / m
    left = dot(v, v)
    right = (rest - (2 - dot(b.yhat, b.yhat) / m) * along) / b.variance
    bound = (rest - along) / b.variance
    printed = (rest - math.sqrt(m) * along) / b.variance
    return FirstOrder(left, right, right - left, bound, printed, dot(q, q) / b.variance)


def bent(layer: Layer, output_gradient: Array, direction: Array) -> Bent:
    """The last term of the second-order identity, (14) of docs/theory.md.

    Along a direction v, with a = <q, P v>, b = <q, yhat>, c = <yhat, v> in each block
    and u = `push_forward` of v,

        <v, Hess v> = <u, H u> + (-2 a c + 3 b c^2 / m - b <v, P v>) / (m s^2)

    is an equality for every epsilon, direction and per-channel scale. Hess and H are
    the loss's Hessians by the layer's input and output. It holds for every block by
    itself: with products over a block, <v, Hess v> being the block's row of that form,
    when v is any direction; and with the block's own Hessian, when v is 0 elsewhere.

    Args:
      layer: the layer and its input.
      output_gradient: dL/dz, (N, ..., C).
      direction: v, (N, ..., C).
    """
    blocks = blocks_of(layer)
    q, v = blocks.scale * layer.cut(output_gradient), layer.cut(direction)
    m, centred = blocks.size, v - v.mean(-1, keepdims=True)
    a, b, c = dot(q, centred), dot(q, blocks.yhat), dot(blocks.yhat, v)
    parts = jnp.stack([-2 * a * c, 3 * b * c * c / m, -b * dot(v, centred)])
    unit = m * blocks.variance
    return Bent(parts.sum(0) / unit, abs(parts).sum(0) / unit, b)


def jacobian(blocks: Blocks, v: Array) -> Array:
    """J v, (5) of docs/theory.md: (*B, m) to (*B, m)."""
    centred = v - v.mean(-1, keepdims=True)
    share = dot(blocks.yhat, v) / blocks.size
    return (centred - blocks.yhat * share[..., None]) / jnp.sqrt(
        blocks.variance[..., None]
    )


def push_forward(layer: Layer, direction: Array) -> Array:
    """u = scale * J v, the change of z along v; both (N, ..., C)."""
    b = blocks_of(layer)
    return layer.join(b.scale * jacobian(b, layer.cut(direction)))


def pull_back(layer: Layer, output_gradient: Array) -> Array:
    """dL/dy = J (scale * dL/dz), (7) of docs/theory.md; both (N, ..., C)."""
    b = blocks_of(layer)
    return layer.join(jacobian(b, b.scale * layer.cut(output_gradient)))


def dot(p: Array, q: Array) -> Array:
    """<p, q> of every block: (*B, m), (*B, m) -> B."""
    return (p * q).sum(-1)
