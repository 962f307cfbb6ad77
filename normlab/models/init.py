"""Initialisers by name: how a model's kernels and biases start."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
from jax.nn.initializers import glorot_normal, he_normal, lecun_normal, zeros

from normlab.registry import Registry


class Init(NamedTuple):
    """Initialisers of kernels in front of a ReLU, of the last kernel, of biases."""

    kernel: Callable[..., jax.Array]
    last_kernel: Callable[..., jax.Array]
    bias: Callable[..., jax.Array]


def report_xavier(key, shape, dtype=float, out_sharding=None) -> jax.Array:
    """The report's ``xavier_initializer(uniform=False)`` of tf.contrib.

    A normal truncated at two standard deviations, of variance 1.3/n before the
    truncation, n the mean of fan-in and fan-out; a bias of length n has both fans
    equal to n, so it starts random too.
    """
    del out_sharding
    receptive = math.prod(shape[:-2])
    fan_in, fan_out = receptive * shape[-2:][0], receptive * shape[-1]
    draw = jax.random.truncated_normal(key, -2.0, 2.0, shape, dtype)
    return draw * math.sqrt(1.3 / ((fan_in + fan_out) / 2))


INITS = Registry(
    "init",
    {
        # He et al. 2015 in front of ReLU; the same variance without the ReLU's factor
        # of two for the logits.
        "standard": Init(he_normal(), last_kernel=lecun_normal(), bias=zeros),
        "report": Init(report_xavier, last_kernel=report_xavier, bias=report_xavier),
        # Glorot & Bengio 2010, as Santurkar et al. 2018 start theirs.
        "glorot": Init(glorot_normal(), last_kernel=glorot_normal(), bias=zeros),
    },
)
