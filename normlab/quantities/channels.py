"""The chosen channels at the norm layers, for quantities of activations."""

import jax.numpy as jnp
from jax import Array

from normlab.quantities.point import Point


def chosen(point: Point) -> list[tuple[Array, Array]]:
    """(before, after) of every norm layer: (channels, N x positions) each.

    If a layer does not have a channel, its values are NaN.
    """
    _, (before, after) = point.tapped(({}, {}))

    def pick(x: Array) -> Array:
        flat = x.reshape(-1, x.shape[-1])
        channels = jnp.array(point.site.settings.probe_channels)
        return flat.at[:, channels].get(mode="fill", fill_value=jnp.nan).T

    return [(pick(before[name]), pick(after[name])) for name in point.site.norms]
