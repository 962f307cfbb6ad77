"""How far a run is, told by a process that computes none of it."""

import sys
import time
from collections.abc import Mapping, Sequence
from typing import TextIO

from normlab.sweep.progress import open_bar
from normlab.sweep.status import CellStatus, describe_cell, total

_LINE_SECONDS = 30.0
# What of a cell is worth a line of its own.
_TOLD = ("running", "complete", "failed", "damaged")


class Watch:
    """Tells of cells that begin, end or fail, and now and then of all together.

    Args:
      names: cell id -> what people call it.
      member_steps: of all cells.
      stream: where to write; a terminal gets a bar, too.
    """

    def __init__(
        self, names: Mapping[str, str], member_steps: int, stream: TextIO | None = None
    ):
        self._stream = sys.stderr if stream is None else stream
        self._names, self._total = names, member_steps
        self._states: dict[str, str] = {}
        self._last = time.monotonic()
        self._bar = open_bar(self._stream, member_steps)

    def show(self, cells: Sequence[CellStatus]) -> None:
        """Tells what is new in ``cells``, all those of the run."""
        first = not self._states
        for cell in cells:
            new = self._states.get(cell.id) != cell.state
            self._states[cell.id] = cell.state
            if new and not first and cell.state in _TOLD and cell.id in self._names:
                self.note(self._line(cell))
        if self._bar is not None:
            done = sum(c.step * c.members for c in cells if c.id in self._names)
            if first:  # what an earlier run did is no speed
                self._bar.initial = done
            self._bar.n = done
            self._bar.set_description_str(total(cells), refresh=False)
            self._bar.refresh()
        elif time.monotonic() - self._last >= _LINE_SECONDS:
            self._last = time.monotonic()
            self.note(total(cells))

    def _line(self, cell: CellStatus) -> str:
        details = describe_cell(cell)
        return f"{self._names[cell.id]}: {cell.state}" + f" ({details})" * bool(details)

    def note(self, text: str) -> None:
        """A line of its own."""
        if self._bar is not None:
            self._bar.write(text, file=self._stream)
        else:
            print(text, file=self._stream, flush=True)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
