"""The smallest eigenvalues of the Hessian, which are the most negative ones."""

from jax import Array

from normlab.quantities.lanczos import extreme
from normlab.quantities.point import RANKS, Point


def measure(point: Point) -> dict[str, Array]:
    """As ``hessian_top``, from the same Lanczos steps: (S, 3), ascending."""
    return extreme(point.ritz, RANKS, largest=False)
