"""The gradient's change per distance along the path that training takes."""

from jax import Array

from normlab.quantities.point import Point
from normlab.quantities.trees import norm, subtract


def measure(point: Point) -> dict[str, Array]:
    """A local estimate of the gradient's Lipschitz constant, from one step; scalars.

    ``lipschitz``: |g(theta') - g(theta)| / |theta' - theta| for successive points
    theta, theta' of the path, both gradients on the batch of step t; ``difference`` and
    ``distance`` are its numerator and denominator. Of a quadratic loss it is the
    curvature along the step, at most the top eigenvalue. NaN where nothing moved.
    """
    assert point.next_params is not None  # registered as one that needs it
    _, there = point.slope(point.next_params)
    difference = norm(subtract(there, point.gradient))
    distance = norm(subtract(point.next_params, point.params))
    return {
        "lipschitz": difference / distance,
        "difference": difference,
        "distance": distance,
    }
