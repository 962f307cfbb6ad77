"""Metrics as immutable Parquet parts, with a row for each (member, step).

All parts of all cells have the same columns, `COLUMNS`, so any Parquet reader can read
them together. A null was not measured: at that step, in that cell, or at all, like the
accuracy of a regression. A NaN was measured and is not a number. (Parts from an earlier
version have only the columns that they measured.)
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute

from normlab.errors import UserError
from normlab.metrics import BY_STATISTICS, METRICS, VALIDATION, loss_of
from normlab.store.layout import numbered
from normlab.store.tables import made_again, read_table, write_table

PREFIX, SUFFIX = "part-", ".parquet"
pc: Any = pyarrow.compute  # its functions are made when it is imported
COLUMNS = ("member", "step", *METRICS)


class Recorder:
    """Collects metrics between two checkpoints and makes one table of them.

    Row (member, t) has the measurements at the parameters after t updates: the batch
    metrics of update t and, if there was one, the evaluation.

    Args:
      start: the first step.
    """

    def __init__(self, start: int):
        self._start = start
        self._stop = start
        self._blocks: list[dict[str, np.ndarray]] = []
        self._evaluations: dict[int, dict[str, np.ndarray]] = {}
        self._ends: dict[int, int] = {}

    def steps(self, metrics_Mk: dict[str, np.ndarray]) -> None:
        """Adds the batch metrics of the next k steps, each of shape (M, k)."""
        self._blocks.append(metrics_Mk)
        self._stop += next(iter(metrics_Mk.values())).shape[1]

    def evaluation(self, step: int, metrics_M: dict[str, np.ndarray]) -> None:
        """Adds an evaluation at ``step``, each metric of shape (M,)."""
        self._evaluations[step] = metrics_M

    def end(self, member: int, step: int) -> None:
        """The rows of a member end with its evaluation at ``step``."""
        self._ends[member] = step

    def table(self) -> pa.Table:
        """All rows so far; null where a metric was not measured at a step."""
        steps = set(range(self._start, self._stop)) | set(self._evaluations)
        order = np.array(sorted(steps), np.int32)
        some = next(iter(self._blocks or self._evaluations.values()))
        members = next(iter(some.values())).shape[0]
        columns: dict[str, Any] = {
            "member": np.repeat(np.arange(members, dtype=np.int32), len(order)),
            "step": np.tile(order, members),
        }
        kept = np.ones((members, len(order)), bool)
        trained = np.tile((order >= self._start) & (order < self._stop), (members, 1))
        for member, step in self._ends.items():
            kept[member, order > step] = trained[member, order >= step] = False
        measured = (order >= self._start) & (order < self._stop)
        for name in self._blocks[0] if self._blocks else ():
            values = np.concatenate([block[name] for block in self._blocks], axis=1)
            columns[name] = _column(values, measured, trained)
        for name in dict.fromkeys(k for e in self._evaluations.values() for k in e):
            at = sorted(
                s for s, evaluation in self._evaluations.items() if name in evaluation
            )
            values = np.stack([self._evaluations[s][name] for s in at], axis=1)
            places = np.isin(order, at)
            columns[name] = _column(values, places, np.tile(places, (members, 1)))
        table = pa.table(columns)
        return table if kept.all() else table.filter(pa.array(kept.reshape(-1)))


def _column(
    values_Mk: np.ndarray, measured_L: np.ndarray, present_ML: np.ndarray
) -> pa.Array:
    """A float32 column of M x L rows, null where ``present_ML`` is false.

    The values belong to the steps where ``measured_L`` is true.
    """
    full = np.zeros(present_ML.shape, np.float32)
    full[:, measured_L] = values_Mk
    return pa.array(full.reshape(-1), mask=~present_ML.reshape(-1))


def ended_members(table: pa.Table | None, step: int) -> dict[int, int]:
    """Member -> the step at which its rows end, for those that end before ``step``.

    Args:
      table: the rows of a cell that is at ``step``. The last row of such a member has
        no batch metrics, because it was not trained on.
    """
    if table is None or "batch_loss" not in table.column_names:
        return {}
    member, steps = table["member"].to_numpy(), table["step"].to_numpy()
    order = np.lexsort((steps, member))
    last = order[np.flatnonzero(np.diff(member[order], append=-1))]
    idle = np.asarray(table["batch_loss"].is_null())
    return {int(member[i]): int(steps[i]) for i in last if idle[i] and steps[i] < step}


def write_metrics(folder: Path, step: int, table: pa.Table) -> None:
    """Writes a part with `COLUMNS` first, and any other columns after them."""
    absent = pa.nulls(len(table), pa.float32())
    for name in COLUMNS:
        if name not in table.column_names:
            table = table.append_column(name, absent)
    others = [name for name in table.column_names if name not in COLUMNS]
    write_part(folder, step, table.select([*COLUMNS, *others]))


def write_part(folder: Path, step: int, table: pa.Table) -> None:
    """Writes the part that ends at ``step``, completely or not at all."""
    write_table(folder / f"{PREFIX}{step:08d}{SUFFIX}", table)


def drop_after(folder: Path, step: int) -> None:
    """Removes the parts that end after ``step``, which will be computed again."""
    for end, path in numbered(folder, PREFIX, SUFFIX).items():
        if end > step:
            path.unlink()


def part_times(folder: Path) -> dict[int, float]:
    """Step -> when the part that ends there was written, in seconds since 1970.

    These are the times of the files. Those of a copied run are of the copy.
    """
    parts = numbered(folder, PREFIX, SUFFIX)
    return {end: path.stat().st_mtime for end, path in parts.items()}


def read_parts(folder: Path, stop: int | None = None) -> pa.Table | None:
    """All parts in order, or None if there are none.

    Evaluations with statistics or splits that no part has are left out. An accuracy is
    NaN if its loss is not finite; an earlier version stored the share of class 0
    instead.

    Args:
      folder: the parts of one cell.
      stop: the step that they must reach, if it is known.

    Raises:
      UserError: a part is damaged, or missing; the message says what to do.
    """
    tables, reached, again = [], 0, made_again(folder.parent)
    for end, path in numbered(folder, PREFIX, SUFFIX).items():
        table = _used(read_table(path, again))
        first = int(table["step"].to_numpy().min())
        if first != reached:
            raise UserError(f"the metrics before {path} are missing; {again}")
        if tables and ends_closed(tables[-1], first):
            table = _joined(tables.pop(), table, first)
        tables.append(table)
        reached = end
    if stop is not None and reached != stop:
        raise UserError(f"the metrics after step {reached} are missing; {again}")
    if not tables:
        return None
    return _lost_as_nan(pa.concat_tables(tables, promote_options="default"))


def ends_closed(table: pa.Table | None, step: int) -> bool:
    """Whether a table that ends at ``step`` has the evaluation there, too.

    That is so at the last step of a cell, and where a cell ended before it was
    extended. Elsewhere the evaluation belongs to the part that follows.
    """
    return table is not None and int(np.max(table["step"].to_numpy())) == step


def _joined(earlier: pa.Table, later: pa.Table, step: int) -> pa.Table:
    """Two parts as one. Both have rows at ``step``, where the one ends.

    ``earlier`` has the evaluation there, and ``later`` the batch metrics.
    """
    absent = [name for name in earlier.column_names if name not in later.column_names]
    for name in absent:
        later = later.append_column(name, pa.nulls(len(later), earlier[name].type))
    at, from_step = (pc.equal(table["step"], step) for table in (earlier, later))
    ends, begins = earlier.filter(at), later.filter(from_step)
    places = pc.index_in(begins["member"], value_set=ends["member"])
    for i, name in enumerate(begins.column_names):
        if name in ends.column_names:
            column = pc.coalesce(begins[name], ends[name].take(places))
            begins = begins.set_column(i, name, column)
    gone = pc.invert(pc.is_in(ends["member"], value_set=begins["member"]))
    parts = earlier.filter(pc.invert(at)), ends.filter(gone), begins
    rest = later.filter(pc.invert(from_step))
    return pa.concat_tables([*parts, rest], promote_options="default")


def _used(table: pa.Table) -> pa.Table:
    """The table without evaluations that the cell does not have."""
    unused = [
        name
        for name in table.column_names
        if name in (*BY_STATISTICS, *VALIDATION)
        and table[name].null_count == len(table)
    ]
    return table.drop_columns(unused)


def _lost_as_nan(table: pa.Table) -> pa.Table:
    """The table with NaN for the accuracies of networks whose loss is not finite."""
    for i, name in enumerate(table.column_names):
        loss = loss_of(name)
        if loss != name and loss in table.column_names:
            values, absent = _numbers(table[name])
            losses, unmeasured = _numbers(table[loss])
            lost = ~unmeasured & ~np.isfinite(losses)
            column = pa.array(np.where(lost, np.float32("nan"), values), mask=absent)
            table = table.set_column(i, name, column)
    return table


def _numbers(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """A column's values, and where they are missing."""
    absent = np.asarray(column.is_null())
    return column.fill_null(0).to_numpy(), absent


def to_frame(table: pa.Table) -> pd.DataFrame:
    """The table for pandas, with a column ``diverged``.

    ``diverged`` is true from the first step at which a member's measured loss was not
    finite. A metric that was not measured is NaN.
    """
    frame = table.to_pandas()
    bad = np.zeros(len(frame), bool)
    for name in table.column_names:
        if name.endswith("_loss"):
            measured = np.asarray(table[name].is_valid())
            bad |= measured & ~np.isfinite(frame[name].to_numpy())
    frame["diverged"] = bad
    frame = frame.sort_values(["member", "step"], ignore_index=True)
    frame["diverged"] = frame.groupby("member")["diverged"].cummax()
    return frame
