"""What follows from the identities of a norm layer, as numbers to be measured.

Three consequences, derived in section 8 of docs/theory.md: which directions of the
gradient a norm removes, how its gain 1/s^2 spreads over the blocks, and what the loss
is invariant to.
"""

import math
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from normlab.norms.functional import check_groups
from normlab.quantities.bounds import Layer, blocks_of, dot


class Removed(NamedTuple):
    """The share of |q|^2, q = scale * dL/dz, that does not reach the input; shape B.

    Attributes:
      total: 1 - s^2 |dL/dy|^2 / |q|^2, by the identity (8) of docs/theory.md.
      mean: the part along the vector of ones.
      radial: the part along yhat.

    NaN where q is 0.
    """

    total: Array
    mean: Array
    radial: Array


class Invariance(NamedTuple):
    """How the loss answers to a shift and to a rescaling of a block; shape B.

    Attributes:
      shift: <1, dL/dy>, the derivative along a shift of the block: 0 for every epsilon.
      left: <y, dL/dy>, the derivative along a rescaling of the block, as measured.
      right: epsilon <q, yhat> / s^2: 0 at epsilon = 0.
      slack: right - left: rounding error.
      size: |y| |dL/dy|, by which to judge rounding.
    """

    shift: Array
    left: Array
    right: Array
    slack: Array
    size: Array


def projected_directions(shape: tuple[int, ...], groups: int | None) -> int:
    """How many directions of q a layer's J takes to 0 at epsilon = 0.

    Two in each block, the vector of ones and yhat: 2 C for batch norm and 2 N G for
    group norm, of the elements of ``shape`` (N, ..., C). One in a block of one element.

    Raises:
      UserError (a ValueError): ``groups`` does not divide C.
    """
    if groups is not None:
        check_groups(groups, shape[-1])
    blocks = shape[-1] if groups is None else shape[0] * groups
    return blocks * min(2, math.prod(shape) // blocks)


def removed(layer: Layer, output_gradient: Array) -> Removed:
    """The shares of the gradient that the layer projects out, an identity.

    Args:
      layer: the layer and its input.
      output_gradient: dL/dz, (N, ..., C).
    """
    b = blocks_of(layer)
    q = b.scale * layer.cut(output_gradient)
    m, whole = b.size, dot(q, q)
    mean = jnp.square(q.sum(-1)) / (m * whole)
    radial = (2 - dot(b.yhat, b.yhat) / m) * jnp.square(dot(q, b.yhat)) / (m * whole)
    return Removed(mean + radial, mean, radial)


def gains(layer: Layer) -> Array:
    """1/s^2 of every block, shape B: what the identities multiply a projection by."""
    return 1 / blocks_of(layer).variance


def invariance(
    layer: Layer, output_gradient: Array, input_gradient: Array
) -> Invariance:
    """The derivatives along a shift and a rescaling of each block, an identity.

    For y_c = X W_c + bias_c the sum of <y, dL/dy> over the blocks that hold channel c
    and those normalized with it is the derivative of the loss along a common rescaling
    of their weights and biases: those of one channel for batch norm, and of a whole
    group for group norm, summed over the examples.

    Arguments as in `normlab.quantities.bounds.first_order`.
    """
    b = blocks_of(layer)
    q, v, y = (
        b.scale * layer.cut(output_gradient),
        layer.cut(input_gradient),
        layer.cut(layer.y),
    )
    left = dot(y, v)
    right = layer.epsilon * dot(q, b.yhat) / b.variance
    size = jnp.sqrt(dot(y, y) * dot(v, v))
    return Invariance(v.sum(-1), left, right, right - left, size)
