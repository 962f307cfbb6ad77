"""Landscapes as one tidy table, which the figures plot and save as CSV."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from normlab.errors import UserError
from normlab.landscape.compute import Landscape
from normlab.norms import NORMS
from normlab.statistics.intervals import number
from normlab.store.landscapes import read_axes, read_tiles, stored_landscapes
from normlab.store.layout import RunPaths
from normlab.store.load import begun_cells
from normlab.store.run import read_cell
from normlab.sweep.grid import describe

# The settings that captions show.
_TOLD = ("kind", "step", "images", "batch")
_SOMETIMES = ("direction_seed", "from_step")


def tabulate(landscapes: Sequence[Landscape]) -> pd.DataFrame:
    """All points of some landscapes: one row per (point, split, statistics).

    The columns include ``setting`` (the norm, and other settings that differ between
    the landscapes), ``dataset``, ``seed``, ``lr``, ``running`` (whether the norm has
    running averages; otherwise ``statistics`` has no meaning), the settings of the
    landscape, the coordinates ``a`` and ``b``, ``loss`` and ``accuracy``. The points of
    a path are further rows with ``path_step`` and no loss. ``share_a`` and ``share_b``
    are the shares of the path's variance along the two directions.
    """
    configs = tuple(dict.fromkeys(landscape.cell.config for landscape in landscapes))
    members = [landscape.settings["member"] for landscape in landscapes]
    varied = [name for name in members[0] if len({m[name] for m in members}) > 1]
    frames = []
    for landscape, member in zip(landscapes, members, strict=True):
        words = [describe(landscape.cell.config, configs)]
        words += ["adopted"] * landscape.cell.adopted
        words += [f"{name} {number(member[name])}" for name in varied]
        frames.append(_rows(landscape).assign(setting=", ".join(words)))
    frame = pd.concat(frames, ignore_index=True)
    last = ["point", "a", "b", "loss", "accuracy", "path_step"]
    first = ["setting", *(c for c in frame if c not in ("setting", *last))]
    return frame[[*first, *last]]


def _rows(landscape: Landscape) -> pd.DataFrame:
    settings, axes = landscape.settings, landscape.axes
    told = {name: settings[name] for name in _TOLD}
    told |= {name: settings[name] for name in _SOMETIMES if name in settings}
    parts = [landscape.table.assign(path_step=float("nan"))]
    if axes.path is not None:
        path = pd.DataFrame({"a": axes.path["a"], "b": axes.path["b"]})
        path = path.assign(path_step=axes.path["step"])
        curves = landscape.table[["split", "statistics"]].drop_duplicates()
        parts.append(curves.merge(path, how="cross"))
        told |= {"share_a": axes.shares[0], "share_b": axes.shares[1]}
    config = landscape.cell.config
    columns: dict[str, Any] = {
        "cell": landscape.cell.id,
        "dataset": config.dataset,
        "running": NORMS[config.norm].running,
        **settings["member"],
        **told,
    }
    return pd.concat(parts, ignore_index=True).assign(**columns)


def load_landscapes(run: str | Path, kind: str) -> pd.DataFrame:
    """All stored landscapes of one kind in a run, as a table like that of `tabulate`.

    Unfinished landscapes are included with the points stored so far.

    Raises:
      UserError: ``run`` is not a run directory, contains no such landscape, or contains
        a damaged one.
    """
    landscapes = []
    for paths in begun_cells(RunPaths.at(run)):
        for folder in stored_landscapes(paths):
            begun, (_, table) = read_axes(folder), read_tiles(folder)
            if begun is not None and table is not None and begun[0]["kind"] == kind:
                landscapes.append(Landscape(read_cell(paths), *begun, table))
    if not landscapes:
        raise UserError(
            f"no {kind} is stored in {run}; to compute it: python -m normlab.landscape "
            f"--run={run} --kind={kind}"
        )
    return tabulate(landscapes)
