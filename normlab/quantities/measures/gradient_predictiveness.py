"""How the gradient varies along itself (Santurkar et al. 2018, Figure 4b)."""

from jax import Array

from normlab.quantities.point import Point


def measure(point: Point) -> dict[str, Array]:
    """``low``, ``high``: the range of |g - g(theta - eta lr g)| over etas; scalars."""
    along = point.line.difference
    return {"low": along.min(), "high": along.max()}
