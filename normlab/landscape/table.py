"""Landscapes as one tidy table: what the figures draw, and the CSV beside them."""

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

# Of the settings, those that a caption tells.
_TOLD = ("kind", "step", "images", "batch")
_SOMETIMES = ("direction_seed", "from_step")


def tabulate(landscapes: Sequence[Landscape]) -> pd.DataFrame:
    """All points of some landscapes of a run, a row a (point, split, statistics).

    Columns: ``setting`` (the norm, and what else sets the cell and the member apart
    from the others), ``dataset``, ``seed``, ``lr``, ``running`` (whether the norm has
    running averages: else ``statistics`` says nothing), what the landscape was asked
    to be, ``a`` and ``b``, ``loss`` and ``accuracy``. A path has further rows, with its
    step in ``path_step`` and no loss, and in ``share_a`` and ``share_b`` the share of
    its variance along each direction.
    """
    configs = tuple(dict.fromkeys(landscape.cell.config for landscape in landscapes))
    members = [landscape.settings["member"] for landscape in landscapes]
    varied = [name for name in members[0] if len({m[name] for m in members}) > 1]
    frames = []
    for landscape, member in zip(landscapes, members, strict=True):
        words = [describe(landscape.cell.config, configs)]
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
    """Every landscape of a kind that a run holds, as `tabulate` gives them.

    What is unfinished is there as far as it was stored.

    Raises:
      UserError: ``run`` is no run directory, none is stored in it, or one is damaged.
    """
    landscapes = []
    for paths in begun_cells(RunPaths.at(run)):
        for folder in stored_landscapes(paths):
            begun, (_, table) = read_axes(folder), read_tiles(folder)
            if begun is not None and table is not None and begun[0]["kind"] == kind:
                landscapes.append(Landscape(read_cell(paths), *begun, table))
    if not landscapes:
        raise UserError(
            f"no {kind} is stored in {run}: python -m normlab.landscape --run={run} "
            f"--kind={kind}"
        )
    return tabulate(landscapes)
