"""Parameter trees as vectors of one Euclidean space."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array


def dot(a: Any, b: Any) -> Array:
    """The inner product of two trees, scalar, float32 or wider."""
    parts = jax.tree.map(lambda x, y: jnp.sum(_wide(x) * _wide(y)), a, b)
    return jax.tree.reduce(jnp.add, parts)


def norm(a: Any) -> Array:
    """The l2 norm of all of a tree's entries, scalar."""
    return jnp.sqrt(dot(a, a))


def subtract(a: Any, b: Any) -> Any:
    """a - b."""
    return jax.tree.map(jnp.subtract, a, b)


def step_along(a: Any, direction: Any, length: Array | float) -> Any:
    """a + length * direction, of the types of a."""
    return jax.tree.map(lambda x, d: (x + length * d).astype(x.dtype), a, direction)


def _wide(x: Array) -> Array:
    """x in float32 or wider: sums of bfloat16 would have three digits."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))
