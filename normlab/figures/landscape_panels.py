"""Panels, contour levels and captions for the figures of landscapes."""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.colorbar import Colorbar
from matplotlib.colors import LogNorm

from normlab.figures.fitting import columns_for
from normlab.statistics.intervals import number

# A colour map for print and colour-blind readers, and the colour of missing values.
MAP, NOWHERE = "viridis", "#bbbbbb"
_LEVELS = 12
_MOST_COLUMNS = 4
# Inches, with its labels and its share of the colour bar.
_NARROWEST = 1.9
# Levels span at most this factor, so that the lowest levels remain distinguishable.
_RANGE = 1e3


class Panel(NamedTuple):
    """One landscape of a figure.

    Attributes:
      title: the setting, and the statistics if there are several.
      a, b: coordinates along the axes.
      loss: shape (len(b), len(a)); NaN if not computed yet.
      path: rows with ``path_step``, ``a``, ``b``; may be empty.
      shares: the share of a path's variance along each axis; NaN without a path.
    """

    title: str
    a: np.ndarray
    b: np.ndarray
    loss: np.ndarray
    path: pd.DataFrame
    shares: tuple[float, float]


def panels(table: pd.DataFrame) -> list[Panel]:
    """One panel for every setting, split and statistics, in order."""
    all_panels = []
    for _, rows in table.groupby(["setting", "split", "statistics"], sort=False):
        first = rows.iloc[0]
        words = [str(first["setting"])]
        if first["running"]:
            words.append(f"{first['statistics']} statistics")
        if table["split"].nunique() > 1:
            words.append(str(first["split"]))
        on_path = rows["path_step"].notna()
        grid = rows[~on_path].pivot(index="b", columns="a", values="loss")
        shares = (float(first.get(f"share_{x}", math.nan)) for x in "ab")
        all_panels.append(
            Panel(
                ", ".join(words),
                grid.columns.to_numpy(float),
                grid.index.to_numpy(float),
                grid.to_numpy(float),
                rows[on_path],
                (next(shares), next(shares)),
            )
        )
    return all_panels


def shape(count: int) -> tuple[int, int]:
    """(rows, columns) for ``count`` panels."""
    rows = math.ceil(count / columns_for(_MOST_COLUMNS, _NARROWEST))
    return rows, math.ceil(count / rows)


def levels(shown: list[Panel]) -> np.ndarray:
    """Contour levels with equal ratios, the same for all panels.

    They range from the lowest loss to the median of the panels' highest losses, so that
    one landscape with huge losses does not flatten the others.
    """
    finite = [p.loss[np.isfinite(p.loss) & (p.loss > 0)] for p in shown]
    finite = [values for values in finite if values.size]
    if not finite:
        return np.geomspace(0.1, 1.0, _LEVELS)
    tops = sorted(float(values.max()) for values in finite)
    top = tops[(len(tops) - 1) // 2]
    low = max(min(float(values.min()) for values in finite), top / _RANGE)
    return np.geomspace(low, max(top, 1.01 * low), _LEVELS)


def scale(of: np.ndarray) -> LogNorm:
    """The colours for `levels`."""
    return LogNorm(float(of[0]), float(of[-1]))


def set_ticks(bar: Colorbar, of: np.ndarray) -> None:
    """Labels a colour bar at `levels`."""
    bar.set_ticks(list(of), labels=[f"{x:.2g}" for x in of])
    bar.minorticks_off()


def loss_name(table: pd.DataFrame) -> str:
    """The label of the loss with its unit. A task without accuracy is a regression."""
    grid = table[table["path_step"].isna()]
    unit = "squared error" if grid["accuracy"].isna().all() else "nats"
    splits = " and ".join(dict.fromkeys(table["split"]))
    return f"{splits} loss ({unit})"


def caption(table: pd.DataFrame) -> str:
    """The caption: data, members, points, batches and directions."""
    # For a test set, the table has the requested number of images, not the actual one.
    first = "first" if set(table["split"]) == {"train"} else "up to the first"
    words = [
        f"{_all(table, 'dataset')}, {first} {_all(table, 'images')} images",
        f"one member each: seed {_all(table, 'seed')}, lr {_all(table, 'lr')}",
        f"step {_all(table, 'step')}",
    ]
    if "from_step" in table:
        words[-1] = f"step {_all(table, 'from_step')} to {_all(table, 'step')}"
    if table["path_step"].notna().any():
        words[-1] = f"path to {words[-1]}"
    if (table["running"] & (table["statistics"] == "batch")).any():
        words.append(f"batches of {_all(table, 'batch')}")
    if "direction_seed" in table:
        words.append(f"directions of seed {_all(table, 'direction_seed')}")
    return "; ".join(words)


def _all(table: pd.DataFrame, name: str) -> str:
    values = table[name].dropna().drop_duplicates()
    return ", ".join(
        number(float(x)) if isinstance(x, int | float | np.number) else str(x)
        for x in values
    )
