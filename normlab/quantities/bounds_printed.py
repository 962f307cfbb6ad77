"""Theorems on batch norm as Santurkar et al. 2018 print them, and a lemma that holds.

S stands for Santurkar, Tsipras, Ilyas & Madry, arXiv 1805.11604v3. They compare a loss
with batch norm to one without, and set the gradient by the norm's output z, g = dL/dz,
equal to the gradient by y of the network without: so g is what is measured here on the
right sides. sigma^2 is var + epsilon throughout, by which the layer divides, and m the
number of elements of a channel, over the batch and all positions.

Theorem 4.1 as printed is a field of `normlab.quantities.bounds.first_order`. Sections
4 to 6 of docs/theory.md say what holds in the place of each.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from normlab.quantities.bounds import Layer, blocks_of, dot


class Lemma45(NamedTuple):
    """Lemma 4.5, the distance to an optimum; arrays of the leading shape.

    Attributes:
      left: |W0 - k W*|^2, the squared distance to the optimum on the ray of W*.
      right: |W0 - W*|^2 - (|W*|^2 - <W*, W0>)^2 / |W*|^2, equal to ``left``.
      factor: k = <W*, W0> / |W*|^2. The lemma asks that it be positive: otherwise k W*
        is not on the ray, and need not be an optimum.
    """

    left: Array
    right: Array
    factor: Array


def theorem_4_2(
    layer: Layer, output_gradient: Array, input_gradient: Array, curvature: Array
) -> Array:
    """The right side of Theorem 4.2, first relation (S p. 9 and 21-23); shape B.

    Printed, for each channel, with its own Hessians and v = dL/dy:

        <v, Hess v> <= scale^2 / sigma^2 <v, H v> - scale / (m sigma^2) <g, yhat> |v|^2

    At epsilon = 0 it is an equality, (15) of docs/theory.md; for epsilon > 0 it is
    neither that nor a bound, and (14) is exact. For group norm, <scale v, H scale v>
    and <q, yhat> take the place of scale^2 <v, H v> and scale <g, yhat>, and it is
    (21).

    Args:
      layer, output_gradient, input_gradient: as for
        `normlab.quantities.bounds.first_order`.
      curvature: <scale v, H scale v> of every block with its own Hessian, B.
    """
    last = last_of_theorem_4_2(layer, output_gradient, input_gradient)
    return curvature / blocks_of(layer).variance - last


def last_of_theorem_4_2(
    layer: Layer, output_gradient: Array, input_gradient: Array
) -> Array:
    """<q, yhat> |v|^2 / (m s^2), what Theorem 4.2 subtracts; shape B.

    Args: as for `theorem_4_2`.
    """
    b = blocks_of(layer)
    q, v = b.scale * layer.cut(output_gradient), layer.cut(input_gradient)
    return dot(q, b.yhat) * dot(v, v) / (b.size * b.variance)


def at_unit_scale(layer: Layer, direction: Array) -> Array:
    """scale * v / s, the direction of the first term of Theorem 4.2; (N, ..., C).

    The change of z along v (`normlab.quantities.bounds.push_forward`), if v is
    orthogonal to the vector of ones and to yhat in every block.
    """
    b = blocks_of(layer)
    unit = b.scale * layer.cut(direction) / jnp.sqrt(b.variance[..., None])
    return layer.join(unit)


def theorem_4_4(layer: Layer, output_gradient: Array, radius: float | Array) -> Array:
    """The right side of Theorem 4.4 (S p. 9), shape (C,).

    It is about the largest |dL/dW_j|^2 of y_j = X W_j over matrices X of spectral norm
    at most ``radius`` (lambda), dL/dy_j and sigma being held fixed, which is
    lambda^2 |dL/dy_j|^2 (S, equations 17 and 18). With g_j = lambda^2 |g|^2 and
    mu = <1, g> / m, printed is

        scale^2 / sigma^2 (g_j^2 - m mu^2 - lambda^2 <g, yhat>^2)

    and right is (17) of docs/theory.md: g_j in place of its square, lambda^2 m mu^2,
    and lambda^2 / m in front of the last term.

    Raises:
      ValueError: ``layer`` is no batch norm, whose block is one channel.
    """
    if layer.groups is not None:
        raise ValueError(f"a theorem of batch norm, asked of {layer.groups} groups")
    b = blocks_of(layer)
    g = layer.cut(output_gradient)
    worst = radius**2 * dot(g, g)
    inner = worst**2 - b.size * jnp.square(g.mean(-1))
    inner = inner - radius**2 * jnp.square(dot(g, b.yhat))
    return jnp.square(b.scale[:, 0]) / b.variance * inner


def lemma_4_5(start: Array, optimum: Array) -> Lemma45:
    """Lemma 4.5 (S p. 10 and 25): a network with batch norm has an optimum nearer by.

    A loss that is unchanged when the weights W* of a channel are multiplied by k > 0,
    as behind batch norm at epsilon = 0, has an optimum at every k W*. The nearest of
    them to the start W0 is the projection of W0 on the ray, and Pythagoras gives its
    distance: an equality, (18) of docs/theory.md, where S print ``<=`` for the nearest
    of all optima. The premise is the loss's, not the arrays': the numbers here are
    right for any W*.

    Args:
      start, optimum: W0 and W*, (..., D).
    """
    square, inner = dot(optimum, optimum), dot(optimum, start)
    factor = inner / square
    left = jnp.square(start - factor[..., None] * optimum).sum(-1)
    right = jnp.square(start - optimum).sum(-1) - jnp.square(square - inner) / square
    return Lemma45(left, right, factor)
