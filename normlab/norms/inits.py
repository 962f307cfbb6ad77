"""Initial values of a norm's scale and bias, by name."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array
from jax.nn import initializers

from normlab.registry import Registry

drawn = initializers.truncated_normal(stddev=1.0)


def as_scale(
    key: Array, shape: Any, dtype: Any = jnp.float32, out_sharding: Any = None
) -> Array:
    """For a bias: equal to the layer's scale (`affine`), or drawn if it has none.

    `affine` recognizes this function, and only calls it if the layer has no scale.
    """
    return drawn(key, shape, dtype, out_sharding)


class NormInit(NamedTuple):
    """Initialisers of a norm's scale and bias."""

    scale_init: initializers.Initializer
    bias_init: initializers.Initializer


NORM_INITS = Registry(
    "norm_init",
    {
        "standard": NormInit(initializers.ones, initializers.zeros),
        # The report's group norm: its code uses one tensor for both, drawn from a
        # standard normal truncated at 2.
        "report": NormInit(drawn, as_scale),
    },
)
