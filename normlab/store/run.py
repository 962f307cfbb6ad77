"""Creates, reopens or refuses run directories, and reads their cells."""

from collections.abc import Sequence
from typing import Any

from normlab.cell import Cell, CellConfig, Member
from normlab.config import SweepConfig
from normlab.errors import UserError
from normlab.serialize import from_dict
from normlab.settings import stored
from normlab.store.checked import check_values
from normlab.store.layout import (
    CellPaths,
    RunPaths,
    exists,
    read_json,
    write_json,
    write_text,
)
from normlab.store.lock import only_writer
from normlab.store.provenance import check_plugins, now, warn_changed
from normlab.store.reopen import new_record, reopened


def open_run(
    paths: RunPaths,
    config: SweepConfig,
    cells: tuple[Cell, ...],
    flag_lines: list[str],
    session: dict[str, Any] | None,
    before: Sequence[SweepConfig] = (),
    adopted: bool = False,
) -> None:
    """Creates the run directory, or reopens it if its configuration is the same.

    It may also be the last of ``before``. Then the run is extended.

    Several processes may do so at once; every session is kept.

    Args:
      cells: the sweep's cells, in order.
      flag_lines: a flagfile that replays the run.
      session: the stamp of this start (`normlab.store.provenance`). None means only to
        check, because there is nothing left to run.
      before: the configurations that ``config`` extended, the first one first.
      adopted: whether something else trained the cells, so that nothing resumes them.

    Raises:
      UserError: the directory has another configuration, or plugins whose source has
        changed since then, or cannot be written; or a process is still running the
        cells that are to be extended.
    """
    new = new_record(config, cells, before, adopted)
    # First, because a refusal leaves nothing behind, not even a lock.
    record = reopened(paths, new)
    extends = record is not None and record["config"] is new["config"]
    record = record or new
    if session is None and not extends:
        warn_changed(record, config)
        return
    check_plugins(record, config)
    with only_writer(paths.lock, wait=True):
        record = reopened(paths, new) or new
        record["sessions"] += [session] if session is not None else []
        # sweep.json first: if killed in between, the folder still belongs to this run.
        write_json(paths.sweep, record)
        write_text(paths.flags, "\n".join(flag_lines) + "\n")


def write_cell(paths: CellPaths, cell: Cell, status: str, **notes: Any) -> None:
    """Writes cell.json: configuration, members, status, and notes on the run."""
    value = {
        "config": stored(cell.config),
        "members": [stored(member) for member in cell.members],
        "status": status,
        **notes,
    }
    if cell.first:
        value["first"] = cell.first
    write_json(paths.config, value)


def write_failure(paths: CellPaths, cell: Cell, reason: str, details: str = "") -> bool:
    """Records that a cell failed, and why. The rest of cell.json is kept.

    A damaged cell.json is left as it is, because it may belong to a complete cell. The
    reason says what to do about it.

    Args:
      reason: one line.
      details: the text of error.txt, if the reason does not say enough.

    Returns:
      Whether the cell has failed. It has not if it is complete in the meantime.

    Raises:
      Busy (a UserError): another process is running the cell.
      Unwritable (a UserError): it could not be written.
    """
    with only_writer(paths.lock):
        record: dict[str, Any] = {}
        if exists(paths.config):
            try:
                record = read_json(paths.config)
            except UserError:
                return True
        if record.get("status") == "complete":
            return False
        written = ("config", "members", "first", "status", "reason", "failed")
        notes = {name: value for name, value in record.items() if name not in written}
        if details:
            write_text(paths.error, details)
        else:
            paths.error.unlink(missing_ok=True)  # of an earlier failure
        write_cell(paths, cell, "failed", **notes, reason=reason, failed=now())
        return True


def cell_status(paths: CellPaths) -> str:
    """``absent``, ``running`` (begun, not finished), ``failed`` or ``complete``."""
    if not exists(paths.config):
        return "absent"
    return str(read_record(paths).get("status"))


def read_record(paths: CellPaths) -> dict[str, Any]:
    """cell.json, or an error that says what to do if it is damaged."""
    try:
        return read_json(paths.config)
    except UserError as error:
        again = "remove it, and the same command writes it again and continues"
        raise UserError(f"{error}; {again}") from error


def read_cell(paths: CellPaths) -> Cell:
    """The cell that `write_cell` wrote.

    Raises:
      UserError: cell.json is missing, damaged, or of another version.
    """
    return cell_of(paths, read_record(paths))


def cell_of(paths: CellPaths, value: dict[str, Any]) -> Cell:
    """The cell of a record that `read_record` returned.

    Raises:
      UserError: the record is damaged, or of another version.
    """
    try:
        members = tuple(from_dict(Member, member) for member in value["members"])
        first = value.get("first", 0)
        config = from_dict(CellConfig, value["config"])
        cell = Cell(config, members, first, bool(value.get("adopted")))
    except (KeyError, TypeError) as error:
        raise UserError(f"{paths.config} is damaged: {error}") from error
    check_values(paths.config, cell)
    return cell
