"""Histograms of single channels, before and after each norm (report, E8)."""

import jax
import jax.numpy as jnp
from jax import Array

from normlab.quantities.channels import chosen
from normlab.quantities.point import Point


def measure(point: Point) -> dict[str, Array]:
    """``count`` of values in each bin and its edges ``left``, ``right``.

    Shape (norm layers, 2, channels, bins): before and after each layer, the chosen
    channels; equal bins from the least value of the batch to the greatest. A channel
    that a layer does not have has NaN edges and counts 0.
    """
    bins = point.site.settings.probe_bins

    def histogram(values: Array) -> tuple[Array, Array, Array]:
        # bfloat16 has no number between 256 and 258: neither a count nor an edge.
        values = values.astype(jnp.promote_types(values.dtype, jnp.float32))
        low, high = values.min(), values.max()
        width = (high - low) / bins
        place = jnp.clip(((values - low) / width).astype(jnp.int32), 0, bins - 1)
        # Where all values are one the width is 0, and they go into the first bin.
        place = jnp.where(width > 0, place, 0)
        real = jnp.isfinite(values)
        count = jnp.zeros(bins, values.dtype).at[place].add(real.astype(values.dtype))
        edges = low + width * jnp.arange(bins + 1)
        return count, edges[:-1], edges[1:]

    histograms = [[jax.vmap(histogram)(x) for x in pair] for pair in chosen(point)]
    names = ("count", "left", "right")
    return {
        name: jnp.stack([jnp.stack([side[k] for side in pair]) for pair in histograms])
        for k, name in enumerate(names)
    }
