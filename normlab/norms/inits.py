"""How the scale and the bias of a norm start, by name."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array
from jax.nn import initializers

from normlab.registry import Registry

drawn = initializers.truncated_normal(stddev=1.0)


def as_scale(
    key: Array, shape: Any, dtype: Any = jnp.float32, out_sharding: Any = None
) -> Array:
    """Of a bias: equal to its layer's scale (`affine`); drawn alone where it has none.

    A norm takes it for the sake of its name alone.
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
        # The report's group norm: its code gives one tensor to both, drawn from a
        # standard normal truncated at 2.
        "report": NormInit(drawn, as_scale),
    },
)
