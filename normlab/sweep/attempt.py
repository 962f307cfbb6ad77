"""Tries to run one cell. A failure is recorded, and other cells are not affected."""

import contextlib
import errno
import os
import traceback
from collections.abc import Callable
from typing import NamedTuple

from normlab.cell import Cell
from normlab.errors import Unwritable, UserError
from normlab.run_options import RunOptions
from normlab.store.layout import CellPaths
from normlab.store.lock import Busy
from normlab.store.run import write_failure
from normlab.sweep.cell_plan import CellPlan
from normlab.sweep.execute import Progress, run_cell
from normlab.sweep.heartbeat import Heartbeat

# Error messages of a disk on which no cell can be stored, whichever library reports it.
_NO_ROOM = tuple(map(os.strerror, (errno.ENOSPC, errno.EDQUOT, errno.EROFS)))


class Outcome(NamedTuple):
    """What became of a cell.

    Attributes:
      cell_id: the cell.
      state: ``complete``, ``failed``, or ``busy`` (another process is running it).
      reason: one line; empty if the cell is complete.
    """

    cell_id: str
    state: str
    reason: str = ""


def attempt(
    cell: Cell,
    paths: CellPaths,
    plan: Callable[[], CellPlan],
    options: RunOptions,
    progress: Progress | None = None,
) -> Outcome:
    """Runs a cell from its last stored state to its end, or reports why it cannot.

    A failure is also recorded in cell.json. If no `UserError` explains it, error.txt
    has the traceback. It is always safe to try again, because what is stored is kept.

    Args:
      plan: makes the cell's plan. It is called here, so its errors count as the cell's.
      progress: is notified while the cell runs, besides the cell's ``progress.json``.

    Raises:
      Unwritable (a UserError): no cell can be stored; the disk is full, for example.
      Stopped, Cancelled: as for `normlab.sweep.execute.run_cell`.
    """
    try:
        run_cell(plan(), paths, options, Heartbeat(paths.progress, progress))
    except Busy as busy:
        return Outcome(cell.id, "busy", str(busy))
    except Unwritable:
        raise
    except Exception as error:  # whatever it is, the other cells go on
        reason = " ".join(str(error).split())
        if any(text in reason for text in _NO_ROOM):
            raise Unwritable(f"cannot write {paths.root}: {reason}") from error
        details = ""
        if not isinstance(error, UserError):
            reason = f"{type(error).__name__}: {reason}" if reason else repr(error)
            details = traceback.format_exc()
        return failed(cell, paths, reason, details)
    with contextlib.suppress(OSError):
        paths.progress.unlink(missing_ok=True)
        paths.error.unlink(missing_ok=True)
    return Outcome(cell.id, "complete")


def failed(cell: Cell, paths: CellPaths, reason: str, details: str = "") -> Outcome:
    """Records that a cell failed, unless another process has just started on it.

    A cell that has been completed in the meantime has not failed.

    Raises:
      Unwritable (a UserError): it cannot be written.
    """
    with contextlib.suppress(Busy):
        if not write_failure(paths, cell, reason, details):
            return Outcome(cell.id, "complete")
    return Outcome(cell.id, "failed", reason)
