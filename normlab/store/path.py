"""The path: parameters and statistics of every member, along training."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from normlab.errors import UserError
from normlab.store import checkpoints
from normlab.store.layout import numbered


class PathRecorder:
    """Collects points of the path; `flush` writes them as one Orbax checkpoint.

    Stacking points on a leading axis takes a quarter of the time, and a twentieth of
    the files, of one checkpoint per point.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._points: list[tuple[int, Any]] = []

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return sum(x.nbytes for _, tree in self._points for x in jax.tree.leaves(tree))

    def add(self, step: int, variables: Any) -> None:
        """Adds the point after ``step`` updates; leaves have a member axis."""
        self._points.append((step, jax.tree.map(np.array, variables)))

    def flush(self) -> None:
        """Writes the collected points, completely or not at all."""
        if not self._points:
            return
        steps, trees = zip(*self._points, strict=True)
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *trees)
        item = {"steps": np.array(steps, np.int32), "variables": stacked}
        checkpoints.save(self._folder, steps[-1], item, keep=None)
        self._points = []


def drop_from(folder: Path, step: int) -> None:
    """Removes stacks that reach ``step`` or beyond. They will be computed again."""
    for end, entry in numbered(folder).items():
        if end >= step:
            shutil.rmtree(entry)


def read_path(folder: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(step, variables) of every stored point, in order.

    ``variables`` has ``params`` and ``batch_stats``, numpy arrays with a leading
    member axis.

    Raises:
      UserError: no path is stored, or one of its stacks is damaged.
    """
    stacks = numbered(folder)
    if not stacks:
        raise UserError(f"no path is stored in {folder}: run with --path_every")
    for end in stacks:
        stack = checkpoints.load(folder, end, checkpoints.shapes(folder, end))
        for i, step in enumerate(stack["steps"]):
            yield int(step), jax.tree.map(lambda leaf, i=i: leaf[i], stack["variables"])


def read_point(folder: Path, step: int) -> dict[str, Any] | None:
    """The variables at ``step``, or None if no such point is stored.

    They have the form of `read_path`. Only the stack with this point is read.

    Raises:
      UserError: that stack is damaged.
    """
    end = next((end for end in numbered(folder) if end >= step), None)
    if end is None:
        return None
    stack = checkpoints.load(folder, end, checkpoints.shapes(folder, end))
    places = stack["steps"].tolist()
    if step not in places:
        return None
    return jax.tree.map(lambda leaf: leaf[places.index(step)], stack["variables"])
