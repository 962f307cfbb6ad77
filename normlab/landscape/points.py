"""Stored points of members, from the path or from checkpoints."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from normlab.cell import Cell
from normlab.errors import UserError
from normlab.statistics.intervals import number
from normlab.store import checkpoints
from normlab.store.layout import CellPaths, numbered
from normlab.store.path import read_path, read_point
from normlab.train.optimizers import values_of
from normlab.train.program import Program
from normlab.train.state import TrainState
from normlab.words import counted


class Diverged(UserError):
    """A member has diverged, so there is nothing to see around its parameters."""


class Variables(NamedTuple):
    """One member at one step: parameters, and running statistics ({} if none)."""

    params: Any
    stats: Any


class Points:
    """The stored points of one cell.

    Args:
      paths: the paths of the cell.
      cell: the cell.
      program: makes the cell's program; only needed for the shapes of a checkpoint.
    """

    def __init__(self, paths: CellPaths, cell: Cell, program: Callable[[], Program]):
        self._paths, self._cell, self._program = paths, cell, program

    def name(self, member: int) -> str:
        """The name of a member in messages: ``seed 0, lr 0.1``."""
        values = self._cell.members[member]
        return f"seed {values.seed}, lr {number(values.lr)}"

    def last(self) -> int:
        """The last step at which a point is stored.

        Raises:
          UserError: no point is stored.
        """
        steps = [*numbered(self._paths.path), *numbered(self._paths.checkpoints)]
        if not steps:
            raise UserError(
                f"{self._paths.root} has no stored point: neither a path "
                "(--path_every) nor a checkpoint"
            )
        return max(steps)

    def first(self) -> int:
        """The first step of the path.

        Raises:
          UserError: there is no path, or it is damaged.
        """
        return next(read_path(self._paths.path))[0]

    def at(self, step: int, member: int) -> Variables:
        """The variables of a member after ``step`` updates.

        Raises:
          UserError: this point is not stored, its file is damaged, or the member has
            diverged.
        """
        variables = read_point(self._paths.path, step)
        if variables is None and step in numbered(self._paths.checkpoints):
            state = checkpoints.load(self._paths.checkpoints, step, self._shapes())
            variables = {"params": state.params, "batch_stats": state.batch_stats}
        if variables is None:
            raise UserError(
                f"{self._paths.root} has no point at step {step}: {self._stored()}"
            )
        return self._finite(_of_member(variables, member), step, member)

    def along(self, member: int, until: int, most: int) -> tuple[list[int], Any]:
        """A member's path: (T steps, parameters with a leading axis of length T).

        Args:
          member: position of the member in the cell.
          until: the last step, which must be on the path.
          most: the maximum number of points. They are evenly spaced and include both
            ends.

        Raises:
          UserError: there is no path, it is damaged or has fewer than three points, or
            the member diverged before ``until`` (`Diverged`).
        """
        steps = [step for step, _ in read_path(self._paths.path) if step <= until]
        if until not in steps:
            raise UserError(f"{self._paths.path} does not go to step {until}")
        if len(steps) < 3:
            points = counted(len(steps), "point")
            raise UserError(
                f"{self._paths.path} has {points} up to step {until}, but a plane "
                "needs 3: run with a smaller --path_every"
            )
        places = np.linspace(0, len(steps) - 1, min(most, len(steps))).round()
        chosen = [steps[int(i)] for i in places]
        wanted = set(chosen)
        params = [
            self._finite(_of_member(variables, member), step, member).params
            for step, variables in read_path(self._paths.path)
            if step in wanted
        ]
        return chosen, jax.tree.map(lambda *leaves: np.stack(leaves), *params)

    def _finite(self, point: Variables, step: int, member: int) -> Variables:
        """Returns ``point`` if its parameters are finite.

        Raises:
          Diverged: a parameter is not finite.
        """
        if all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(point.params)):
            return point
        raise Diverged(
            f"{self._paths.root}: the parameters of {self.name(member)} are not finite "
            f"at step {step}, so it has diverged. Use an earlier --step or another "
            "member"
        )

    def _shapes(self) -> TrainState:
        seeds = jax.ShapeDtypeStruct((len(self._cell.members),), jnp.int32)
        values = values_of(self._cell.members, self._cell.hyperparameters)
        return jax.eval_shape(jax.vmap(self._program().init), seeds, values)

    def _stored(self) -> str:
        """Which points are stored, for a message."""
        ends = numbered(self._paths.path)
        words = []
        if ends:
            every = self._cell.config.path_every
            words.append(f"its path has every {every} steps up to {max(ends)}")
        saved = ", ".join(map(str, numbered(self._paths.checkpoints)))
        if saved:
            words.append(f"its checkpoints are at {saved}")
        return "; ".join(words) or "nothing is stored"


def _of_member(variables: dict[str, Any], member: int) -> Variables:
    def take(leaf):
        return np.array(leaf[member])

    params = jax.tree.map(take, variables["params"])
    return Variables(params, jax.tree.map(take, variables["batch_stats"]))
