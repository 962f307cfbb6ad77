"""The size of the gradient, of the whole network and of each layer."""

import jax.numpy as jnp
from jax import Array

from normlab.quantities.here import Here
from normlab.quantities.trees import norm


def measure(here: Here) -> dict[str, Array]:
    """``l2``: |g| over all parameters, then over those of each layer; (1 + L,)."""
    gradient = here.gradient
    parts = [norm(gradient[layer]) for layer in here.site.layers]
    return {"l2": jnp.stack([norm(gradient), *parts])}
