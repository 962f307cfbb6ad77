"""Lanczos' estimates of a symmetric matrix's eigenvalues, by products with vectors.

After k products (Lanczos 1950) the matrix is known on the Krylov space of the start
vector v, span(v, A v, ..., A^(k-1) v): its eigenvalues there, the Ritz values, come
close to those of A from the ends of the spectrum inwards. Every new vector is
orthogonalised against all earlier ones (matfree does this); otherwise rounding would
copy eigenvalues that were already found. If A has an eigenvalue twice, one start vector
sees only one of them.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

# Takes v to A v, both of shape (P,).
Product = Callable[[Array], Array]


class Ritz(NamedTuple):
    """The Ritz values, ascending; arrays of shape (k,).

    There can be fewer than k: a small matrix has fewer eigenvalues, and a start vector
    in an invariant subspace sees only those of that space. The last entries are then
    NaN, of weight 0. Where the matrix is not finite all are NaN, the weights too.

    Attributes:
      value: the Ritz values.
      weight: squared components of v / |v| along the Ritz vectors; their sum is 1.
      residual: |A x - value x| for the unit Ritz vector x, from Lanczos' recurrence. A
        has an eigenvalue within this distance of ``value``, up to rounding of about |A|
        times the type's epsilon.
    """

    value: Array
    weight: Array
    residual: Array


def ritz(times: Product, start: Array, iterations: int) -> Ritz:
    """`Ritz` of shape (iterations,), by as many products.

    Args:
      times: multiplies with the matrix; it is traced once.
      start: v, shape (P,), of any length but 0.
    """
    from matfree import decomp  # an optional extra: `normlab.quantities.check` asks

    size = min(iterations, start.size)
    decompose = decomp.tridiag_sym(size, materialize=False, custom_vjp=False)
    # Half-precision inner products, a GPU's default, would destroy the orthogonality.
    with jax.default_matmul_precision("float32"):
        _, (diagonal, beside), rest, _ = decompose(times, start)
    missing = (0, iterations - size)
    diagonal = jnp.pad(diagonal, missing, constant_values=jnp.nan)
    beside = jnp.pad(beside, missing, constant_values=jnp.nan)

    # Where the space is exhausted the next vector would be 0/0, and NaN all after it;
    # infinite is only what overflows.
    joined = jnp.concatenate([jnp.zeros_like(diagonal[:1]), beside])
    there = jnp.cumprod(jnp.isfinite(diagonal) & jnp.isfinite(joined)).astype(bool)
    there &= ~(jnp.isinf(diagonal).any() | jnp.isinf(joined).any())
    count = there.sum()
    diagonal = jnp.where(there, diagonal, 0)
    beside = jnp.where(there[1:], beside, 0)
    # Gershgorin: no Ritz value is beyond ``reach``. Missing values are set beyond it,
    # so that they are sorted last.
    reach = jnp.abs(diagonal).max() + 2 * jnp.abs(beside).max(initial=0)
    diagonal = jnp.where(there, diagonal, jnp.where(reach > 0, 2 * reach, 1))
    dense = jnp.diag(diagonal) + jnp.diag(beside, 1) + jnp.diag(beside, -1)
    values, vectors = jnp.linalg.eigh(dense)

    real = jnp.arange(iterations) < count
    # An exhausted space is invariant: nothing leads out of it.
    out = jnp.where(count == size, jnp.linalg.norm(rest), 0)
    return Ritz(
        value=jnp.where(real, values, jnp.nan),
        weight=jnp.where(
            real, jnp.square(vectors[0]), jnp.where(count > 0, 0, jnp.nan)
        ),
        residual=jnp.where(real, out * jnp.abs(vectors[size - 1]), jnp.nan),
    )


def extreme(ritz: Ritz, count: int, *, largest: bool) -> dict[str, Array]:
    """``eigenvalue`` and ``residual`` of ``count`` Ritz values, the outermost first.

    Args:
      ritz: arrays of shape (..., k).
      largest: whether they are the largest, or else the smallest.

    Returns:
      Arrays of shape (..., count); NaN where there are fewer values.
    """
    order = jnp.argsort(-ritz.value if largest else ritz.value, axis=-1)  # NaN: last
    order = order[..., :count]
    missing = [(0, 0)] * (order.ndim - 1) + [(0, count - order.shape[-1])]

    def take(x: Array) -> Array:
        picked = jnp.take_along_axis(x, order, -1)
        return jnp.pad(picked, missing, constant_values=jnp.nan)

    return {"eigenvalue": take(ritz.value), "residual": take(ritz.residual)}
