"""The size of the gradient, of the whole network and of each layer."""

import jax.numpy as jnp
from jax import Array

from normlab.quantities.point import Point
from normlab.quantities.trees import norm


def measure(point: Point) -> dict[str, Array]:
    """``l2``: |g| over all parameters, then over those of each layer; (1 + L,)."""
    gradient = point.gradient
    parts = [norm(layer) for layer in point.site.by_layer(gradient)]
    return {"l2": jnp.stack([norm(gradient), *parts])}
