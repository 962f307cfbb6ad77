"""Mean and deviation of single channels, before and after each norm (report, E9)."""

import jax.numpy as jnp
from jax import Array

from normlab.quantities.channels import chosen
from normlab.quantities.here import Here


def measure(here: Here) -> dict[str, Array]:
    """``mean`` and ``std`` (population) over batch and positions.

    Shape (norm layers, 2, channels): before and after each layer, the chosen channels.
    ``after`` is behind the norm's own scale and bias. NaN for a channel that a layer
    does not have.
    """
    values = chosen(here)
    return {
        "mean": jnp.stack([jnp.stack([x.mean(-1) for x in pair]) for pair in values]),
        "std": jnp.stack([jnp.stack([x.std(-1) for x in pair]) for pair in values]),
    }
