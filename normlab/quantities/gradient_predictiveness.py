"""How the gradient varies along itself (Santurkar et al. 2018, Figure 4b)."""

from jax import Array

from normlab.quantities.here import Here


def measure(here: Here) -> dict[str, Array]:
    """``low``, ``high``: the range of |g - g(theta - eta lr g)| over etas; scalars."""
    along = here.line.difference
    return {"low": along.min(), "high": along.max()}
