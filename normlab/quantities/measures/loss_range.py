"""How the loss varies along the gradient (Santurkar et al. 2018, Figure 4a)."""

from jax import Array

from normlab.quantities.point import Point


def measure(point: Point) -> dict[str, Array]:
    """``here``: L(theta); ``low``, ``high``: its range over the trial steps.

    The range is of L(theta - eta lr g) over the etas, as the paper defines it, so it
    need not include L(theta) itself. All losses are on one batch with its own
    statistics.
    """
    loss, _ = point.loss_and_gradient
    along = point.line.loss
    return {"here": loss, "low": along.min(), "high": along.max()}
