"""Losses over a slice of parameter space, as immutable tiles of its grid.

::

    cells/<id>/landscapes/<kind>-<hash>/landscape.json      what it is, and its axes
                                        part-<stop>.parquet the points before <stop>
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from normlab.errors import UserError
from normlab.store.layout import CellPaths, exists, numbered, read_json, write_json
from normlab.store.metrics import PREFIX, SUFFIX, drop_after, write_part
from normlab.store.tables import read_table

FORMAT = 1
_NAMES = {"settings", "a", "b", "shares", "path"}


@dataclass(frozen=True)
class Axes:
    """The grid of a slice: theta + a u + b v.

    Attributes:
      a, b: coordinates along the two directions. For a line, b is the single value 0.
      shares: the share of a path's variance along each direction, or empty.
      path: ``step``, ``a`` and ``b`` of the path's points, or empty.
    """

    a: tuple[float, ...]
    b: tuple[float, ...] = (0.0,)
    shares: tuple[float, ...] = ()
    path: Mapping[str, list] | None = None

    @property
    def coordinates_N2(self) -> np.ndarray:
        """(a, b) of all points, a running fastest; float64."""
        b, a = np.meshgrid(self.b, self.a, indexing="ij")
        return np.stack([a.reshape(-1), b.reshape(-1)], axis=1)


def landscape_folder(paths: CellPaths, settings: Mapping[str, Any]) -> Path:
    """The folder of a landscape. Different settings have different folders."""
    text = json.dumps(dict(settings), sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return paths.landscapes / f"{settings['kind']}-{digest}"


def stored_landscapes(paths: CellPaths) -> list[Path]:
    """The folders of the landscapes of a cell, by name."""
    if not paths.landscapes.is_dir():
        return []
    return sorted(p.parent for p in paths.landscapes.glob("*/landscape.json"))


def write_axes(folder: Path, settings: Mapping[str, Any], axes: Axes) -> None:
    """Starts a landscape: writes its settings and its axes."""
    value = {
        "format": FORMAT,
        "settings": dict(settings),
        "a": axes.a,
        "b": axes.b,
        "shares": axes.shares,
        "path": axes.path,
    }
    write_json(folder / "landscape.json", value)


def read_axes(folder: Path) -> tuple[dict[str, Any], Axes] | None:
    """(settings, axes) of a landscape, or None if it was not begun.

    Raises:
      UserError: the file is damaged, or of another version.
    """
    file = folder / "landscape.json"
    if not exists(file):
        return None
    record = read_json(file)
    if record.get("format") != FORMAT or not record.keys() >= _NAMES:
        raise UserError(
            f"{file} is damaged, or of another version of normlab; remove {folder}, "
            "and the same command computes it again"
        )
    a, b, shares = (tuple(record[name]) for name in ("a", "b", "shares"))
    return record["settings"], Axes(a, b, shares, record["path"])


def write_tile(
    folder: Path,
    start: int,
    coordinates_N2: np.ndarray,
    losses: Mapping[tuple[str, str], tuple[np.ndarray, np.ndarray | None]],
) -> None:
    """Writes the rows of the points from number ``start`` on, completely or not at all.

    Args:
      losses: (split, statistics) -> losses_N and accuracies_N, None in a regression.
    """
    count = len(coordinates_N2)
    tables = [
        pa.table(
            {
                "point": np.arange(start, start + count, dtype=np.int32),
                "a": coordinates_N2[:, 0],
                "b": coordinates_N2[:, 1],
                "split": [split] * count,
                "statistics": [statistics] * count,
                "loss": np.asarray(loss, np.float32),
                "accuracy": pa.nulls(count, pa.float32())
                if accuracy is None
                else np.asarray(accuracy, np.float32),
            }
        )
        for (split, statistics), (loss, accuracy) in losses.items()
    ]
    write_part(folder, start + count, pa.concat_tables(tables))


def read_tiles(folder: Path) -> tuple[int, pd.DataFrame | None]:
    """(the number of points stored before the first gap, their rows or None).

    Columns: ``point``, ``a``, ``b``, ``split``, ``statistics``, ``loss``,
    ``accuracy``. Tiles after a gap are not read.

    Raises:
      UserError: a tile is damaged.
    """
    reached, frames = 0, []
    for end, path in numbered(folder, PREFIX, SUFFIX).items():
        again = "remove it, and the same command computes it again"
        table = read_table(path, again)
        frame = table.to_pandas()
        if frame["point"].min() != reached:
            break
        frames.append(frame)
        reached = end
    if not frames:
        return reached, None
    frame = pd.concat(frames)  # sorted next, so that the tiles do not show
    return reached, frame.sort_values("point", kind="stable", ignore_index=True)


def drop_tiles_after(folder: Path, point: int) -> None:
    """Removes the tiles after a gap, which will be computed again."""
    drop_after(folder, point)
