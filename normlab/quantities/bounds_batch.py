"""The theorems of Santurkar et al. 2018 on batch norm: as they hold, and as printed.

S stands for Santurkar, Tsipras, Ilyas & Madry, arXiv 1805.11604v3. They compare a loss
with batch norm to one without, and set the gradient by the norm's output z, g = dL/dz,
equal to the gradient by y of the network without: so g is what is measured here on the
right sides. sigma^2 is var + epsilon throughout, by which the layer divides, and m the
number of elements of a channel, over the batch and all positions.

Three coefficients are printed wrongly, as docs/theory.md shows: 1/sqrt(m) for 1/m in
Theorem 4.1, and g_j^2 for g_j, a lambda^2 and a 1/m in Theorem 4.4. Corrected, the two
and the first relation of Theorem 4.2 are equalities at epsilon = 0, and the exact
terms for epsilon > 0 are known. ``printed`` is the right side in the paper's words, and
where ``printed_slack`` is negative the printed inequality is false.
"""

import math
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from normlab.quantities.bounds import (
    Layer,
    Product,
    block_forms,
    blocks_of,
    dot,
    first_order,
    second_order,
)


class Theorem41(NamedTuple):
    """Theorem 4.1, the gradient; arrays of shape (C,).

    Attributes:
      left, right, slack, bound, size: as in `normlab.quantities.bounds.FirstOrder`;
        ``left <= bound`` is the theorem with 1/m.
      printed: its right side as printed, with 1/sqrt(m).
      printed_slack: printed - left; negative where the printed inequality is false.
    """

    left: Array
    right: Array
    slack: Array
    bound: Array
    size: Array
    printed: Array
    printed_slack: Array


class Theorem42(NamedTuple):
    """Theorem 4.2, first relation, the curvature along the gradient; shape B.

    Attributes:
      left, right, slack, size: as in `normlab.quantities.bounds.SecondOrder`, for each
        block's own Hessian along its own gradient.
      alignment: <q, yhat>, for batch norm scale * <g, yhat>: where it is positive, the
        last term lowers the curvature. Nothing makes it so.
      printed: the right side as printed; equal to ``left`` at epsilon = 0.
      printed_slack: printed - left; of either sign for epsilon > 0.
    """

    left: Array
    right: Array
    slack: Array
    size: Array
    alignment: Array
    printed: Array
    printed_slack: Array


class Theorem44(NamedTuple):
    """Theorem 4.4, the worst gradient by the weights; arrays of shape (C,).

    Attributes:
      left: the largest |dL/dW_j|^2 over inputs X of the linear map with |X| <= radius.
      right: the same by the identity (8) of docs/theory.md.
      slack: right - left: rounding error, for every epsilon.
      bound: the theorem's right side, corrected; at least ``right``.
      printed: the right side as printed.
      printed_slack: printed - left.
    """

    left: Array
    right: Array
    slack: Array
    bound: Array
    printed: Array
    printed_slack: Array


class Lemma45(NamedTuple):
    """Lemma 4.5, the distance to an optimum; arrays of the leading shape.

    Attributes:
      left: |W0 - k W*|^2, the squared distance to the optimum on the ray of W*.
      right: |W0 - W*|^2 - (|W*|^2 - <W*, W0>)^2 / |W*|^2.
      slack: right - left: rounding error.
      factor: k = <W*, W0> / |W*|^2. The lemma asks that it be positive: otherwise k W*
        is not on the ray, and need not be an optimum.
    """

    left: Array
    right: Array
    slack: Array
    factor: Array


def theorem_4_1(
    layer: Layer, output_gradient: Array, input_gradient: Array
) -> Theorem41:
    """Theorem 4.1 (S p. 9 and 19): how much smaller batch norm makes a gradient.

    Printed, for each channel j:

        |dL/dy|^2 <= scale^2 / sigma^2 (|g|^2 - <1, g>^2 / m - <g, yhat>^2 / sqrt(m))

    The last coefficient is 1/m. S's equation (8) projects g on yhat / |yhat|, and
    |yhat|^2 = m; with 1/m this is an equality at epsilon = 0, and an inequality
    (``bound``) for epsilon > 0, where ``right`` is exact. As printed it claims too
    much: it is false wherever <g, yhat> is not 0 and sqrt(m) > 2 - |yhat|^2 / m, so at
    epsilon = 0 for every m > 1; ``printed_slack`` says by how much.

    Arguments as in `normlab.quantities.bounds.first_order`.

    Raises:
      ValueError: ``layer`` is no batch norm.
    """
    _only_batch_norm(layer)
    first = first_order(layer, output_gradient, input_gradient)
    b = blocks_of(layer)
    g = layer.cut(output_gradient)
    m = b.size
    # The scale is one number for the whole channel, and so are its elements' scales.
    inner = dot(g, g) - g.sum(-1) ** 2 / m - dot(g, b.yhat) ** 2 / math.sqrt(m)
    printed = jnp.square(b.scale[:, 0]) / b.variance * inner
    return Theorem41(*first, printed, printed - first.left)


def theorem_4_2(
    layer: Layer,
    output_gradient: Array,
    input_gradient: Array,
    input_product: Product,
    output_product: Product,
) -> Theorem42:
    """Theorem 4.2, first relation (S p. 9 and 21-23): the curvature along the gradient.

    Printed, for each channel, with its own Hessians and v = dL/dy:

        <v, Hess v> <= scale^2 / sigma^2 <v, H v> - scale / (m sigma^2) <g, yhat> |v|^2

    At epsilon = 0 it is an equality, (15) of docs/theory.md; for epsilon > 0 it is
    neither that nor a bound, and (14) is exact. With group norm the same holds for each
    group of each example, its channels scaled each by its own: <scale v, H scale v> and
    <q, yhat> take the place of scale^2 <v, H v> and scale <g, yhat>.

    Costs three Hessian products a block. Arguments as in
    `normlab.quantities.bounds.second_order`, with the direction dL/dy.
    """
    second = second_order(
        layer,
        output_gradient,
        input_gradient,
        input_product,
        output_product,
        by_block=True,
    )
    b = blocks_of(layer)
    q, v = b.scale * layer.cut(output_gradient), layer.cut(input_gradient)
    alignment = dot(q, b.yhat)
    carried = block_forms(layer, output_product, layer.join(b.scale * v))
    printed = (carried - alignment * dot(v, v) / b.size) / b.variance
    left, right, slack, *_, size = second
    return Theorem42(left, right, slack, size, alignment, printed, printed - left)


def theorem_4_4(
    layer: Layer,
    output_gradient: Array,
    input_gradient: Array,
    radius: float | Array,
) -> Theorem44:
    """Theorem 4.4 (S p. 9), in the form that its proof gives.

    For y_j = X W_j, the gradient by W_j is X' dL/dy_j. Its largest squared norm over
    matrices X of spectral norm at most ``radius`` (lambda) is lambda^2 |dL/dy_j|^2 (S,
    equations 17 and 18), the gradient and sigma being held fixed while X varies, as S
    do. So the theorem is Theorem 4.1 times lambda^2: with g_j = lambda^2 |g|^2 and
    mu = <1, g> / m,

        left <= scale^2 / sigma^2 (g_j - lambda^2 m mu^2 - lambda^2 <g, yhat>^2 / m)

    (``bound``), an equality at epsilon = 0. Printed are g_j^2 in place of g_j, m mu^2
    without lambda^2, and <g, yhat>^2 without 1/m.

    Args:
      layer, output_gradient, input_gradient: as for `theorem_4_1`.
      radius: lambda, a number or of shape (C,).
    """
    first = theorem_4_1(layer, output_gradient, input_gradient)
    b = blocks_of(layer)
    g = layer.cut(output_gradient)
    worst = radius**2 * dot(g, g)
    inner = worst**2 - b.size * g.mean(-1) ** 2
    inner = inner - radius**2 * dot(g, b.yhat) ** 2
    printed = jnp.square(b.scale[:, 0]) / b.variance * inner
    left, right, bound = (
        radius**2 * side for side in (first.left, first.right, first.bound)
    )
    return Theorem44(left, right, right - left, bound, printed, printed - left)


def lemma_4_5(start: Array, optimum: Array) -> Lemma45:
    """Lemma 4.5 (S p. 10 and 25): a network with batch norm has an optimum nearer by.

    A loss that is unchanged when the weights W* of a channel are multiplied by k > 0,
    as behind batch norm at epsilon = 0, has an optimum at every k W*. The nearest of
    them to the start W0 is the projection of W0 on the ray, and Pythagoras gives its
    distance: an equality, where S print ``<=`` for the nearest of all optima. The
    premise is the loss's, not the arrays': the numbers here are right for any W*.

    Args:
      start, optimum: W0 and W*, (..., D).
    """
    square, inner = dot(optimum, optimum), dot(optimum, start)
    factor = inner / square
    left = jnp.square(start - factor[..., None] * optimum).sum(-1)
    right = jnp.square(start - optimum).sum(-1) - jnp.square(square - inner) / square
    return Lemma45(left, right, right - left, factor)


def _only_batch_norm(layer: Layer) -> None:
    if layer.groups is not None:
        raise ValueError(
            f"a theorem of batch norm, asked of {layer.groups} groups: "
            "normlab.quantities.bounds.first_order has the identity of group norm"
        )
