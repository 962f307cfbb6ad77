"""Running averages of batch statistics, as the Linen modules keep them."""

from collections.abc import Iterable
from typing import Any

import jax.numpy as jnp
from jax import Array


def update(
    averages: Iterable[Any],
    batch: Iterable[Array],
    momentum: float,
    seen: Array | None,
) -> None:
    """``r <- momentum * r + (1 - momentum) * batch`` for every average r.

    Args:
      averages: variables of a Linen module.
      batch: the statistics of the batch, in the same order.
      seen: `functional.seen`. A feature with no element that counts keeps its averages
        exactly.
    """
    for average, new in zip(averages, batch, strict=True):
        old = average.value
        mixed = momentum * old + (1 - momentum) * new
        average.value = mixed if seen is None else jnp.where(seen, mixed, old)
