"""The progress of a running cell, in a file that other processes can read."""

import contextlib
import os
import socket
import time
from pathlib import Path

import numpy as np

from normlab.cell import Cell
from normlab.errors import UserError
from normlab.store.layout import write_json
from normlab.sweep.execute import Progress
from normlab.sweep.pace import Pace
from normlab.sweep.population import Metrics

# At most one heartbeat is written in this time.
BEAT_SECONDS = 10.0


class Heartbeat:
    """A progress that writes ``progress.json`` and passes on every notification.

    The file contains ``step`` and ``steps``, ``members``, ``pace`` (member-steps per
    second, without compiling), ``host``, ``pid``, and ``time`` (seconds since 1970).

    Args:
      path: the file. If it cannot be written, the run continues without it.
      progress: another progress to notify.
    """

    def __init__(self, path: Path, progress: Progress | None = None):
        self._path, self._progress = path, progress
        self._step = self._steps = self._members = 0
        self._last, self._pace = time.monotonic(), Pace()

    def begin(self, name: str, steps: int, step: int, members: int) -> None:
        self._step, self._steps, self._members = step, steps, members
        self._pace = Pace()
        if self._progress is not None:
            self._progress.begin(name, steps, step, members)
        self._write()

    def compiled(self, seconds: float) -> None:
        self._pace.leave_out(seconds)
        if self._progress is not None:
            self._progress.compiled(seconds)

    def advance(self, steps: int, losses_M: np.ndarray) -> None:
        self._step += steps
        self._pace.advance(steps * self._members)
        if self._progress is not None:
            self._progress.advance(steps, losses_M)
        if time.monotonic() - self._last >= BEAT_SECONDS:
            self._write()

    def evaluated(self, cell: Cell, step: int, metrics_M: Metrics) -> None:
        if self._progress is not None:
            self._progress.evaluated(cell, step, metrics_M)

    def chose(self, text: str) -> None:
        if self._progress is not None:
            self._progress.chose(text)

    def end(self, *notes: str) -> None:
        if self._progress is not None:
            self._progress.end(*notes)

    def _write(self) -> None:
        self._last = time.monotonic()
        value = {
            "step": self._step,
            "steps": self._steps,
            "members": self._members,
            "pace": self._pace.now,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "time": time.time(),
        }
        with contextlib.suppress(UserError):
            write_json(self._path, value)
