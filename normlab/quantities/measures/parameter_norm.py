"""The size of the parameters, of the whole network and of each layer."""

import jax.numpy as jnp
from jax import Array

from normlab.quantities.point import Point
from normlab.quantities.trees import norm


def measure(point: Point) -> dict[str, Array]:
    """``l2``: |theta|, then that of each layer; (1 + L,).

    With weight decay w the loss that training descends is L + w |theta|^2 / 2.
    """
    params = point.params
    parts = [norm(layer) for layer in point.site.by_layer(params)]
    return {"l2": jnp.stack([norm(params), *parts])}
