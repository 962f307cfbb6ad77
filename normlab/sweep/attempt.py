"""One cell, tried: what goes wrong with it is written down, and stops no other."""

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
from normlab.sweep.execute import Progress, run_cell
from normlab.sweep.heartbeat import Heartbeat
from normlab.sweep.plan import CellPlan

# What is told of a disk on which no cell could be stored, whoever tells it.
_NO_ROOM = tuple(map(os.strerror, (errno.ENOSPC, errno.EDQUOT, errno.EROFS)))


class Outcome(NamedTuple):
    """What became of a cell.

    Attributes:
      cell_id: which.
      state: ``complete``, ``failed``, or ``busy`` where another process is at it.
      reason: one line; empty where it is complete.
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
    """Runs a cell to its end from wherever it stands, or says why not.

    A failure is in cell.json, too, and where no `UserError` explains it the traceback
    in error.txt. To try again is never wrong: what is stored stays.

    Args:
      plan: of the cell; called here, so that its errors are the cell's.
      progress: what is told while it runs, beside the cell's ``progress.json``.

    Raises:
      Unwritable (a UserError): the disk is full, say, and would be for every cell.
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
    """Writes down that a cell failed, unless another process has just taken it up.

    A cell that is complete all the same, by whomever, has not failed.

    Raises:
      Unwritable (a UserError): it cannot be written.
    """
    with contextlib.suppress(Busy):
        if not write_failure(paths, cell, reason, details):
            return Outcome(cell.id, "complete")
    return Outcome(cell.id, "failed", reason)
