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
    """What of q = scale * dL/dz does not reach the input, (22); shape B.

    Attributes:
      whole: |q|^2.
      mean: <1, q>^2 / m, lost of it along the vector of ones.
      radial: (2 - |yhat|^2 / m) <q, yhat>^2 / m, lost along yhat. The sum of the two
        is |q|^2 - s^2 |dL/dy|^2.
    """

    whole: Array
    mean: Array
    radial: Array


class Invariance(NamedTuple):
    """How the loss answers to a shift and to a rescaling of a block; shape B.

    Attributes:
      shift: <1, dL/dy>, the derivative along a shift of the block: 0 for every epsilon.
      scaling: <y, dL/dy>, the derivative along a rescaling of the block, as measured.
      expected: what that is by (24), epsilon <q, yhat> / s^2: 0 at epsilon = 0.
      shift_size, scaling_size: the first two with dL/dy as long as q / s and parallel,
        by which to judge rounding: sqrt(m) |q| / s and |y| |q| / s.
    """

    shift: Array
    scaling: Array
    expected: Array
    shift_size: Array
    scaling_size: Array


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
    """What of the gradient the layer projects out.

    Args:
      layer: the layer and its input.
      output_gradient: dL/dz, (N, ..., C).
    """
    b = blocks_of(layer)
    q, m = b.scale * layer.cut(output_gradient), b.size
    radial = (2 - dot(b.yhat, b.yhat) / m) * jnp.square(dot(q, b.yhat)) / m
    return Removed(dot(q, q), jnp.square(q.sum(-1)) / m, radial)


def gains(layer: Layer) -> Array:
    """1/s^2 of every block, shape B: what the identities multiply a projection by."""
    return 1 / blocks_of(layer).variance


def invariance(
    layer: Layer, output_gradient: Array, input_gradient: Array
) -> Invariance:
    """The derivatives along a shift and a rescaling of each block.

    For y_c = X W_c + bias_c the sum of <y, dL/dy> over the blocks that hold channel c
    and those normalized with it is the derivative of the loss along a common rescaling
    of their weights and biases: those of one channel for batch norm, and of a whole
    group for group norm, summed over the examples.

    Arguments as in `normlab.quantities.bounds.first_order`.
    """
    b = blocks_of(layer)
    q = b.scale * layer.cut(output_gradient)
    v, y = layer.cut(input_gradient), layer.cut(layer.y)
    longest = jnp.sqrt(dot(q, q) / b.variance)
    return Invariance(
        shift=v.sum(-1),
        scaling=dot(y, v),
        expected=layer.epsilon * dot(q, b.yhat) / b.variance,
        shift_size=math.sqrt(b.size) * longest,
        scaling_size=jnp.sqrt(dot(y, y)) * longest,
    )
