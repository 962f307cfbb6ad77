"""The norm layers of a network at a point, for quantities of their identities."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from normlab.norms.taps import Place
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
    if not site.standardizes:
        raise ValueError("no batch, group, layer or instance norm to look at")

    def wide(x: Array) -> Array:
        return x.astype(jnp.promote_types(x.dtype, jnp.float32))

    def examples(x: Array, place: Place) -> Array:
        return wide(x.reshape(-1, x.shape[-1]) if place.per_position else x)

    return [
        NormLayer(
            Layer(
                examples(taps.before[place.name], place),
                _scale(point, place),
                place.epsilon,
                place.groups,
            ),
            examples(taps.by_after[place.name], place),
            examples(taps.by_before[place.name], place),
        )
        for place in site.places
    ]


def _scale(point: Point, place: Place) -> Array | None:
    """The learned scale; None if the norm has none."""
    for name in ("scale", "weight"):  # in Flax and Haiku, and in Equinox
        scale = point.leaf(f"{place.path}/{name}")
        if scale is not None:
            return scale
    return None
