"""What is due at the steps of a cell's training."""

from dataclasses import dataclass

from normlab.cell import Cell
from normlab.norms import NORMS
from normlab.store.quantities import probed_at


@dataclass(frozen=True)
class Due:
    """What is due at the parameters after ``step`` updates of ``cell``."""

    cell: Cell

    def regroups(self, step: int) -> bool:
        """Whether channels are regrouped at this step, before anything else."""
        config = self.cell.config
        since = step - config.regroup_at
        if not self._has_groupings or since < 0 or step == config.steps:
            return False
        every = config.regroup_every
        return since == 0 or bool(every) and since % every == 0

    @property
    def _has_groupings(self) -> bool:
        """Whether some member's grouping is not the sequential one of the start."""
        others = any(member.grouping != "sequential" for member in self.cell.members)
        return others and NORMS[self.cell.config.norm].assigned

    def evaluates(self, step: int) -> bool:
        config = self.cell.config
        every = step % config.eval_every == 0
        return every or step == config.steps or self.selects(step)

    def selects(self, step: int) -> bool:
        """Whether only the best members are trained on from this step."""
        return step in self.cell.config.rungs

    def probes(self, step: int) -> bool:
        return probed_at(self.cell.config, step)

    def on_path(self, step: int) -> bool:
        """Whether the point at this step is stored on the path."""
        config = self.cell.config
        if not config.path_every:
            return False
        after = config.path_next and step and (step - 1) % config.path_every == 0
        return step % config.path_every == 0 or step == config.steps or bool(after)

    def following(self, step: int) -> int:
        """The first step after ``step`` at which something is due."""
        config = self.cell.config
        ends = [config.steps, *(rung for rung in config.rungs if rung > step)]
        for every in (config.eval_every, config.path_every, config.probe_every):
            if every:
                ends.append((step // every + 1) * every)
        if config.path_next and self.on_path(step + 1):
            ends.append(step + 1)
        if self._has_groupings:
            first, every = config.regroup_at, config.regroup_every
            if step < first:
                ends.append(first)
            elif every:
                ends.append(first + ((step - first) // every + 1) * every)
        return min(ends)
