"""What an engine gets to do, and the interface that it has."""

from dataclasses import dataclass
from typing import Protocol, TextIO

from normlab.cell import Cell
from normlab.config import SweepConfig
from normlab.run_options import RunOptions
from normlab.store import RunPaths
from normlab.sweep.attempt import Outcome
from normlab.sweep.grid import names_of
from normlab.sweep.rows import OnEval


@dataclass(frozen=True)
class Work:
    """The cells of a sweep that one command runs, and how it runs them.

    Attributes:
      cells: all cells of the sweep.
      selected: the cells to run, at least one: a `part` of them.
      before: the configurations that ``config`` extends, the first one first.
      on_eval: is called with the rows of every evaluation. Only an engine that trains
        in this process can do so.
      stream: where progress is written; by default standard error.
      verbose: whether the plan says how members run and what memory they need.
    """

    config: SweepConfig
    options: RunOptions
    cells: tuple[Cell, ...]
    selected: tuple[Cell, ...]
    before: tuple[SweepConfig, ...] = ()
    on_eval: OnEval | None = None
    stream: TextIO | None = None
    verbose: bool = False

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the selected cells."""
        return tuple(cell.id for cell in self.selected)

    @property
    def names(self) -> dict[str, str]:
        """Cell id -> the cell's readable name, for the selected cells."""
        names = names_of(self.cells)
        return {cell.id: names[cell.id] for cell in self.selected}


def part(cells: tuple[Cell, ...], index: int, count: int) -> tuple[Cell, ...]:
    """Part ``index`` of ``count``. Cells are dealt out, since neighbours cost alike."""
    return cells[index::count]


class Engine(Protocol):
    """Runs the cells of a `Work`.

    Attributes:
      plan: a description of what it will do.
      device: the device that computes (`normlab.store.provenance.device`).
    """

    plan: str
    device: str

    def run(self, paths: RunPaths) -> list[Outcome]:
        """Runs the selected cells that are not complete. Each has at least one outcome.

        Raises:
          Unwritable (a UserError): nothing can be stored any more.
        """
        ...
