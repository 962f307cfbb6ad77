"""The largest eigenvalues of the Hessian; the first of them is called sharpness.

Full-batch gradient descent drives it up to 2 / lr and hovers there, where a quadratic
would begin to diverge (Cohen et al. 2021, arXiv 2103.00065: the edge of stability).
"""

from jax import Array

from normlab.quantities.lanczos import extreme
from normlab.quantities.point import RANKS, Point


def measure(point: Point) -> dict[str, Array]:
    """``eigenvalue`` and ``residual`` for each of the statistics; (S, 3).

    The three largest, descending, of the Hessian over all parameters of the loss over
    the ``probe_images``, by ``probe_iterations`` steps of Lanczos' method. An
    eigenvalue is within ``residual`` of each: a residual that is not small beside the
    eigenvalue asks for more iterations. NaN where the Hessian has fewer.
    """
    return extreme(point.ritz, RANKS, largest=True)
