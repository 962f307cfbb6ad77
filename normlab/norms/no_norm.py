"""No normalization."""

from jax import Array

from normlab.norms.options import NormOptions, Statistics


def none(
    options: NormOptions,
    name: str,
    x: Array,
    statistics: Statistics,
    mask: Array | None,
) -> Array:
    """``x`` itself; no variables."""
    return x
