"""Initialisers by name: the initial kernels and biases of a model."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
from jax.nn.initializers import glorot_normal, he_normal, lecun_normal, zeros

from normlab.registry import Registry


class Init(NamedTuple):
    """Initialisers for kernels before a ReLU, for the last kernel, and for biases."""

    kernel: Callable[..., jax.Array]
    last_kernel: Callable[..., jax.Array]
    bias: Callable[..., jax.Array]


def report_xavier(key, shape, dtype=float, out_sharding=None) -> jax.Array:
    """tf.contrib's ``xavier_initializer(uniform=False)``, which the report used.

    A normal distribution truncated at two standard deviations. Before truncation its
    variance is 1.3/n, where n is the mean of fan-in and fan-out. For a bias of length n
    both fans equal n, so biases are random, too.
    """
    del out_sharding
    receptive = math.prod(shape[:-2])
    fan_in, fan_out = receptive * shape[-2:][0], receptive * shape[-1]
    draw = jax.random.truncated_normal(key, -2.0, 2.0, shape, dtype)
    return draw * math.sqrt(1.3 / ((fan_in + fan_out) / 2))


INITS = Registry(
    "init",
    {
        # He et al. 2015 before a ReLU. The logits have no ReLU, so their kernel has
        # half that variance.
        "standard": Init(he_normal(), last_kernel=lecun_normal(), bias=zeros),
        "report": Init(report_xavier, last_kernel=report_xavier, bias=report_xavier),
        # Glorot & Bengio 2010, as Santurkar et al. 2018 start theirs.
        "glorot": Init(glorot_normal(), last_kernel=glorot_normal(), bias=zeros),
    },
)
