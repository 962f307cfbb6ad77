"""Reads a run as tables for pandas."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from normlab.cell import Cell
from normlab.errors import UserError
from normlab.store.layout import CellPaths, RunPaths, exists, numbered, read_json
from normlab.store.metrics import PREFIX, SUFFIX, read_parts, to_frame
from normlab.store.quantities import measured_names, read_quantity
from normlab.store.run import cell_status, read_cell


def load(run: str | Path) -> pd.DataFrame:
    """A run as one tidy table, with a row for each (cell, member, step).

    Columns: ``cell`` and ``member``; every static setting (``norm``, ``groups``,
    ``batch_size``, ...) and ``label``, the norm with its groups or p; ``seed``, ``lr``,
    ``momentum``, ``weight_decay``, ``grouping``; ``step``; the metrics (``batch_loss``,
    ``train_loss``, ``test_accuracy``, ``gradient_norm``, ...; losses in nats), NaN
    where not measured at that step; and ``diverged``, true from the first step with
    a loss that is not finite. Metrics of step t are measured at the parameters after t
    updates. Unfinished cells have the rows that are stored so far.

    Raises:
      UserError: ``run`` is not a run directory, nothing is stored in it yet, or a file
        in it is damaged.
    """
    paths = RunPaths.at(run)
    frames = [_cell_frame(cell_paths) for cell_paths in begun_cells(paths)]
    frames = [frame for frame in frames if frame is not None]
    if not frames:
        raise UserError(f"nothing is stored in {paths.root} yet")
    return pd.concat(frames, ignore_index=True)


def load_quantity(
    run: str | Path,
    name: str,
    part: Callable[[pd.DataFrame], pd.DataFrame] | None = None,
) -> pd.DataFrame:
    """A quantity along a run's paths, with a row for each (cell, member, step, entry).

    Columns: ``cell``, the settings and the member's values as in `load`, ``step``, one
    for each axis of the quantity (``eta``, ``layer``, ...) and one for each field.

    Args:
      part: selects the rows of a cell to keep, before settings are added. Use it if the
        whole quantity would not fit in memory.

    Raises:
      UserError: ``run`` is not a run directory, the quantity was not measured in it, or
        a file is damaged or missing.
    """
    frames, absent = [], []
    cells = list(begun_cells(RunPaths.at(run)))
    for paths in cells:
        table, cell = read_quantity(paths, name), read_cell(paths)
        if table is not None:
            table = table if part is None else part(table).reset_index(drop=True)
            frames.append(with_settings(cell, table))
        elif name in cell.config.quantities and cell_status(paths) == "complete":
            absent.append(paths.root)
    if frames and absent:
        raise UserError(
            f"{absent[0]} has lost {name}; remove it, and the same command computes "
            "the cell again"
        )
    if not frames:
        names = ", ".join(measured(run)) or "none"
        if any(paths.path.is_dir() for paths in cells):
            command = f"python -m normlab.analysis --run={run} --quantities={name}"
            how = f"{command} measures it from the stored path"
        else:
            how = f"a new run with --quantities={name} measures it"
        raise UserError(f"{name} was not measured in {run} (measured: {names}); {how}")
    return pd.concat(frames, ignore_index=True)


def members(run: str | Path) -> pd.DataFrame:
    """The members of a run's begun cells, with a row for each (cell, member).

    Columns: ``cell``, ``member``, the settings and the member's values as in `load`.

    Raises:
      UserError: ``run`` is not a run directory, no cell was begun, or a file is
        damaged.
    """
    paths = RunPaths.at(run)
    frames = []
    for cell in map(read_cell, begun_cells(paths)):
        places = pd.DataFrame({"member": range(len(cell.members))})
        frames.append(with_settings(cell, places))
    if not frames:
        raise UserError(f"nothing is stored in {paths.root} yet")
    return pd.concat(frames, ignore_index=True)


def measured(run: str | Path) -> tuple[str, ...]:
    """The quantities that were measured in some cell of a run.

    Raises:
      UserError: ``run`` is not a run directory.
    """
    cells = begun_cells(RunPaths.at(run))
    return tuple(sorted({name for paths in cells for name in measured_names(paths)}))


def begun_cells(paths: RunPaths) -> Iterator[CellPaths]:
    """The cells of a run that were begun.

    Raises:
      UserError: it is not a run directory, or a cell's cell.json is missing.
    """
    if not exists(paths.sweep):
        raise UserError(f"{paths.root} is not a run directory: it has no sweep.json")
    for cell_id in cell_ids(paths):
        cell = paths.cell(cell_id)
        if exists(cell.config):
            yield cell
        elif numbered(cell.metrics, PREFIX, SUFFIX):  # cell.json is written first
            raise UserError(f"{cell.config} is missing; the same command writes it")


def cell_ids(paths: RunPaths) -> list[str]:
    """The cells that a run should have, by the names of their folders.

    Raises:
      UserError: it is not a run directory, or a name cannot be that of a folder.
    """
    names = read_json(paths.sweep).get("cells", [])
    if not isinstance(names, list):
        raise UserError(f"{paths.sweep} is damaged: its cells are not a list")
    for name in names:
        plain = isinstance(name, str) and name.isprintable() and "/" not in name
        if not plain or name.startswith(".") or not name:
            raise UserError(f"{paths.sweep} is damaged: no cell is called {name!r}")
    return names


def read_metrics(paths: CellPaths) -> tuple[Cell, pa.Table | None]:
    """A cell and its metrics, or None if no metrics are stored yet.

    Raises:
      UserError: a file is damaged, or a complete cell's metrics do not reach its end.
    """
    cell = read_cell(paths)
    complete = cell_status(paths) == "complete"
    return cell, read_parts(paths.metrics, cell.config.steps if complete else None)


def _cell_frame(paths: CellPaths) -> pd.DataFrame | None:
    cell, table = read_metrics(paths)
    return None if table is None else with_settings(cell, to_frame(table))


def with_settings(cell: Cell, frame: pd.DataFrame) -> pd.DataFrame:
    """Adds the settings of a cell and its members as columns in front of ``frame``.

    The column ``member`` of ``frame`` says which member a row is of. The members of an
    addition get the numbers that follow those of their cell.
    """
    members = pd.DataFrame([dataclasses.asdict(member) for member in cell.members])
    settings: dict[str, Any] = {"cell": cell.config.id, "label": cell.label}
    for name, value in dataclasses.asdict(cell.config).items():
        is_list = isinstance(value, tuple)
        settings[name] = ",".join(map(str, value)) if is_list else value
    groups = cell.config.groups
    settings["groups"] = float("nan") if groups is None else groups
    head = pd.DataFrame(settings, index=frame.index)
    of_members = members.loc[frame["member"]].reset_index(drop=True)
    if cell.first:
        frame = frame.assign(member=frame["member"] + cell.first)
    return pd.concat([head, of_members, frame], axis=1)
