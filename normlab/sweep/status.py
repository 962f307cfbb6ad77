"""How far a run is, read from its files alone, whichever processes work on it."""

import math
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from normlab.errors import UserError, one_line
from normlab.store.layout import CellPaths, RunPaths, exists, numbered, read_json
from normlab.store.load import cell_ids
from normlab.store.lock import is_held
from normlab.store.run import cell_of, read_record
from normlab.sweep.pace import pace_words
from normlab.words import counted

STATES = ("complete", "running", "interrupted", "failed", "damaged", "waiting")
# A process on another host counts as dead after this long without a heartbeat. It must
# be longer than compiling, which writes none.
_SILENT_SECONDS = 300.0


class CellStatus(NamedTuple):
    """The status of a cell.

    Attributes:
      id: the cell's id.
      state: one of `STATES`. ``interrupted`` means begun, but no process is running it.
      step: the number of updates done.
      steps: the number of updates of a complete cell; 0 if unknown.
      members: the number of members.
      pace: member-steps per second; 0 if unknown.
      reason: why it failed, what is damaged, or which process is running it.
    """

    id: str
    state: str
    step: int = 0
    steps: int = 0
    members: int = 0
    pace: float = 0.0
    reason: str = ""

    @property
    def left(self) -> int:
        """Member-steps that remain."""
        return (self.steps - self.step) * self.members


def run_status(paths: RunPaths) -> list[CellStatus]:
    """The status of every cell of a run, in the sweep's order.

    Raises:
      UserError: it is not a run directory, or its sweep.json is damaged.
    """
    if not exists(paths.sweep):
        raise UserError(f"{paths.root} is not a run directory: it has no sweep.json")
    return [cell_state(paths.cell(cell)) for cell in cell_ids(paths)]


def cell_state(paths: CellPaths) -> CellStatus:
    """The status of a cell. It reports damaged files and does not raise."""
    name = paths.root.name
    while True:  # until cell.json and the lock were read at one moment
        before = _text(paths.config)
        held = is_held(paths.lock)
        try:
            record = read_record(paths)
            cell = cell_of(paths, record)
            saved = max(numbered(paths.checkpoints), default=0)
            fault = ""
        except (OSError, UserError) as error:
            cell, record, saved, fault = None, {}, 0, one_line(error)
        if _text(paths.config) == before:
            break
    if before is None:
        return CellStatus(name, "running" if held else "waiting")
    if cell is None:
        return CellStatus(name, "damaged", reason=fault)
    steps, members = cell.config.steps, len(cell.members)
    state = str(record.get("status"))
    if state == "complete":
        return CellStatus(name, state, steps, steps, members)
    beat = _heartbeat(paths.progress)
    step = int(min(_number(beat.get("step")), steps))
    if held or (state == "running" and _heard_elsewhere(beat)):
        pace = _number(beat.get("pace"))
        return CellStatus(name, "running", step, steps, members, pace, _who(beat))
    if state == "failed":
        reason = " ".join(str(record.get("reason")).split())
        return CellStatus(name, "failed", saved, steps, members, reason=reason)
    reason = f"{_who(beat)} was at step {step}" if step > saved and _who(beat) else ""
    return CellStatus(name, "interrupted", saved, steps, members, reason=reason)


def _text(path: Path) -> str | None:
    """A file's contents; None if it does not exist; the error if it is unreadable."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return f"{error.strerror}"


def _heartbeat(path: Path) -> dict[str, Any]:
    """The contents of progress.json; empty if it is missing or damaged."""
    try:
        return read_json(path)
    except UserError:
        return {}


def _heard_elsewhere(beat: dict[str, Any]) -> bool:
    """Whether a process on another host is alive. Its lock may not be visible here.

    If a clock jumps, there or here, this is wrong until the next heartbeat.
    """
    if beat.get("host") in (None, socket.gethostname()):
        return False
    return abs(time.time() - _number(beat.get("time"))) < _SILENT_SECONDS


def _who(beat: dict[str, Any]) -> str:
    return f"{beat['host']}, pid {beat.get('pid')}" if "host" in beat else ""


def _number(value: Any) -> float:
    """A number that is not negative, like those in a heartbeat; else 0."""
    good = isinstance(value, int | float) and 0 <= value < math.inf
    return float(min(value, 1e15)) if good else 0.0


def describe_cell(cell: CellStatus) -> str:
    """The details of a cell's status, besides its state."""
    where = f"step {cell.step} of {cell.steps}" if cell.steps else ""
    words = []
    if cell.state == "complete":
        words = [f"{counted(cell.members, 'member')}, {counted(cell.steps, 'step')}"]
    elif cell.state == "running":
        words = [where or "starting", *pace_words(cell.pace, cell.left), cell.reason]
    elif cell.state == "interrupted":
        words = [f"continues from {where}", cell.reason]
    elif cell.state in ("failed", "damaged"):
        words = [cell.reason]
    return ", ".join(word for word in words if word)


def total(cells: Sequence[CellStatus]) -> str:
    """One line on all cells. Cells that were not begun count as the others' average."""
    counts = {state: [c.state for c in cells].count(state) for state in STATES}
    words = [f"{counts['complete']} of {counted(len(cells), 'cell')} complete"]
    words += [f"{n} {state}" for state, n in counts.items() if n and state != STATES[0]]
    known = [cell for cell in cells if cell.steps]
    if known and counts["complete"] < len(cells):
        all_steps = sum(c.steps * c.members for c in known)
        done = all_steps - sum(cell.left for cell in known)
        all_steps *= len(cells) / len(known)
        words.append(f"{100 * done / max(all_steps, 1):.0f}%")
        pace = sum(cell.pace for cell in cells if cell.state == "running")
        words += pace_words(pace, all_steps - done)
    return ", ".join(words)


def status_text(paths: RunPaths) -> str:
    """`run_status` as text: a line for each cell, and one for all.

    Raises:
      UserError: it is not a run directory, or its sweep.json is damaged.
    """
    cells = run_status(paths)
    width = max((len(cell.id) for cell in cells), default=0)
    lines = [
        f"  {cell.id:<{width}}  {cell.state:<11}  {describe_cell(cell)}".rstrip()
        for cell in cells
    ]
    return "\n".join([f"{paths.root}:", *lines, total(cells)])
