"""The directions and the coordinates of slices, from arrays and numbers alone."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from normlab.members.over import nan_is_a_result
from normlab.quantities.directions import (
    principal_directions,
    project,
    random_direction,
)


class PathPlane(NamedTuple):
    """The plane in which a path varies most.

    Attributes:
      first, second: its directions, trees of one point's shapes.
      shares: the share of the path's variance along each.
      coordinates_T2: the points of the path in the plane.
      a, b: coordinates along the directions, which cover those of the path.
    """

    first: Any
    second: Any
    shares: tuple[float, float]
    coordinates_T2: np.ndarray
    a: tuple[float, ...]
    b: tuple[float, ...]


def random_directions(params: Any, seed: int, count: int) -> list[Any]:
    """Random directions with filters as long as those of ``params``, on the host."""
    key = jax.random.key(seed)
    draw = jax.jit(random_direction)
    params = jax.tree.map(jnp.asarray, params)
    keys = [jax.random.fold_in(key, i) for i in range(count)]
    with nan_is_a_result():  # the norms of huge filters may overflow
        return [jax.device_get(draw(k, params)) for k in keys]


def both_sides(points: int, span: float, middle: float = 0.0) -> tuple[float, ...]:
    """Coordinates on both sides of ``middle``, which they include exactly.

    Args:
      points: how many; an odd number.
      span: the distance to each side.
    """
    half = points // 2
    return tuple(middle + span * i / half for i in range(-half, half + 1))


def path_plane(path_T: Any, points: int, margin: float) -> PathPlane:
    """The plane through the origin of a path, along its two principal directions.

    Args:
      path_T: a tree of numpy arrays with a leading axis of T points.
      points: the number of coordinates along a direction.
      margin: around the path, as a fraction of its range.
    """
    (first, second), shares = principal_directions(path_T)
    coordinates_T2 = project(path_T, (first, second))
    extent = float(np.ptp(coordinates_T2, axis=0).max()) or 1.0
    a, b = (_around(x_T, extent, points, margin) for x_T in coordinates_T2.T)
    both = float(shares[0]), float(shares[1])
    return PathPlane(first, second, both, coordinates_T2, a, b)


def _around(
    values_T: np.ndarray, extent: float, points: int, margin: float
) -> tuple[float, ...]:
    """Coordinates that cover all of ``values_T`` with a margin.

    Args:
      values_T: the path's coordinates along one direction.
      extent: if all values are equal, half of this is added on each side. A straight
        path has no extent along the second direction.
    """
    low, high = float(values_T.min()), float(values_T.max())
    edge = margin * (high - low) if high > low else 0.5 * extent
    side = np.linspace(low - edge, high + edge, points)
    return tuple(float(x) for x in side)
