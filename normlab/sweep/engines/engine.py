"""What an engine is asked for, and what it is."""

from dataclasses import dataclass
from typing import Protocol

from normlab.cell import Cell
from normlab.config import SweepConfig
from normlab.run_options import RunOptions
from normlab.store import RunPaths
from normlab.sweep.attempt import Outcome
from normlab.sweep.grid import describe


@dataclass(frozen=True)
class Work:
    """The cells of a sweep that one command is to run, and how.

    Attributes:
      cells: all cells of the sweep.
      selected: those to run, at least one: `part` of them.
    """

    config: SweepConfig
    options: RunOptions
    cells: tuple[Cell, ...]
    selected: tuple[Cell, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the selected cells."""
        return tuple(cell.id for cell in self.selected)

    @property
    def names(self) -> dict[str, str]:
        """Cell id -> what people call the cell, for the selected ones."""
        configs = tuple(cell.config for cell in self.cells)
        return {cell.id: describe(cell.config, configs) for cell in self.selected}


def part(cells: tuple[Cell, ...], index: int, count: int) -> tuple[Cell, ...]:
    """Part ``index`` of ``count``, taken in turn: neighbours cost about the same."""
    return cells[index::count]


class Engine(Protocol):
    """What runs the cells of a `Work`.

    Attributes:
      plan: what it will do, for people.
      device: what the numbers are made on (`normlab.store.provenance.device`).
    """

    plan: str
    device: str

    def run(self, paths: RunPaths) -> list[Outcome]:
        """Runs the selected cells that are not complete; one outcome each, at least.

        Raises:
          Unwritable (a UserError): nothing can be stored any more.
        """
        ...
