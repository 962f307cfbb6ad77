"""Means over the blocks that a norm cuts its input into."""

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

# Averages arrays of one shape over their blocks; the axes stay, so that each mean
# broadcasts against its array.
BlockMean = Callable[..., tuple[Array, ...]]


def block_mean(
    shape: tuple[int, ...],
    axes: tuple[int, ...],
    num_groups: int | None,
    mask: Array | None,
    axis_name: str | None,
    axis_index_groups: Any,
    assignment: Array | None = None,
) -> BlockMean:
    """The function that averages arrays of ``shape`` over their blocks.

    A block spans ``axes``, one of ``num_groups`` groups of channels (the last axis)
    unless that is None, and the mapped axis ``axis_name``, or each of the
    ``axis_index_groups`` of it, unless that is None. Groups are of consecutive
    channels, or as `functional.group_norm` says of ``assignment``. Where ``mask``,
    broadcastable to ``shape``, is false an element does not count.
    """

    def total(values: tuple[Array, ...]) -> tuple[Array, ...]:
        # Positions before groups: what is left to group is small, where reducing a
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
        return lambda *values: tuple(s / size for s in total(values))

    lead = (1,) * (len(shape) - jnp.ndim(mask))
    real = jnp.asarray(mask, bool).reshape(lead + jnp.shape(mask))
    (count,) = total((jnp.broadcast_to(real, shape),))

    def masked_mean(*values: Array) -> tuple[Array, ...]:
        # Select, not multiply: a NaN in the padding must not reach the statistics.
        kept = tuple(jnp.where(real, v, jnp.zeros((), v.dtype)) for v in values)
        return tuple(s / count for s in total(kept))

    return masked_mean


def consecutive(channels: int, num_groups: int) -> np.ndarray:
    """The group of each channel where groups are consecutive: int32 (C,)."""
    return np.arange(channels, dtype=np.int32) // (channels // num_groups)


def _sum_groups(x: Array, num_groups: int, assignment: Array | None) -> Array:
    """Each channel's value replaced by the sum over its group.

    A product with the (C, C) matrix of which channels share a group. XLA does not
    fuse a product into the elementwise loops that use its result, as it does a
    reshaped sum, whose index arithmetic it would repeat for every element of the
    block: a training step of the report's network takes a fifth less time so. Which
    channels those are is data: any grouping runs through the same program. A value
    that is not finite reaches the other groups of its example, too.
    """
    channels = x.shape[-1]
    if num_groups == channels:
        return x
    group_C = consecutive(channels, num_groups) if assignment is None else assignment
    same_CC = jnp.asarray(group_C[:, None] == group_C[None, :], x.dtype)
    # Full precision: on a GPU the default would round the statistics to 10 bits.
    return jnp.dot(x, same_CC, precision=lax.Precision.HIGHEST)
