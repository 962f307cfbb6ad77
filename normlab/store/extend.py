"""Runs that were extended: what they were before, and where their cells go on."""

import dataclasses
import os
from collections.abc import Sequence

from normlab.cell import Cell
from normlab.config import SweepConfig
from normlab.errors import Unwritable, UserError
from normlab.serialize import from_dict
from normlab.store.layout import RunPaths, exists, read_json
from normlab.store.lock import only_writer
from normlab.store.reopen import as_json, differing
from normlab.store.run import read_cell, read_record, write_cell


def configs_before(
    paths: RunPaths, config: SweepConfig, extend: bool
) -> tuple[SweepConfig, ...]:
    """The configurations that ``config`` extends in a run, the first one first.

    There are none for a new run, for one that was never extended, and for one that has
    another configuration if it is not to be extended. Only `open_run` refuses a run.

    Args:
      extend: whether a run of another configuration is to be extended.

    Raises:
      UserError: the run was extended, and its record is damaged.
    """
    if not exists(paths.sweep):
        return ()
    try:
        record = read_json(paths.sweep)
        other = differing(record, as_json(config))
    except (UserError, KeyError, TypeError):
        return ()
    if other and not extend:
        return ()
    earlier = record.get("extended", [])
    if not isinstance(earlier, list):
        raise UserError(f"{paths.sweep} is damaged: extended is not a list")
    last = [record["config"]] if other else []
    return tuple(from_dict(SweepConfig, one) for one in (*earlier, *last))


def move_cells(paths: RunPaths, cells: Sequence[Cell]) -> None:
    """Gives cells that were extended by steps their new names, so that they go on.

    A cell's steps are in its id. Its folder is renamed and its record says that it is
    not complete; all else stays. It may be done again after a kill.

    Raises:
      Busy (a UserError): another process is running such a cell.
      UserError: a cell.json is damaged, or cannot be written.
    """
    if not paths.cells.is_dir():
        return
    wanted = {_lasting(cell): cell for cell in cells}
    with only_writer(paths.lock, wait=True):
        for folder in sorted(paths.cells.iterdir()):
            own = paths.cell(folder.name)
            if not exists(own.config):
                continue
            before = read_cell(own)
            after = wanted.get(_lasting(before))
            if after is None or before.config.steps == after.config.steps:
                continue
            with only_writer(own.lock):
                target = paths.cell(after.id)
                if own != target:
                    try:
                        os.rename(own.root, target.root)
                    except OSError as error:
                        reason = f"cannot rename {own.root}: {error.strerror}"
                        raise Unwritable(reason) from error
                names = ("execution", "conv", "member_chunk", "devices")
                record = read_record(target)
                notes = {name: record[name] for name in names if name in record}
                write_cell(target, after, "running", **notes)


def _lasting(cell: Cell) -> tuple:
    """What an extension by steps leaves as it is."""
    return dataclasses.replace(cell.config, steps=1), cell.members, cell.first
