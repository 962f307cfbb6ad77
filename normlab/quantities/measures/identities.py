"""The first-order identity at every norm layer of a network, and its consequences.

docs/theory.md derives these relations and numbers the equations.
"""

import jax.numpy as jnp
from jax import Array

from normlab.quantities.bounds import first_order
from normlab.quantities.bounds_consequences import (
    gains,
    invariance,
    projected_directions,
    removed,
)
from normlab.quantities.bounds_printed import theorem_4_4
from normlab.quantities.norm_layers import NormLayer, norm_layers
from normlab.quantities.point import Point

# Smaller differences, in units of rounding of the largest term, mean nothing.
_UNITS = 100


def measure(point: Point) -> dict[str, Array]:
    """At every norm layer, arrays of shape (norm layers,); on the batch of the step.

    y and z are the layer's input and output, and q = scale * dL/dz. A block is what the
    norm standardizes together (m elements, variance + epsilon = s^2).

    The identity (8):
      ``left``: |dL/dy|^2 over the whole layer, as measured; ``right``: the sum over
      blocks of what the identity makes of dL/dz; ``relative_error``: the largest
      |right - left| / left of a block. A block that loses nearly all of its gradient
      (left / size below the square root of the rounding unit, as where m <= 2) has
      nothing but rounding on the left, and is judged by its size |q|^2 / s^2.
    The inequality (10), and with 1/sqrt(m) the printed Theorem 4.1 (for batch norm;
    for the others its analogue):
      ``bound_ratio``, ``printed_ratio``: sum of the right sides / left. The first is at
      least 1; where the second is below 1 what is printed is false, and where it is
      negative a square is said to be less than a negative number. ``printed_fails``:
      the share of blocks in which it is false by more than rounding, of those with a
      gradient. ``bound_ratio`` is that of Theorem 4.4 in its consistent form (17), too,
      whatever its lambda; ``theorem_4_4_ratio`` is that of the printed one for
      lambda = 1, NaN for others than batch norm.
    What the layer removes (22):
      ``removed``: the share of |q|^2, over the whole layer, that does not reach y;
      ``removed_mean`` along the vector of ones, ``removed_radial`` along yhat;
      ``removed_if_random``: what it would be at epsilon = 0 if all directions of q were
      equally likely, 2 / m.
    How its gain spreads (23):
      ``gain_median``, ``gain_p90``, ``gain_max``: of 1/s^2, over blocks.
    What the loss is invariant to (24), the largest over blocks:
      ``shift_residual``: |<1, dL/dy>| / (sqrt(m) |q| / s), rounding error;
      ``scaling_residual``: |<y, dL/dy>| / (|y| |q| / s), 0 at epsilon = 0 but for
      rounding; ``scaling_error``: the same less epsilon <q, yhat> / s^2, which it is.

    All but ``left``, ``right`` and the gains are NaN where a layer has no gradient.
    """
    rows = [_of(layer) for layer in norm_layers(point)]
    return {field: jnp.stack([row[field] for row in rows]) for field in rows[0]}


def _of(at: NormLayer) -> dict[str, Array]:
    """The fields of one layer, scalars."""
    layer = at.layer
    first = first_order(layer, at.by_output, at.by_input)
    lost = removed(layer, at.by_output)
    free = invariance(layer, at.by_output, at.by_input)
    gain = gains(layer).ravel()
    unit = jnp.finfo(gain.dtype).eps
    moving = first.size > 0
    fails = first.left - first.printed > _UNITS * unit * first.size
    kept = first.left > jnp.sqrt(unit) * first.size
    against = jnp.where(kept, first.left, first.size)
    left, whole = first.left.sum(), lost.whole.sum()
    mean, radial = lost.mean.sum() / whole, lost.radial.sum() / whole
    # Both at once: a sort takes long to compile.
    median, p90 = jnp.quantile(gain, jnp.array([0.5, 0.9], gain.dtype))
    directions = projected_directions(layer.y.shape, layer.groups)
    return {
        "left": left,
        "right": first.right.sum(),
        "relative_error": _worst(first.slack, against),
        "bound_ratio": first.bound.sum() / left,
        "printed_ratio": first.printed.sum() / left,
        "printed_fails": fails.sum() / moving.sum(),
        "theorem_4_4_ratio": _worst_case(at) / left,
        "removed": mean + radial,
        "removed_mean": mean,
        "removed_radial": radial,
        "removed_if_random": jnp.full_like(left, directions / layer.y.size),
        "gain_median": median,
        "gain_p90": p90,
        "gain_max": gain.max(),
        "shift_residual": _worst(free.shift, free.shift_size),
        "scaling_residual": _worst(free.scaling, free.scaling_size),
        "scaling_error": _worst(free.expected - free.scaling, free.scaling_size),
    }


def _worst_case(at: NormLayer) -> Array:
    """The right side of the printed Theorem 4.4 for lambda = 1, over the channels."""
    if at.layer.groups is not None:
        return jnp.full((), jnp.nan)
    return theorem_4_4(at.layer, at.by_output, 1.0).sum()


def _worst(difference: Array, size: Array) -> Array:
    """The largest |difference| / size; NaN where all sizes are 0."""
    largest = jnp.max(abs(difference) / jnp.where(size == 0, 1, size))
    return jnp.where((size > 0).any(), largest, jnp.nan)
