"""Normalization by an lp norm of the batch, as pure functions of arrays.

Santurkar, Tsipras, Ilyas & Madry 2018, p. 7: fix the first moment as batch norm does,
then normalize by the average lp norm, taken *before* shifting the mean; p = 1, 2 and
inf. The paper has no formula; this is our reading. For the m elements x of one channel
over the batch and all positions

    mean = 1/m sum x,    r = (1/m sum |x|^p)^(1/p), for p = inf r = max |x|,
    y = scale * (x - mean) / sqrt(r^2 + epsilon) + bias

so r is computed *before* the mean is subtracted, and a shift of x changes y. Epsilon is
added to r^2 for every p, so it means the same for all of them and for batch norm: if
the mean is 0, p = 2 *is* batch norm.

A batch contributes its mean and its ``moment`` to the running averages: 1/m sum |x|^p,
or the maximum for p = inf. The moment is used instead of r so that p = 2 averages the
same as batch norm, and so that the moments of batches average to that of their union.
This does
not hold for a maximum, which grows with the batch: its average is for one batch size.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from normlab.errors import UserError
from normlab.norms.blocks import cut, tame
from normlab.norms.functional import normalize_by
from normlab.settings.norms import LP


class LpNormalized(NamedTuple):
    """The output, and the statistics of the batch that it used, each (C,)."""

    y: Array
    mean: Array
    moment: Array


def lp_batch_norm(
    x: Array,
    scale: Array | None,
    bias: Array | None,
    p: str,
    epsilon: float,
    *,
    mask: Array | None = None,
) -> LpNormalized:
    """Centres each channel and divides it by its lp norm before centring.

    Args:
      x: real array (N, ..., C); all axes but the last are reduced.
      scale, bias: (C,) or None.
      p: "1", "2" or "inf".
      epsilon: added to r^2.
      mask: broadcastable to ``x``; an element does not count if it is false (0) there,
        whatever its value. Masked elements are normalized too, but do not count in the
        statistics. The output of one that is not finite is undefined.

    Returns:
      ``y`` of ``x``'s shape, ``mean`` and ``moment`` of (C,), at least float32; 0 and 1
      if no element counts.

    Raises:
      UserError (a ValueError): for another ``p``.
    """
    _check(p)
    x = jnp.asarray(x, jnp.promote_types(jnp.result_type(x), jnp.float32))
    x, axes = tame(x, mask), tuple(range(x.ndim - 1))
    blocks = cut(x.shape, axes, None, mask, None, None)
    # The shift is the mean itself: that of a sample, as in `functional`, is not faster
    # here. y does not depend on it, so no derivative flows through it.
    (shift,) = blocks.mean(lax.stop_gradient(x))
    d = x - shift
    if p == "inf":
        (offset,) = blocks.mean(d)
        moment = _largest(x, axes, mask)
    else:
        offset, moment = blocks.mean(d, jnp.abs(x) if p == "1" else jnp.square(x))
    offset, moment = offset.squeeze(axes), blocks.or_one(moment).squeeze(axes)
    y = lp_normalize_by(d, offset, moment, scale, bias, p, epsilon)
    return LpNormalized(y, shift.squeeze(axes) + offset, moment)


def lp_normalize_by(
    x: Array,
    mean: Array,
    moment: Array,
    scale: Array | None,
    bias: Array | None,
    p: str,
    epsilon: float,
    *,
    mask: Array | None = None,
) -> Array:
    """``scale * (x - mean) / sqrt(r^2 + epsilon) + bias`` with given statistics.

    ``mean``, ``moment`` (whose p-th root is r), ``scale`` and ``bias`` are (C,); the
    last two may be None. ``mask`` is as in `functional.normalize_by`.
    """
    _check(p)
    square = moment if p == "2" else jnp.square(moment)  # r^2
    return normalize_by(x, mean, square, scale, bias, epsilon, mask=mask)


def _largest(x: Array, axes: tuple[int, ...], mask: Array | None) -> Array:
    """max |x| over ``axes``, which are kept; equal maxima share its derivative."""
    size = jnp.abs(x)
    if mask is not None:
        real = jnp.broadcast_to(jnp.asarray(mask, bool), x.shape)
        size = jnp.where(real, size, jnp.zeros((), x.dtype))
    # The maximum of an empty array needs an initial value.
    return size.max(axes, keepdims=True, initial=None if size.size else 0)


def _check(p: str) -> None:
    if p not in LP:
        raise UserError(f"unknown p {p!r} of an lp norm; known: {', '.join(LP)}")
