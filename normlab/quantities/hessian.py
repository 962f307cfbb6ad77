"""The Hessian of a loss over all parameters, as a function that multiplies vectors.

Forward over reverse (Pearlmutter 1994): the derivative of the gradient along v is H v,
at the price of about two gradients. Here the parameters are one vector of P numbers.
"""

from typing import Any

import jax
from jax import Array
from jax.flatten_util import ravel_pytree

from normlab.quantities.lanczos import Product, Ritz, ritz

# The uses of a point's key, each with a stream of its own.
_START, _SIGNS = 0, 1


def product(loss: Any, params: Any) -> tuple[Product, Array]:
    """(v -> H v, the parameters as one vector); all of shape (P,).

    The gradient is taken once; each product is then linear in v alone. If the loss is
    in chunks (`normlab.quantities.fixed`), each product computes the gradients again,
    chunk by chunk, so that only one chunk's activations are in memory.
    """
    flat, tree_of = ravel_pytree(params)

    def gradient(x: Array, loss: Any = loss) -> Array:
        return ravel_pytree(jax.grad(loss)(tree_of(x)))[0]

    if not getattr(loss, "in_parts", False):
        _, times = jax.linearize(gradient, flat)
        return times, flat

    def times_in_parts(v: Array) -> Array:
        def of(batch: Any) -> Array:
            return jax.jvp(
                lambda x: gradient(x, lambda params: loss.of(params, batch)),
                (flat,),
                (v,),
            )[1]

        return loss.total(of)

    return times_in_parts, flat


def ritz_of(loss: Any, params: Any, key: Array, iterations: int) -> Ritz:
    """The Hessian's Ritz values (k,), from a start in a random direction."""
    times, flat = product(loss, params)
    start_key = jax.random.fold_in(key, _START)
    return ritz(times, jax.random.normal(start_key, flat.shape, flat.dtype), iterations)


def sample_keys(key: Array, samples: int) -> Array:
    """A key for each of the vectors that `signs` draws."""
    return jax.random.split(jax.random.fold_in(key, _SIGNS), samples)


def signs(key: Array, like: Array) -> Array:
    """A random vector of the shape and type of ``like``: 1 or -1 each (Rademacher)."""
    return jax.random.rademacher(key, like.shape, like.dtype)
