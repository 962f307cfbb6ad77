"""Shows how far a sweep is: a bar on a terminal or in a notebook, else some lines."""

import sys
import time
from collections.abc import Mapping
from typing import TextIO

import numpy as np
from tqdm.auto import tqdm

from normlab.cell import Cell
from normlab.sweep.pace import Pace, clock, pace_words
from normlab.sweep.rows import OnEval, evaluation_rows

_LINE_SECONDS = 30.0
_BAR = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}, {remaining} left"
# Whether tqdm has found a notebook, and the package ipywidgets, when it was imported.
_IN_NOTEBOOK = any(kind.__name__ == "tqdm_notebook" for kind in tqdm.__mro__)


def default_stream() -> TextIO:
    """Standard error; in a notebook standard output, which is not shown in red."""
    return sys.stdout if _IN_NOTEBOOK else sys.stderr


def open_bar(stream: TextIO, member_steps: int) -> tqdm | None:
    """A bar of member-steps on a terminal or in a notebook; None on anything else."""
    in_notebook = _IN_NOTEBOOK and stream is default_stream()
    if not (stream.isatty() or in_notebook):
        return None
    return tqdm(
        total=member_steps,
        file=stream,
        unit="member-step",
        unit_scale=True,
        bar_format=_BAR,
        dynamic_ncols=True,
    )


class SweepProgress:
    """Follows the member-steps of a whole sweep.

    Args:
      total: member-steps of all cells.
      cells: how many cells.
      stream: where to write; a terminal gets a bar, anything else at most one line
        every 30 seconds.
      on_eval: is called with the rows of every evaluation.
    """

    def __init__(
        self,
        total: int,
        cells: int,
        stream: TextIO | None = None,
        on_eval: OnEval | None = None,
    ):
        self._stream = default_stream() if stream is None else stream
        self._on_eval = on_eval
        self._total, self._cells = total, cells
        self._cell = 0
        self._done = self._skipped = 0
        self._name, self._steps, self._step, self._members = "", 0, 0, 0
        self._open = False
        self._started = self._last = time.monotonic()
        self._pace = Pace()
        self._compiling = 0.0  # seconds, of the current cell
        self._bar = open_bar(self._stream, total)

    def skip(self, member_steps: int) -> None:
        """Counts work that an earlier run did."""
        self._cell += 1
        self._skip(member_steps)

    def _skip(self, member_steps: int) -> None:
        self._skipped += member_steps
        if self._bar is not None:  # `initial` keeps it out of the bar's speed
            self._bar.initial += member_steps
            self._bar.n += member_steps
            self._bar.refresh()

    def begin(self, name: str, steps: int, step: int, members: int) -> None:
        """A cell starts at ``step`` of ``steps``, or starts again if it did not end."""
        if self._open:
            self._rewind((self._step - step) * self._members)
        else:
            self._cell += 1
            self._skip(step * members)
        self._open = True
        self._name, self._steps, self._step, self._members = name, steps, step, members
        self._pace = Pace()
        if step:
            self.note(f"{name}: continues from step {step} of {steps}")

    def _rewind(self, member_steps: int) -> None:
        """Takes back steps that will be computed again."""
        self._done -= member_steps
        if self._bar is not None:
            self._bar.n -= member_steps
            self._bar.refresh()

    def note(self, text: str) -> None:
        """Prints a line of its own."""
        if self._bar is not None:
            self._bar.write(text, file=self._stream)
        else:
            print(text, file=self._stream, flush=True)

    def compiled(self, seconds: float) -> None:
        """A program of the current cell was compiled. The pace leaves that time out."""
        self._compiling += seconds
        self._pace.leave_out(seconds)

    def advance(self, steps: int, losses_M: np.ndarray) -> None:
        """``steps`` more steps of the current cell; its members' latest losses."""
        self._step += steps
        self._done += steps * self._members
        self._pace.advance(steps * self._members)
        finite = losses_M[np.isfinite(losses_M)]
        loss = f"{np.median(finite):.3f}" if finite.size else "not finite"
        cell, step = f"{self._cell}/{self._cells}", f"{self._step}/{self._steps}"
        if self._bar is not None:  # short, so that 80 columns show the time left
            words = f"{cell} {self._name}, {step}, loss {loss}"
            self._bar.set_description_str(words, refresh=False)
            self._bar.update(steps * self._members)
        elif time.monotonic() - self._last >= _LINE_SECONDS:
            self._last = time.monotonic()
            words = f"cell {cell} {self._name}, step {step}, median loss {loss}"
            # At the current cell's pace: cells may differ, and others are not known.
            left = self._total - self._skipped - self._done
            self.note(", ".join((words, *pace_words(self._pace.now, left))))

    def chose(self, text: str) -> None:
        """How a cell is run was chosen by timing."""
        self.note(text)

    def evaluated(
        self, cell: Cell, step: int, metrics_M: Mapping[str, np.ndarray]
    ) -> None:
        """The current cell was evaluated after ``step`` updates."""
        if self._on_eval is not None:
            self._on_eval(evaluation_rows(cell, step, metrics_M))

    def end(self, *notes: str) -> None:
        """The current cell is finished. The line that says so ends with ``notes``."""
        self._open = False
        seconds = clock(time.monotonic() - self._started)
        compiled = f"compiled in {self._compiling:.1f} s"
        known = [compiled] if self._compiling else []
        words = ", ".join((f"{seconds} since the start", *known, *notes))
        self._compiling = 0.0
        self.note(f"{self._name}: done ({words})")

    def give_up(self, member_steps: int, text: str) -> None:
        """A cell will not be finished here, begun (the current one) or not.

        Args:
          member_steps: all member-steps of the cell.
          text: a line that says why.
        """
        if self._open:
            self._skip((self._steps - self._step) * self._members)
        else:
            self.skip(member_steps)
        self._open, self._compiling = False, 0.0
        self.note(text)

    def close(self) -> None:
        """The sweep is finished."""
        if self._bar is not None:
            self._bar.close()
