"""The gradient's change per distance moved along it (Santurkar et al. 2018, 4c).

The paper plots the maximum over etas. That maximum hides which trial step it comes
from, so the whole grid is kept: a figure may take the maximum, and see why it is what
it is.
"""

from jax import Array

from normlab.quantities.point import Point
from normlab.quantities.trees import norm


def measure(point: Point) -> dict[str, Array]:
    """For every eta, arrays of shape (E,).

    ``beta``: |g - g'| / (eta lr |g|), the effective smoothness of that trial step;
    ``loss``: L there; ``distance``: eta lr |g|; ``difference``: |g - g'|;
    ``norm_ratio``: |g'| / |g|; ``cosine``: of the angle between g and g'.
    NaN where the gradient or the learning rate is 0.
    """
    line = point.line
    return {
        "beta": line.difference / line.distance,
        "loss": line.loss,
        "distance": line.distance,
        "difference": line.difference,
        "norm_ratio": line.norm / norm(point.gradient),
        "cosine": line.cosine,
    }
