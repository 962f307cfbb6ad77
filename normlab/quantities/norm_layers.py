"""The norm layers of a network at a point, for quantities of their identities."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from normlab.quantities.bounds import Layer
from normlab.quantities.point import Point


class NormLayer(NamedTuple):
    """A layer in the network: its input, and the gradients on both sides of it.

    Attributes:
      layer: with its input y.
      by_output: dL/dz, (N, ..., C).
      by_input: dL/dy, (N, ..., C).
    """

    layer: Layer
    by_output: Array
    by_input: Array


def norm_layers(point: Point) -> list[NormLayer]:
    """The network's norm layers in the order of the forward pass, float32 or wider.

    Raises:
      ValueError: the norm is not one whose identities are known.
    """
    site, taps = point.site, point.taps
    if site.groups is None:
        raise ValueError("no batch, group, layer or instance norm to look at")

    def wide(x: Array) -> Array:
        return x.astype(jnp.promote_types(x.dtype, jnp.float32))

    return [
        NormLayer(
            Layer(
                wide(taps.before[name]),
                # Without a learned scale a norm may have no parameters at all.
                point.params.get(name, {}).get("scale"),
                site.epsilon,
                site.groups[name],
            ),
            wide(taps.by_after[name]),
            wide(taps.by_before[name]),
        )
        for name in site.norms
    ]
