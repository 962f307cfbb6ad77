"""Running averages of batch statistics, as the modules keep them."""

from collections.abc import Iterable
from typing import Any

import jax.numpy as jnp
from jax import Array


def mixed(old: Array, new: Array, momentum: float, seen: Array | None) -> Array:
    """``momentum * old + (1 - momentum) * new``, an average after one more batch.

    Args:
      seen: `functional.seen`. A feature with no element that counts keeps its average
        exactly.
    """
    average = momentum * old + (1 - momentum) * new
    return average if seen is None else jnp.where(seen, average, old)


def update(
    averages: Iterable[Any],
    batch: Iterable[Array],
    momentum: float,
    seen: Array | None,
) -> None:
    """Makes `mixed` of every average and its statistics of the batch.

    Args:
      averages: variables of a Linen module.
      batch: the statistics of the batch, in the same order.
      momentum, seen: as for `mixed`.
    """
    for average, new in zip(averages, batch, strict=True):
        average.value = mixed(average.value, new, momentum, seen)
