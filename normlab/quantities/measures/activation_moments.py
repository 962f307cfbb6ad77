"""Moments of single channels, before and after each norm (report, E8 and E9)."""

import jax.numpy as jnp
from jax import Array

from normlab.quantities.channels import chosen
from normlab.quantities.point import Point


def measure(point: Point) -> dict[str, Array]:
    """``mean``, ``std`` and ``skewness`` (population) over batch and positions.

    Shape (norm layers, 2, channels): before and after each layer, the chosen channels.
    ``after`` is behind the norm's own scale and bias. NaN for a channel that a layer
    does not have; a channel of one value alone has no skewness.
    """
    values = chosen(point)
    moments = {"mean": jnp.mean, "std": jnp.std, "skewness": _skewness}
    return {
        name: jnp.stack([jnp.stack([of(x, axis=-1) for x in pair]) for pair in values])
        for name, of in moments.items()
    }


def _skewness(x: Array, axis: int) -> Array:
    """The third standardised moment."""
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    away = x - x.mean(axis, keepdims=True)
    std = x.std(axis, keepdims=True)
    # Of one value there is a deviation, too: that of rounding.
    rounding = 8 * jnp.finfo(x.dtype).eps * jnp.abs(x).max(axis, keepdims=True)
    return jnp.mean((away / jnp.where(std > rounding, std, jnp.nan)) ** 3, axis)
