"""Shows how far a run is, in a process that does not compute it."""

import time
from collections.abc import Mapping, Sequence
from typing import TextIO

from normlab.sweep.progress import default_stream, open_bar
from normlab.sweep.status import CellStatus, describe_cell, total

_LINE_SECONDS = 30.0
# The states that get a line of their own.
_TOLD = ("running", "complete", "failed", "damaged")


class Watch:
    """Reports cells that begin, end or fail, and sometimes the progress of all.

    Args:
      names: cell id -> readable name.
      member_steps: the member-steps of all cells.
      stream: where to write. A terminal also gets a bar.
    """

    def __init__(
        self, names: Mapping[str, str], member_steps: int, stream: TextIO | None = None
    ):
        self._stream = default_stream() if stream is None else stream
        self._names, self._total = names, member_steps
        self._states: dict[str, str] = {}
        self._last = time.monotonic()
        self._bar = open_bar(self._stream, member_steps)

    def show(self, cells: Sequence[CellStatus]) -> None:
        """Reports what is new in ``cells``, which are all cells of the run."""
        first = not self._states
        for cell in cells:
            new = self._states.get(cell.id) != cell.state
            self._states[cell.id] = cell.state
            if new and not first and cell.state in _TOLD and cell.id in self._names:
                self.note(self._line(cell))
        if self._bar is not None:
            done = sum(c.step * c.members for c in cells if c.id in self._names)
            if first:  # the work of an earlier run does not count as speed
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
        """Prints a line of its own."""
        if self._bar is not None:
            self._bar.write(text, file=self._stream)
        else:
            print(text, file=self._stream, flush=True)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
