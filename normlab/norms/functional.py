"""Batch and group normalization as pure functions of arrays.

A norm cuts its input x into blocks of m elements and standardizes each block:

    mean = 1/m sum x,    var = 1/m sum (x - mean)^2,
    y = scale * (x - mean) / sqrt(var + epsilon) + bias

with scale and bias per channel. For batch norm a block is one channel over the
batch and all positions (Ioffe & Szegedy 2015, Algorithm 1); for group norm it is
one example's group of C/G channels, consecutive unless another assignment is given,
over all positions (Wu & He 2018, equations 1 to 7). The variance is biased, as in both
papers.

The moments come from one pass over shifted data (Chan, Golub & LeVeque 1983, section
3): d = x - shift, and var = E[d^2] - E[d]^2. E[x^2] - E[x]^2 would lose every digit at
a mean of 1e4. The shift is the mean of some elements of the block, at most 8 standard
deviations from the mean of all, so this difference loses at most a factor of 65. With
a mask it is the mean itself, from another pass. No result depends on the shift, at any
order of differentiation, so no derivative flows through it: autodiff then finds the
backward pass with two reductions, and jvp, vjp and their compositions hold without
custom rules.

Everything is computed in float32 or, for wider inputs, in the inputs' precision.

An element does not count if its mask is false (0). Whatever its value, it affects
neither the statistics nor the output or a derivative of another element. If the
gradient of its own output is 0, it does not affect the gradients of scale and bias
either. A block that is empty or fully masked has mean 0 and variance 1. A masked
element is normalized like the others of its block. If it is NaN, infinite or so large
that its square overflows, its output is undefined.

A block of one element is its own mean, so its output is the bias, whatever the input.
These functions compute this; the layers of `normlab.norms.make_norm` refuse it.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array, lax
from numpy.lib.array_utils import normalize_axis_tuple

from normlab.errors import UserError
from normlab.norms.blocks import Blocks, cut, tame
from normlab.words import counted

Axes = int | Sequence[int]


class Normalized(NamedTuple):
    """A norm's output and the statistics it used.

    Without scale and bias, ``y`` is the standardized input itself.
    """

    y: Array
    mean: Array
    var: Array


def moments(
    x: Array,
    axes: Axes,
    *,
    mask: Array | None = None,
    axis_name: str | None = None,
    axis_index_groups: Any = None,
) -> tuple[Array, Array]:
    """Mean and biased variance of ``x`` over ``axes``.

    Args:
      x: real array of any shape.
      axes: the axes to reduce.
      mask: broadcastable to ``x``; an element does not count if it is false (0) there,
        whatever its value.
      axis_name: a mapped axis (vmap, shard_map, pmap) to reduce over as well. All
        elements have the same weight, however the mask is spread over the axis.
      axis_index_groups: reduce within these groups of the mapped axis.

    Returns:
      ``(mean, var)``, each of ``x``'s shape without ``axes``, at least float32; 0 and 1
      if no element counts.
    """
    x, axes = tame(_at_least_float32(x), mask), _axes(axes, x.ndim)
    blocks = cut(x.shape, axes, None, mask, axis_name, axis_index_groups)
    shift, _, offset, var = _shifted_moments(x, blocks)
    return (shift + offset).squeeze(axes), var.squeeze(axes)


def batch_norm(
    x: Array,
    scale: Array | None,
    bias: Array | None,
    epsilon: float,
    *,
    axis: Axes = -1,
    mask: Array | None = None,
    axis_name: str | None = None,
    axis_index_groups: Any = None,
) -> Normalized:
    """Normalizes each feature of ``x`` by its mean and variance over the batch.

    Args:
      x: real array; every axis but ``axis`` is reduced, so (N, H, W, C) by default.
      scale, bias: None, or of the shape of ``x`` along ``axis``: (C,) by default.
      epsilon: added to the variance.
      axis: the feature axis or axes.
      mask, axis_name, axis_index_groups: as in ``moments``. All elements of ``x`` are
        normalized, including masked ones, which do not count in the statistics. The
        output of a masked element that is not finite is undefined.

    Returns:
      ``y`` of ``x``'s shape, ``mean`` and ``var`` of the features' shape.
    """
    x, features = tame(_at_least_float32(x), mask), _axes(axis, x.ndim)
    axes = _other_axes(features, x.ndim)
    blocks = cut(x.shape, axes, None, mask, axis_name, axis_index_groups)
    shift, d, offset, var = _shifted_moments(x, blocks)
    y = _standardize(d, offset, var, scale, bias, epsilon, features)
    return Normalized(y, (shift + offset).squeeze(axes), var.squeeze(axes))


def normalize_by(
    x: Array,
    mean: Array,
    var: Array,
    scale: Array | None,
    bias: Array | None,
    epsilon: float,
    *,
    axis: Axes = -1,
    mask: Array | None = None,
) -> Array:
    """``scale * (x - mean) / sqrt(var + epsilon) + bias`` with given statistics.

    ``mean``, ``var``, ``scale`` and ``bias`` have the shape of ``x`` along ``axis``;
    the last two may be None. If ``mask``, broadcastable to ``x``, is false (0) for an
    element, it affects no gradient except through its own output. The output of one
    that is not finite is undefined.
    """
    x, features = tame(_at_least_float32(x), mask), _axes(axis, x.ndim)
    d = x - _along(mean, features, x.ndim)
    var = _along(var, features, x.ndim)
    return _standardize(d, None, var, scale, bias, epsilon, features)


def group_norm(
    x: Array,
    num_groups: int,
    scale: Array | None,
    bias: Array | None,
    epsilon: float,
    *,
    reduction_axes: Axes | None = None,
    mask: Array | None = None,
    axis_name: str | None = None,
    axis_index_groups: Any = None,
    assignment: Array | None = None,
) -> Normalized:
    """Normalizes each group of channels of each example by itself.

    Args:
      x: real array (N, ..., C).
      num_groups: G, a divisor of C. G = 1 is layer norm over all but N, G = C is
        instance norm.
      scale, bias: (C,) or None.
      epsilon: added to the variance.
      reduction_axes: axes that a block spans, the last among them; all but the first
        by default.
      mask, axis_name, axis_index_groups: as in ``batch_norm``.
      assignment: the group of each channel, integers (C,), with each of 0 to G - 1
        equally often. This is not checked, because it may be data of a compiled
        program. By default groups are consecutive channels.

    Returns:
      ``y`` of ``x``'s shape; ``mean`` and ``var`` of ``x``'s shape without
      ``reduction_axes``, followed by G: (N, G) by default.

    Raises:
      UserError (a ValueError): if G does not divide C.
      ValueError: if ``reduction_axes`` leaves out the last axis.
    """
    check_groups(num_groups, x.shape[-1])
    if reduction_axes is None:
        reduction_axes = (*range(1, x.ndim - 1), -1)
    x, axes = tame(_at_least_float32(x), mask), _axes(reduction_axes, x.ndim)
    if x.ndim - 1 not in axes:
        raise ValueError(
            f"reduction axes {axes} leave out the last axis, {x.ndim - 1}: "
            "it holds the channels, and a group spans some of them"
        )
    axes = tuple(a for a in axes if a != x.ndim - 1)
    blocks = cut(
        x.shape, axes, num_groups, mask, axis_name, axis_index_groups, assignment
    )
    shift, d, offset, var = _shifted_moments(x, blocks)
    y = _standardize(d, offset, var, scale, bias, epsilon, (x.ndim - 1,))
    one_G = _one_channel_each(num_groups, x.shape[-1], assignment)
    mean_NG = (shift + offset).squeeze(axes)[..., one_G]
    return Normalized(y, mean_NG, var.squeeze(axes)[..., one_G])


def feature_shape(x: Array, axis: Axes) -> tuple[int, ...]:
    """The shape of ``x`` along ``axis``."""
    return tuple(x.shape[a] for a in _axes(axis, x.ndim))


def seen(
    x: Array,
    *,
    axis: Axes = -1,
    mask: Array | None = None,
    axis_name: str | None = None,
    axis_index_groups: Any = None,
) -> Array | None:
    """Whether some element of each feature counts; arguments as in ``batch_norm``.

    Returns:
      booleans of the features' shape; None if this is certain for all features.
    """
    axes = _other_axes(_axes(axis, x.ndim), x.ndim)
    blocks = cut(x.shape, axes, None, mask, axis_name, axis_index_groups)
    return None if blocks.seen is None else blocks.seen.squeeze(axes)


def check_groups(num_groups: int, channels: int) -> None:
    """Raises UserError (a ValueError) unless ``num_groups`` divides ``channels``."""
    if num_groups <= 0 or channels % num_groups:
        raise UserError(
            f"{num_groups} groups do not divide {counted(channels, 'channel')}"
        )


def _shifted_moments(x: Array, blocks: Blocks) -> tuple[Array, Array, Array, Array]:
    """``(shift, d, offset, var)``: d = x - shift has mean ``offset``, variance var."""
    shift = blocks.near(lax.stop_gradient(x))
    d = x - shift
    offset, square = blocks.mean(d, jnp.square(d))
    var = blocks.or_one(square - jnp.square(offset))
    # Rounding may make the variance of a constant block negative. This corrects only
    # the value. Clipping would also remove its derivatives, which are correct.
    return shift, d, offset, var - lax.stop_gradient(jnp.minimum(var, 0))


def _standardize(
    d: Array,
    offset: Array | None,
    var: Array,
    scale: Array | None,
    bias: Array | None,
    epsilon: float,
    features: tuple[int, ...],
) -> Array:
    """``scale * (d - offset) / sqrt(var + epsilon) + bias``.

    One multiply and one add per element. Every reduction of the backward pass is then
    one that the gradients of scale and bias need anyway. This costs little accuracy,
    because the mean of d is at most a few of its standard deviations.
    """
    multiplier = lax.rsqrt(var + epsilon)
    if scale is not None:
        multiplier = multiplier * _along(scale, features, d.ndim)
    y = d * multiplier
    constant = None if offset is None else -offset * multiplier
    if bias is not None:
        bias = _along(bias, features, d.ndim)
        constant = bias if constant is None else bias + constant
    return y if constant is None else y + constant


def _one_channel_each(num_groups: int, channels: int, assignment: Array | None) -> Any:
    """An index of G channels, the first of each group."""
    if assignment is None:
        return slice(None, None, channels // num_groups)
    return jnp.argmax(assignment[None, :] == jnp.arange(num_groups)[:, None], axis=1)


def _along(v: Array, features: tuple[int, ...], ndim: int) -> Array:
    """``v``, one value per feature, as an array of rank ``ndim``."""
    sizes = dict(zip(features, v.shape, strict=True))
    return v.reshape([sizes.get(axis, 1) for axis in range(ndim)])


def _axes(axes: Axes, ndim: int) -> tuple[int, ...]:
    return tuple(sorted(normalize_axis_tuple(axes, ndim)))


def _other_axes(features: tuple[int, ...], ndim: int) -> tuple[int, ...]:
    return tuple(a for a in range(ndim) if a not in features)


def _at_least_float32(x: Array) -> Array:
    dtype = jnp.promote_types(jnp.result_type(x), jnp.float32)
    if jnp.issubdtype(dtype, jnp.complexfloating):
        raise TypeError(f"norms are defined here for real arrays, not {dtype}")
    return jnp.asarray(x, dtype)
