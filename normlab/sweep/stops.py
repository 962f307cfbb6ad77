"""Stops members of a cell that is being trained, and remembers which."""

from typing import Any

import jax
import numpy as np
import pyarrow as pa

from normlab.cell import Cell
from normlab.store import metrics
from normlab.sweep.halving import losers, lost, ranked_by
from normlab.sweep.population import Metrics, Population
from normlab.words import counted


class Stops:
    """The members of a cell that are not trained to the end (`Population.stop`).

    The rows of one that diverged go on, as NaN, like those of one that is trained on.
    The rows of one that is not among the best end.
    """

    def __init__(self, cell: Cell, population: Population):
        self._cell, self._config, self._population = cell, cell.config, population
        self._ends: dict[int, int] = {}
        self._may_be_lost = True  # as far as a resumed cell knows

    def resume(self, table: pa.Table | None, step: int) -> None:
        """Recalls the members whose rows end before ``step``, from what is stored."""
        self._ends = metrics.ended_members(table, step)

    def recorder(self, start: int) -> metrics.Recorder:
        """A recorder of the members' rows from ``start`` on."""
        recorder = metrics.Recorder(start)
        for member, end in self._ends.items():
            recorder.end(member, end)
        return recorder

    def trained(self, losses_M: np.ndarray) -> None:
        """Notes the latest losses of all members."""
        running = losses_M[self._population.running]
        self._may_be_lost |= not np.isfinite(running).all()

    def diverged(self) -> None:
        """Stops members whose parameters are NaN, if they are to be stopped."""
        if self._config.stop_diverged and self._may_be_lost:
            population = self._population
            population.stop(lost(population.state(), population.running))
            self._may_be_lost = False

    def keep_best(
        self, step: int, evaluation: Metrics, recorder: metrics.Recorder
    ) -> None:
        """Stops all members but those of the best points, by their evaluation."""
        members = self._cell.members
        among = [i for i in range(len(members)) if i not in self._ends]
        losses_M = evaluation[ranked_by(evaluation)]
        out = losers(members, losses_M, among, self._config.kept_share)
        self._population.stop(np.array(out, int))
        for member in out:
            self._ends[member] = step
            recorder.end(member, step)

    def rows(self, table: pa.Table) -> pa.Table:
        """The rows of a quantity, without those of members that have ended."""
        if not self._ends:
            return table
        ended = np.isin(table["member"].to_numpy(), list(self._ends))
        return table.filter(pa.array(~ended))

    def as_nan(self, variables: Any) -> Any:
        """Variables with a member axis, NaN for members that are stopped."""
        running = self._population.running
        if len(running) == len(self._cell.members):
            return variables
        stopped = np.setdiff1d(np.arange(len(self._cell.members)), running)

        def fill(leaf: Any) -> np.ndarray:
            whole = np.array(leaf)
            if np.issubdtype(whole.dtype, np.floating):
                whole[stopped] = np.nan
            return whole

        return jax.tree.map(fill, variables)

    def _saved(self) -> dict[int, int]:
        """Member -> the steps that it was trained for, if not to the end."""
        steps = np.asarray(self._population.state().step)
        return {i: int(s) for i, s in enumerate(steps) if s < self._config.steps}

    def text(self) -> tuple[str, ...]:
        """What stopping has saved, in words; empty if nothing."""
        trained = self._saved()
        if not trained:
            return ()
        saved = sum(self._config.steps - steps for steps in trained.values())
        count = counted(len(self._cell.members), "member")
        return (
            f"{len(trained)} of {count} stopped, {saved:,} of "
            f"{self._cell.member_steps:,} member-steps saved",
        )

    def record(self) -> dict[str, Any]:
        """What cell.json says about it; empty if no member was stopped."""
        trained = self._saved()
        if not trained:
            return {}
        best = {i: step for i, step in trained.items() if i in self._ends}
        diverged = {i: step for i, step in trained.items() if i not in self._ends}
        saved = sum(self._config.steps - step for step in trained.values())
        return {
            "stopped": {
                "diverged": {str(i): step for i, step in diverged.items()},
                "not_among_the_best": {str(i): step for i, step in best.items()},
                "member_steps_saved": saved,
            }
        }
