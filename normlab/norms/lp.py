"""Normalization by an lp norm of the batch, as pure functions of arrays.

Santurkar, Tsipras, Ilyas & Madry 2018, p. 7: fix the first moment as batch norm does,
then normalize by the average lp norm, taken *before* shifting the mean; p = 1, 2 and
inf. The paper has no formula; this is our reading. For the m elements x of one channel
over the batch and all positions

    mean = 1/m sum x,    r = (1/m sum |x|^p)^(1/p), for p = inf r = max |x|,
    y = scale * (x - mean) / sqrt(r^2 + epsilon) + bias

so r is of x *before* the mean is taken away, and a shift of x changes y. Epsilon adds
to r^2 for every p and so means the same for all of them and for batch norm: where the
mean is 0, p = 2 *is* batch norm.

What a batch contributes to a running average is its mean and its ``moment``: 1/m sum
|x|^p, for p = inf the maximum. The moment and not r, so that p = 2 averages what batch
norm does, and so that the moments of batches average to that of their union. A maximum
does not: it grows with the batch, and its average is that over batches of one size.
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
    """Centres each channel and divides it by the lp norm that it had before.

    Args:
      x: real array (N, ..., C); all axes but the last are reduced.
      scale, bias: (C,) or None.
      p: "1", "2" or "inf".
      epsilon: added to r^2.
      mask: broadcastable to ``x``; where it is false (0) an element does not count,
        whatever it holds. Masked elements are normalized too, by statistics in which
        they do not count; the output of one that is not finite is undefined.

    Returns:
      ``y`` of ``x``'s shape, ``mean`` and ``moment`` of (C,), at least float32; 0 and 1
      where no element counts.

    Raises:
      UserError (a ValueError): for another ``p``.
    """
    _check(p)
    x = jnp.asarray(x, jnp.promote_types(jnp.result_type(x), jnp.float32))
    x, axes = tame(x, mask), tuple(range(x.ndim - 1))
    blocks = cut(x.shape, axes, None, mask, None, None)
    # In two passes, as in `functional`: y does not depend on the shift, so that no
    # derivative flows through it.
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
    """max |x| over ``axes``, which stay; equal maxima share its derivative."""
    size = jnp.abs(x)
    if mask is not None:
        real = jnp.broadcast_to(jnp.asarray(mask, bool), x.shape)
        size = jnp.where(real, size, jnp.zeros((), x.dtype))
    # Of nothing at all a maximum needs to be told.
    return size.max(axes, keepdims=True, initial=None if size.size else 0)


def _check(p: str) -> None:
    if p not in LP:
        raise UserError(f"unknown p {p!r} of an lp norm; known: {', '.join(LP)}")
