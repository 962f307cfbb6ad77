"""The smallest, that is the most negative, eigenvalues of the Hessian."""

from jax import Array

from normlab.quantities.lanczos import extreme
from normlab.quantities.point import RANKS, Point


def measure(point: Point) -> dict[str, Array]:
    """As that of ``hessian_top``, from the same steps: (S, 3), ascending."""
    return extreme(point.ritz, RANKS, largest=False)
