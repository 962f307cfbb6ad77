"""Slices of anybody's loss: lines and planes through any parameters, as tables.

The tables have the columns of `normlab.landscape.table.tabulate`, so that the figures
of landscapes draw them.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from normlab.errors import UserError
from normlab.landscape import geometry
from normlab.landscape.geometry import both_sides, random_directions
from normlab.landscape.settings import LandscapeConfig
from normlab.quantities.directions import combine
from normlab.quantities.leaves import chosen
from normlab.store.landscapes import Axes

Loss = Callable[..., Any]


def plane(
    loss: Loss,
    params: Any,
    batch: Any,
    *,
    aux: Any = None,
    points: int = 25,
    span: float = 1.0,
    seed: int = 0,
    label: str = "own network",
    dataset: str = "own data",
) -> pd.DataFrame:
    """The loss over a plane of two random directions around ``params``.

    Filters of the directions are as long as those of ``params`` (Li et al. 2018);
    biases and other vectors do not move. ``normlab.figures.landscape_contour.draw`` and
    ``landscape_surface.draw`` draw the table.

    Args:
      loss: ``loss(params, batch)`` or ``loss(params, batch, aux)``, a scalar.
      params: any pytree of arrays, such as what `normlab.load_params` read.
      points: the number of points along a direction; odd, so that the center is one.
      span: the distance to each side, in units of the filters' norms.
      seed: of the random directions.
      label, dataset: names for the figure.

    Returns:
      A row for each point: coordinates ``a`` and ``b``, ``loss``, and the columns that
      the figures need.

    Raises:
      UserError: ``points`` is even or less than 3, or ``params`` are not arrays.
    """
    first, second = random_directions(_split(params)[0], seed, 2)
    side = _both_sides(points, span, 0.0)
    table = _table(loss, params, (first, second), Axes(side, side), batch, aux)
    told = {"kind": "plane", "direction_seed": seed}
    return table.assign(setting=label, dataset=dataset, **told)


def line(
    loss: Loss,
    params: Any,
    batch: Any,
    *,
    aux: Any = None,
    points: int = 25,
    span: float = 1.0,
    seed: int = 0,
    label: str = "own network",
    dataset: str = "own data",
) -> pd.DataFrame:
    """The loss along one random direction; as `plane`, for ``landscape_line.draw``."""
    (first,) = random_directions(_split(params)[0], seed, 1)
    axes = Axes(_both_sides(points, span, 0.0))
    table = _table(loss, params, (first, None), axes, batch, aux)
    told = {"kind": "line", "direction_seed": seed}
    return table.assign(setting=label, dataset=dataset, **told)


def between(
    loss: Loss,
    params: Any,
    other: Any,
    batch: Any,
    *,
    aux: Any = None,
    points: int = 25,
    span: float = 1.0,
    label: str = "own network",
    dataset: str = "own data",
) -> pd.DataFrame:
    """The loss from ``params`` (a = 0) to ``other`` (a = 1), for ``landscape_line``.

    All parameters move. ``span`` is the distance to each side of the point halfway
    between them, in units of theirs; ``aux`` stays the same.
    """
    first = _difference(other, params)
    axes = Axes(_both_sides(points, span, 0.5))
    table = _table(loss, params, (first, None), axes, batch, aux)
    return table.assign(setting=label, dataset=dataset, kind="between")


def path_plane(
    loss: Loss,
    path: Sequence[Any],
    batch: Any,
    *,
    steps: Sequence[int] | None = None,
    aux: Any = None,
    points: int = 25,
    label: str = "own network",
    dataset: str = "own data",
) -> pd.DataFrame:
    """The loss over the plane in which a training's path varies most.

    The plane goes through the last point, along the path's two principal directions.
    Rows with ``path_step`` are the points of the path. As `plane`, otherwise.

    Args:
      path: at least three trees of parameters.
      steps: the steps of training that they belong to; by default 0, 1, 2, ...
    """
    if len(path) < 3:
        raise UserError(f"a plane through a path needs 3 points, not {len(path)}")
    end = path[-1]
    away = [jax.tree.map(np.asarray, _difference(point, end)) for point in path]
    path_T = jax.tree.map(lambda *leaves: np.stack(leaves), *away)
    plane = geometry.path_plane(path_T, points, LandscapeConfig.margin)
    directions = plane.first, plane.second
    table = _table(loss, end, directions, Axes(plane.a, plane.b), batch, aux)
    numbers = list(range(len(path))) if steps is None else list(steps)
    on_path = pd.DataFrame(plane.coordinates_T2, columns=["a", "b"]).assign(
        path_step=numbers, **{n: table[n].iloc[0] for n in _SAME}
    )
    share_a, share_b = plane.shares
    told = {"share_a": share_a, "share_b": share_b, "kind": "path"}
    table = pd.concat([table, on_path], ignore_index=True)
    return table.assign(setting=label, dataset=dataset, step=numbers[-1], **told)


_SAME = ("split", "statistics", "running", "images", "step", "seed", "lr", "batch")


def _table(
    loss: Loss, params: Any, directions: tuple, axes: Axes, batch: Any, aux: Any
) -> pd.DataFrame:
    """The losses at the points of the axes, one point after another."""
    moved, rest = _split(params)
    first, second = directions
    second = jax.tree.map(jnp.zeros_like, first) if second is None else second

    @jax.jit
    def losses(coordinates_N2: Any, arguments: tuple) -> jax.Array:
        moved, rest, first, second, batch, aux = arguments

        def at(ab: jax.Array) -> jax.Array:
            there = _join(combine(moved, first, second, ab[0], ab[1]), rest)
            own = (there, batch) if aux is None else (there, batch, aux)
            return loss(*own)

        return jax.lax.map(at, coordinates_N2)

    kind = jnp.result_type(*jax.tree.leaves(moved))
    grid_N2 = axes.coordinates_N2
    values = losses(
        jnp.asarray(grid_N2, kind), (moved, rest, first, second, batch, aux)
    )
    if values.ndim != 1:
        raise UserError(f"the loss has the shape {values.shape[1:]}; it must be scalar")
    sizes = {np.shape(x)[:1] for x in jax.tree.leaves(batch)}
    images = sizes.pop()[0] if len(sizes) == 1 and () not in sizes else 0
    columns = {
        "point": np.arange(len(grid_N2)),
        "a": grid_N2[:, 0],
        "b": grid_N2[:, 1],
        "loss": np.asarray(values, np.float64),
        "accuracy": np.nan,
        "path_step": np.nan,
        "split": "train",
        "statistics": "batch",
        "running": False,
        "images": images,
        "step": 0,
        "seed": 0,
        "lr": np.nan,
        "batch": images,
    }
    return pd.DataFrame(columns)


def _split(params: Any) -> tuple[Any, Any]:
    """The leaves of floating types, and the others: trees with None for the rest."""
    varied = chosen(params, None)
    leaves, tree = jax.tree.flatten(params)
    pairs = list(zip(leaves, varied, strict=True))
    moved = [jnp.asarray(x) if yes else None for x, yes in pairs]
    rest = [None if yes else x for x, yes in pairs]
    return jax.tree.unflatten(tree, moved), jax.tree.unflatten(tree, rest)


def _join(moved: Any, rest: Any) -> Any:
    return jax.tree.map(
        lambda x, y: y if x is None else x, moved, rest, is_leaf=lambda x: x is None
    )


def _difference(a: Any, b: Any) -> Any:
    return jax.tree.map(jnp.subtract, _split(a)[0], _split(b)[0])


def _both_sides(points: int, span: float, middle: float) -> tuple[float, ...]:
    if points < 3 or points % 2 == 0:
        raise UserError(f"points={points}: use an odd number of at least 3")
    return both_sides(points, span, middle)
