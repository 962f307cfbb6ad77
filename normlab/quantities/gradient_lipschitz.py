"""The gradient's change per distance along the path that training takes."""

import jax
from jax import Array

from normlab.quantities.here import Here
from normlab.quantities.trees import norm, subtract


def measure(here: Here) -> dict[str, Array]:
    """A local estimate of the gradient's Lipschitz constant, from one step; scalars.

    ``lipschitz``: |g(theta') - g(theta)| / |theta' - theta| for successive points
    theta, theta' of the path, both gradients on the batch of step t; ``difference`` and
    ``distance`` are its numerator and denominator. Of a quadratic loss it is the
    curvature along the step, at most the top eigenvalue. NaN where nothing moved.
    """
    there = jax.grad(here.loss)(here.next_params)
    difference = norm(subtract(there, here.gradient))
    distance = norm(subtract(here.next_params, here.params))
    return {
        "lipschitz": difference / distance,
        "difference": difference,
        "distance": distance,
    }
