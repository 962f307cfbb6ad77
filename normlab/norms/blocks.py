"""Means over the blocks into which a norm divides its input."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax


class Blocks(NamedTuple):
    """The blocks of arrays of one shape.

    Attributes:
      mean: averages arrays over their blocks. The axes stay, so each mean broadcasts
        against its array. It is 0 if no element of a block counts.
      near: a number near the mean of each block of an array, see `_sample`.
      seen: whether some element of a block counts; its axes stay, too. None if this is
        certain for all blocks.
    """

    mean: Callable[..., tuple[Array, ...]]
    near: Callable[[Array], Array]
    seen: Array | None

    def or_one(self, value: Array) -> Array:
        """``value`` of a block, or 1 if none of its elements counts."""
        return value if self.seen is None else jnp.where(self.seen, value, 1)


def cut(
    shape: tuple[int, ...],
    axes: tuple[int, ...],
    num_groups: int | None,
    mask: Array | None,
    axis_name: str | None,
    axis_index_groups: Any,
    assignment: Array | None = None,
) -> Blocks:
    """The blocks of arrays of ``shape``.

    A block spans ``axes``, and one of ``num_groups`` groups of channels (the last axis)
    unless that is None. If ``axis_name`` is given, it also spans that mapped axis, or
    each of its ``axis_index_groups``. Groups are consecutive channels, or as in
    `functional.group_norm` for an ``assignment``. An element does not count if
    ``mask``, broadcastable to ``shape``, is false there.
    """

    def total(values: tuple[Array, ...]) -> tuple[Array, ...]:
        # Sum positions before groups, because less is left to group. Reducing a
        # reshaped (N, H, W, G, C/G) takes a CPU twice as long.
        sums = tuple(v.sum(axes, keepdims=True) for v in values)
        if num_groups is not None:
            sums = tuple(_sum_groups(s, num_groups, assignment) for s in sums)
        if axis_name is not None:  # one collective for all of them
            sums = lax.psum(sums, axis_name, axis_index_groups=axis_index_groups)
        return sums

    if mask is None:
        size = math.prod(shape[a] for a in axes)
        size *= 1 if num_groups is None else shape[-1] // num_groups
        if axis_name is not None:
            size *= lax.psum(1, axis_name, axis_index_groups=axis_index_groups)
        seen = None
        if size == 0:  # an empty batch
            kept = [1 if a in axes else n for a, n in enumerate(shape)]
            size, seen = 1, jnp.zeros(kept, bool)

        def mean(*values: Array) -> tuple[Array, ...]:
            return tuple(s / size for s in total(values))

        def near(x: Array) -> Array:
            sample = _sample(x, axes)
            share = x.size / (max(sample.size, 1) * size)
            # Before the sum: after it, a GPU would launch a kernel for one product.
            (result,) = total((sample * share,))
            return result

        return Blocks(mean, near, seen)

    real = _real(mask, len(shape))
    (count,) = total((jnp.broadcast_to(real, shape),))
    divisor = jnp.maximum(count, 1)

    def masked_mean(*values: Array) -> tuple[Array, ...]:
        # Select instead of multiplying, so that NaN in the padding has no effect.
        kept = tuple(jnp.where(real, v, jnp.zeros((), v.dtype)) for v in values)
        return tuple(s / divisor for s in total(kept))

    return Blocks(masked_mean, lambda x: masked_mean(x)[0], count > 0)


# The mean of a block is first estimated from every eighth slice along two axes.
_EVERY = 8


def _sample(x: Array, axes: tuple[int, ...]) -> Array:
    """Every eighth slice of ``x`` along each of the two longest of ``axes``.

    The mean of one in k elements is at most sqrt(k) standard deviations from the mean
    of all, whatever they are (by Jensen's inequality).
    """
    for axis in sorted(axes, key=lambda axis: x.shape[axis])[-2:]:
        x = lax.slice_in_dim(x, 0, x.shape[axis], _EVERY, axis)
    return x


def tame(x: Array, mask: Array | None) -> Array:
    """``x``, with 0 for masked elements that are not finite, or almost so.

    A masked element counts in no mean, but it is normalized, and NaN or infinity times
    a gradient of 0 is NaN. An element whose square overflows is replaced as well.

    Args:
      x: a floating array.
      mask: broadcastable to ``x``, or None, which masks nothing.
    """
    if mask is None:
        return x
    harmless = _real(mask, x.ndim) | jnp.isfinite(jnp.square(x))
    return jnp.where(harmless, x, jnp.zeros((), x.dtype))


def _real(mask: Array, ndim: int) -> Array:
    """``mask`` as booleans of rank ``ndim``."""
    lead = (1,) * (ndim - jnp.ndim(mask))
    return jnp.asarray(mask, bool).reshape(lead + jnp.shape(mask))


def consecutive(channels: int, num_groups: int) -> np.ndarray:
    """The group of each channel if groups are consecutive: int32 (C,)."""
    return np.arange(channels, dtype=np.int32) // (channels // num_groups)


def _sum_groups(x: Array, num_groups: int, assignment: Array | None) -> Array:
    """Each channel's value replaced by the sum over its group.

    It is a product with the (C, C) matrix of which channels share a group. XLA does not
    fuse a product into the elementwise loops that use its result. It does fuse a
    reshaped sum, and repeats its index arithmetic for every element of the block. With
    the product, a training step of the report's network takes a fifth less time. The
    assignment is data, so any grouping runs through the same program. A value that is
    not finite also affects the other groups of its example.
    """
    channels = x.shape[-1]
    if num_groups == channels:
        return x
    group_C = consecutive(channels, num_groups) if assignment is None else assignment
    same_CC = jnp.asarray(group_C[:, None] == group_C[None, :], x.dtype)
    # Full precision, because a GPU by default rounds the statistics to 10 bits.
    return jnp.dot(x, same_CC, precision=lax.Precision.HIGHEST)
