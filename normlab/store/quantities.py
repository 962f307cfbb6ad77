"""Measurements along the path as tidy Parquet tables, with a row for each entry.

During training, each quantity has a folder of immutable parts, like the metrics
(``probes/<quantity>/part-<step>.parquet``). What is measured later from the path is one
file, ``analysis/<quantity>.parquet``. Both have the same columns: ``member``, ``step``,
one for each axis of the quantity, and one for each of its fields.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from normlab.cell import CellConfig
from normlab.errors import UserError
from normlab.store.layout import CellPaths, exists, numbered
from normlab.store.metrics import PREFIX, SUFFIX, drop_after, write_part
from normlab.store.run import cell_status, read_cell
from normlab.store.tables import made_again, read_table, write_table

Labels = Mapping[str, Sequence[Any]]
_SETTINGS = b"normlab"


def file_name(quantity: str) -> str:
    """The name of a quantity's folder or file: a plugin's ``my:measure`` has no colon.

    Windows allows none.
    """
    return quantity.replace(":", "@")


def _quantity_name(file: str) -> str:
    return file.replace("@", ":")


def to_table(
    step: int, fields: Mapping[str, np.ndarray], axes: Sequence[str], labels: Labels
) -> pa.Table:
    """One quantity at one step as rows.

    Args:
      fields: name -> array of shape (members, *axes).
      axes: the names of the axes after the first.
      labels: axis -> what its entries mean.
    """
    shape = np.shape(next(iter(fields.values())))
    places = np.indices(shape, np.int32).reshape(len(shape), -1)
    columns: dict[str, Any] = {
        "member": places[0],
        "step": np.full(places.shape[1], step, np.int32),
    }
    for axis, place in zip(axes, places[1:], strict=True):
        columns[axis] = pa.array(list(labels[axis])).take(pa.array(place))
    for name, values in fields.items():
        columns[name] = np.asarray(values, np.float32).reshape(-1)
    return pa.table(columns)


class ProbeRecorder:
    """Collects quantities between two checkpoints; `flush` writes a part of each."""

    def __init__(self, paths: CellPaths):
        self._paths = paths
        self._tables: dict[str, list[pa.Table]] = {}

    def add(self, name: str, table: pa.Table) -> None:
        """Adds rows of the quantity ``name``."""
        self._tables.setdefault(name, []).append(table)

    def flush(self, step: int) -> None:
        """Writes the rows up to ``step``, each part completely or not at all."""
        for name, tables in self._tables.items():
            write_part(
                self._paths.probes / file_name(name), step, pa.concat_tables(tables)
            )
        self._tables = {}


def drop_probes_after(paths: CellPaths, step: int) -> None:
    """Removes the parts that end after ``step``, which will be computed again."""
    if paths.probes.is_dir():
        for folder in paths.probes.iterdir():
            drop_after(folder, step)


def probed_at(config: CellConfig, step: int) -> bool:
    """Whether a cell's probes measure at the parameters after ``step`` updates."""
    if not config.quantities:
        return False
    return step % config.probe_every == 0 or step == config.steps


def check_probes(paths: CellPaths, config: CellConfig, stop: int) -> None:
    """Checks that the parts have every step before ``stop`` that a cell measured.

    Raises:
      UserError: a part is missing or damaged.
    """
    for name in config.quantities:
        steps = [
            read_table(part, made_again(paths.root), ["step"])["step"].to_numpy()
            for part in _parts(paths, name).values()
        ]
        _check_steps(paths, name, config, steps, stop)


def _check_steps(
    paths: CellPaths,
    name: str,
    config: CellConfig,
    measured: Iterable[np.ndarray],
    stop: int,
) -> None:
    due = {step for step in range(stop) if probed_at(config, step)}
    lost = due.difference(*(steps.tolist() for steps in measured))
    if lost:
        raise UserError(
            f"{paths.probes / file_name(name)} has lost step {min(lost)}; "
            f"{made_again(paths.root)}"
        )


def write_analysis(
    paths: CellPaths, name: str, table: pa.Table, settings: Mapping[str, Any]
) -> None:
    """Writes a quantity that was measured from the path, with the settings used."""
    note = {_SETTINGS: json.dumps(dict(settings)).encode()}
    write_table(paths.analysis / f"{file_name(name)}{SUFFIX}", table, note)


def _parts(paths: CellPaths, name: str) -> dict[int, Path]:
    """Last step -> the file of a part that was measured during training."""
    return numbered(paths.probes / file_name(name), PREFIX, SUFFIX)


def read_quantity(paths: CellPaths, name: str) -> pd.DataFrame | None:
    """All rows of a quantity in a cell, or None if it was never measured.

    If it was measured both during training and afterwards, the later one counts.

    Raises:
      UserError: a file is damaged, or a part is missing.
    """
    parts = _parts(paths, name)
    later = paths.analysis / f"{file_name(name)}{SUFFIX}"
    again = made_again(paths.root)
    frames = [read_table(path, again).to_pandas() for path in parts.values()]
    probed = bool(frames)
    if exists(later):
        again = "remove it, and measure again with python -m normlab.analysis"
        analysis = read_table(later, again).to_pandas()
        newer = analysis["step"].unique()
        frames = [frame[~frame["step"].isin(newer)] for frame in frames]
        frames.append(analysis)
    if not frames:
        return None
    if probed and exists(paths.config):
        config = read_cell(paths).config
        stop = max(parts)
        if cell_status(paths) == "complete":
            stop = config.steps + 1
        if name in config.quantities:
            steps = [frame["step"].to_numpy() for frame in frames]
            _check_steps(paths, name, config, steps, stop)
    frame = pd.concat(frames, ignore_index=True)
    return frame.sort_values(["member", "step"], kind="stable", ignore_index=True)


def measured_names(paths: CellPaths) -> tuple[str, ...]:
    """The quantities that were measured in a cell."""
    names = set()
    if paths.probes.is_dir():
        for folder in paths.probes.iterdir():
            if numbered(folder, PREFIX, SUFFIX):  # else a kill left it empty
                names.add(_quantity_name(folder.name))
    if paths.analysis.is_dir():
        files = paths.analysis.glob(f"*{SUFFIX}")
        names |= {_quantity_name(file.stem) for file in files}
    return tuple(sorted(name for name in names if not name.startswith(".")))
