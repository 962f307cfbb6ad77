"""Lines and planes through parameter space, by kind."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from normlab.errors import UserError
from normlab.landscape.geometry import both_sides, path_plane, random_directions
from normlab.landscape.points import Points
from normlab.landscape.settings import LandscapeConfig
from normlab.store.landscapes import Axes


class Slice(NamedTuple):
    """A plane theta + a u + b v in parameter space, and its running statistics.

    Attributes:
      params: theta.
      first, second: u and v, trees like theta.
      stats: ``batch_stats`` for a <= 0: running statistics, or groups of channels.
      other_stats: ``batch_stats`` for a >= 1. Running statistics are interpolated in
        between. Groups are equal in both; without --kind=between, everything is.
    """

    params: Any
    first: Any
    second: Any
    stats: Any
    other_stats: Any


class Asked(NamedTuple):
    """The member and step of a landscape; ``origin`` is the start of --kind=between."""

    member: int
    step: int
    origin: tuple[int, int]  # (member, step)


def statistics_at(along: Slice, a: jax.Array) -> Any:
    """The ``batch_stats`` at coordinate ``a``. Integers (groups) are not changed."""
    part = jnp.clip(a, 0.0, 1.0)

    def one(x: jax.Array, y: jax.Array) -> jax.Array:
        return x + part * (y - x) if jnp.issubdtype(x.dtype, jnp.floating) else x

    return jax.tree.map(one, along.stats, along.other_stats)


def _zeros(params: Any) -> Any:
    return jax.tree.map(np.zeros_like, params)


def _plane(points: Points, asked: Asked, config: LandscapeConfig):
    at = points.at(asked.step, asked.member)
    first, second = random_directions(at.params, config.direction_seed, 2)
    side = both_sides(config.points, config.span)
    return Slice(at.params, first, second, at.stats, at.stats), Axes(side, side)


def _line(points: Points, asked: Asked, config: LandscapeConfig):
    at = points.at(asked.step, asked.member)
    (first,) = random_directions(at.params, config.direction_seed, 1)
    line = Slice(at.params, first, _zeros(at.params), at.stats, at.stats)
    return line, Axes(both_sides(config.points, config.span))


def _between(points: Points, asked: Asked, config: LandscapeConfig):
    """Interpolates all parameters and the running statistics.

    Interpolating only some parameters would not reach the second network.

    Raises:
      UserError: the two networks group their channels differently.
    """
    member, step = asked.origin
    begin, end = points.at(step, member), points.at(asked.step, asked.member)
    if not _same_groups(begin.stats, end.stats):
        raise UserError(
            f"--kind=between: channels are in different groups at step {step} "
            f"({points.name(member)}) and at step {asked.step} "
            f"({points.name(asked.member)}). Groups cannot be interpolated, so choose "
            "points with the same groups"
        )
    way = jax.tree.map(np.subtract, end.params, begin.params)
    line = Slice(begin.params, way, _zeros(way), begin.stats, end.stats)
    return line, Axes(both_sides(config.points, config.span, middle=0.5))


def _same_groups(begin: Any, end: Any) -> bool:
    """Whether the integer leaves of two trees (the groups of channels) are equal."""
    pairs = zip(jax.tree.leaves(begin), jax.tree.leaves(end), strict=True)
    return all(
        np.issubdtype(x.dtype, np.floating) or np.array_equal(x, y) for x, y in pairs
    )


def _path(points: Points, asked: Asked, config: LandscapeConfig):
    """The plane through the path's last point, in the units of the parameters."""
    at = points.at(asked.step, asked.member)
    steps, path_T = points.along(asked.member, asked.step, config.path_points)
    path_T = jax.tree.map(lambda leaf, end: leaf - end[None], path_T, at.params)
    plane = path_plane(path_T, config.points, config.margin)
    path = {
        "step": steps,
        "a": plane.coordinates_T2[:, 0].tolist(),
        "b": plane.coordinates_T2[:, 1].tolist(),
    }
    axes = Axes(plane.a, plane.b, plane.shares, path)
    return Slice(at.params, plane.first, plane.second, at.stats, at.stats), axes


SLICES: dict[str, Callable[..., tuple[Slice, Axes]]] = {
    "plane": _plane,
    "line": _line,
    "between": _between,
    "path": _path,
}
