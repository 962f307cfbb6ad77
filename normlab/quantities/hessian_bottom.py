"""The smallest, that is the most negative, eigenvalues of the Hessian."""

from jax import Array

from normlab.quantities.here import RANKS, Here
from normlab.quantities.lanczos import extreme


def measure(here: Here) -> dict[str, Array]:
    """As `normlab.quantities.hessian_top`'s, from the same steps: (S, 3), ascending."""
    return extreme(here.ritz, RANKS, largest=False)
