"""Makes a copy of a run that is small enough to keep beside the code.

A thin copy is a run directory like any other, for tables and figures. It contains the
configurations, the metrics at evaluations, and the quantities. It has no checkpoints
and no path, so it cannot be resumed or measured any further.
"""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from normlab.config import MEMBER_AXES, SweepConfig
from normlab.errors import UserError
from normlab.settings import earlier
from normlab.store.layout import (
    CellPaths,
    RunPaths,
    each_once,
    exists,
    read_json,
    write_json,
    write_text,
)
from normlab.store.links import check_links
from normlab.store.load import begun_cells, cell_ids, read_metrics
from normlab.store.metrics import write_metrics
from normlab.store.quantities import measured_names, read_quantity, write_analysis
from normlab.store.run import cell_status

_OF_MEMBERS = (*MEMBER_AXES, "seed", "num_seeds")


def thin(
    run: str | Path,
    out: str | Path,
    quantities: Collection[str] | None = None,
    more: Sequence[str | Path] = (),
) -> RunPaths:
    """Copies the results of ``run`` to ``out``.

    Only the rows of evaluations are kept. In them, a metric that was measured at every
    step (``batch_loss``, ``gradient_norm``, ...) is the mean over the steps since the
    previous row.

    Args:
      run: a run directory; it may be unfinished.
      out: a folder that does not exist yet, or is empty.
      quantities: the quantities to copy; None copies all.
      more: runs of some of its cells, for example on machines without a shared disk. If
        several runs have a cell, the complete one counts, or the one that is furthest,
        or the first.

    Raises:
      UserError: a run is not a run directory, is given twice or is damaged; ``out`` is
        not empty; a run in ``more`` has a cell that ``run`` lacks, or other members.
    """
    sources, target = each_once([run, *more]), RunPaths.at(out)
    source = sources[0]
    if target.root.exists() and (
        not target.root.is_dir() or any(target.root.iterdir())
    ):
        raise UserError(f"--out={target.root} is not empty; choose another --out")
    for each in sources:
        check_links(each)
    _check_parts(sources)
    for cell_id, paths in _furthest(sources).items():
        _thin_cell(paths, target.cell(cell_id), quantities)
    if exists(source.flags):
        lines = source.flags.read_text(encoding="utf-8", errors="replace")
        write_text(target.flags, _elsewhere(lines))
    sweeps = [read_json(each.sweep) for each in sources]
    session_lists = [sweep.get("sessions") for sweep in sweeps]
    sessions = [
        session
        for several in session_lists
        if isinstance(several, list)
        for session in several
    ]
    # Last: a folder with this file is complete.
    write_json(target.sweep, sweeps[0] | {"sessions": sessions, "thin": True})
    return target


def _check_parts(sources: Sequence[RunPaths]) -> None:
    """Checks that all are runs of cells of the first, with the same members.

    Raises:
      UserError: one is not.
    """
    first, *more = sources
    planned, members = cell_ids(first), _members(first)
    for source in more:
        says = f"{source.root} is no part of {first.root}, which"
        for cell_id in cell_ids(source):
            if cell_id not in planned:
                raise UserError(f"{says} has no cell {cell_id}")
        for name, value in _members(source).items():
            if value != members[name]:
                raise UserError(f"{says} has --{name}: {members[name]}, not {value}")


def _members(run: RunPaths) -> dict[str, Any]:
    """The flags that determine a cell's members, which the cell's id does not show."""
    config = read_json(run.sweep).get("config")
    flags = {**earlier(SweepConfig), **(config if isinstance(config, dict) else {})}
    return {name: flags.get(name) for name in _OF_MEMBERS}


def _furthest(sources: Sequence[RunPaths]) -> dict[str, CellPaths]:
    """Cell -> the source in which it is furthest, in the order of the first run."""
    begun: dict[str, list[CellPaths]] = {name: [] for name in cell_ids(sources[0])}
    for source in sources:
        for paths in begun_cells(source):
            begun[paths.root.name].append(paths)
    return {
        cell_id: candidates[0]
        if len(candidates) == 1
        else max(candidates, key=_reached)
        for cell_id, candidates in begun.items()
        if candidates
    }


def _reached(paths: CellPaths) -> tuple[bool, int]:
    """Whether a cell is complete, and its last stored step (-1 if there is none)."""
    _, table = read_metrics(paths)
    return cell_status(paths) == "complete", -1 if table is None else _last(table)


def _last(table: pa.Table) -> int:
    return int(np.max(table["step"].to_numpy()))


def _elsewhere(flags: str) -> str:
    """The lines of a flagfile without the one for the run's folder."""
    lines = flags.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("--out="))


def _thin_cell(
    source: CellPaths, target: CellPaths, quantities: Collection[str] | None
) -> None:
    _, table = read_metrics(source)
    if table is not None:
        write_metrics(target.metrics, _last(table), thin_metrics(table))
    for name in measured_names(source):
        if quantities is None or name in quantities:
            rows = pa.Table.from_pandas(
                read_quantity(source, name), preserve_index=False
            )
            write_analysis(target, name, rows, {})
    write_json(target.config, read_json(source.config))


def thin_metrics(table: pa.Table) -> pa.Table:
    """The rows of a cell's evaluations, and of its first and last step.

    Columns are means over the steps since the previous row at which they were measured.
    A NaN makes the mean NaN; a null stays null.
    """
    order = np.lexsort((table["step"].to_numpy(), table["member"].to_numpy()))
    table = table.take(pa.array(order))
    members, steps = table["member"].to_numpy(), table["step"].to_numpy()
    kept = (steps == 0) | (steps == steps.max())
    if "test_loss" in table.column_names:
        kept |= np.asarray(table["test_loss"].is_valid())
    # A kept row is the last of the steps that it averages.
    ends = np.flatnonzero(kept)
    starts = np.concatenate([[0], ends[:-1] + 1])
    columns = {"member": members[ends], "step": steps[ends]}
    for name in table.column_names:
        if name not in columns:
            columns[name] = _means(table[name], starts)
    return pa.table(columns)


def _means(column: pa.ChunkedArray, starts: np.ndarray) -> pa.Array:
    valid = np.asarray(column.is_valid())
    values = np.where(valid, column.to_numpy(zero_copy_only=False), 0.0)
    counts = np.add.reduceat(valid.astype(np.int64), starts)
    with np.errstate(invalid="ignore"):  # infinities of both signs
        sums = np.add.reduceat(values.astype(np.float64), starts)
    means = (sums / np.maximum(counts, 1)).astype(np.float32)
    return pa.array(means, mask=counts == 0)
