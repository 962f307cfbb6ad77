"""Creates, reopens or refuses run directories, and reads their cells."""

import json
from collections.abc import Sequence
from typing import Any

from normlab.cell import Cell, CellConfig, Member
from normlab.config import SweepConfig
from normlab.errors import UserError
from normlab.serialize import from_dict, to_json
from normlab.settings import earlier, stored, stored_names
from normlab.store.checked import check_values
from normlab.store.layout import (
    CellPaths,
    RunPaths,
    exists,
    is_temporary,
    read_json,
    write_json,
    write_text,
)
from normlab.store.links import check_links
from normlab.store.lock import is_held, only_writer
from normlab.store.provenance import (
    check_plugins,
    now,
    plugins_of,
    warn_changed,
)

FORMAT = 3


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
    new = {
        "format": FORMAT,
        "config": _as_json(config),
        "cells": [cell.id for cell in cells],
        "sessions": [],
    }
    plugins = plugins_of(config)
    new |= {"plugins": plugins} if plugins else {}
    new |= {"adopted": True} if adopted else {}
    if before:
        new["extended"] = [_as_json(one) for one in before]
    # First, because a refusal leaves nothing behind, not even a lock.
    record = _reopened(paths, new)
    extends = record is not None and record["config"] is new["config"]
    record = record or new
    if session is None and not extends:
        warn_changed(record, config)
        return
    check_plugins(record, config)
    with only_writer(paths.lock, wait=True):
        record = _reopened(paths, new) or new
        record["sessions"] += [session] if session is not None else []
        # sweep.json first: if killed in between, the folder still belongs to this run.
        write_json(paths.sweep, record)
        write_text(paths.flags, "\n".join(flag_lines) + "\n")


def _as_json(config: SweepConfig) -> dict[str, Any]:
    return json.loads(to_json(config))


def _reopened(paths: RunPaths, new: dict[str, Any]) -> dict[str, Any] | None:
    """The record of the run in the folder; None if the folder is free for a new run.

    If ``new`` extends the run, the record is of the extended run.

    Raises:
      UserError: the folder is neither free nor that of a run like ``new``.
    """
    # Checked twice, because the other files may belong to a run that has just begun.
    if not exists(paths.sweep) and _has_files(paths) and not exists(paths.sweep):
        _check_lost(paths, new["cells"])
    if not exists(paths.sweep):
        return None
    check_links(paths)
    record = read_json(paths.sweep)
    kinds = {"thin": "a thin copy of a run", "adopted": "an adopted run"}
    for name, kind in kinds.items():
        if record.get(name):
            raise UserError(
                f"--out={paths.root} is {kind}, which cannot be resumed; choose "
                "another --out"
            )
    _check_readable(paths, record)
    before = new.get("extended", [])
    adds = before and differing(record, new["config"])
    if adds and not differing(record, before[-1]):
        _check_idle(paths, record)
        return new | {"sessions": record["sessions"]}
    _check_same(paths, record, new)
    return record


def _check_idle(paths: RunPaths, record: dict[str, Any]) -> None:
    for name in record["cells"]:
        if is_held(paths.cell(name).lock):
            raise UserError(
                f"--extend: another process is running {paths.cell(name).root}; extend "
                "the run when it has ended"
            )


def _check_lost(paths: RunPaths, cells: list[str]) -> None:
    """Checks that files without a sweep.json belong to a run of ``cells``.

    If so, sweep.json is written again.

    Raises:
      UserError: they do not.
    """
    ids = {x.name for x in paths.cells.iterdir()} if paths.cells.is_dir() else set()
    if not ids:
        raise UserError(
            f"--out={paths.root} contains files of something else; choose another --out"
        )
    if not ids <= set(cells):
        raise UserError(
            f"{paths.sweep} is missing, and the cells beside it belong to another "
            "configuration; choose another --out"
        )


def _has_files(paths: RunPaths) -> bool:
    """Whether the folder contains anything that a killed start did not leave there."""
    try:
        return exists(paths.root) and any(
            not is_temporary(file) and file != paths.lock
            for file in paths.root.iterdir()
        )
    except OSError as error:
        raise UserError(f"cannot use --out={paths.root}: {error.strerror}") from error


def _check_readable(paths: RunPaths, record: dict) -> None:
    if record.get("format") != FORMAT:
        raise UserError(
            f"{paths.sweep} has format {record.get('format')}; this normlab reads "
            f"{FORMAT}"
        )
    old = record.get("config")
    if not isinstance(old, dict) or not isinstance(record.get("sessions"), list):
        raise UserError(f"{paths.sweep} is damaged: it has no config or no sessions")


def differing(record: dict[str, Any], config: dict[str, Any]) -> list[str]:
    """The stored names of the settings in which a run's record differs from a config.

    A setting that the run does not name was added later, and has its old value.
    """
    old = {**earlier(SweepConfig), **record["config"]}
    return [k for k in {**old, **config} if old.get(k) != config.get(k)]


def _check_same(paths: RunPaths, record: dict, wanted: dict) -> None:
    odd = differing(record, wanted["config"])
    if not odd and record.get("cells") != wanted["cells"]:
        raise UserError(
            f"--out={paths.root} was begun by another version of normlab, which made "
            "other cells; choose another --out"
        )
    if odd:
        name = odd[0]
        flags = {stored: flag for flag, stored in stored_names(SweepConfig).items()}
        old = {**earlier(SweepConfig), **record["config"]}
        raise UserError(
            f"--out={paths.root} has another configuration "
            f"(--{flags.get(name, name)}: {old.get(name)} there, "
            f"{wanted['config'].get(name)} requested); choose another --out, or add to "
            "the run with --extend"
        )


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
