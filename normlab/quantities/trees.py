"""Parameter trees as vectors of one Euclidean space."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array


def dot(a: Any, b: Any) -> Array:
    """The inner product of two trees, scalar."""
    parts = jax.tree.map(lambda x, y: jnp.sum(x * y), a, b)
    return jax.tree.reduce(jnp.add, parts)


def norm(a: Any) -> Array:
    """The l2 norm of all of a tree's entries, scalar."""
    return jnp.sqrt(dot(a, a))


def subtract(a: Any, b: Any) -> Any:
    """a - b."""
    return jax.tree.map(jnp.subtract, a, b)


def step_along(a: Any, direction: Any, length: Array | float) -> Any:
    """a + length * direction."""
    return jax.tree.map(lambda x, d: x + length * d, a, direction)
