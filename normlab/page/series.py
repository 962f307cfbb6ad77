"""The curves of every member, reduced so that they fit into the page.

The page computes medians over the seeds that the reader selects, so it needs the curves
of single members.
"""

import base64
import json
import zlib
from typing import Any

import numpy as np
import pandas as pd

from normlab.figures.colours import looks
from normlab.figures.tables import binned, few, is_regression, with_names
from normlab.statistics.finals import (
    dynamic_columns,
    final_rows,
    main_metric,
    static_columns,
    trained_on,
    worst_if_lost,
)
from normlab.statistics.intervals import number

# The statistic that reduces steps to bins. Other metrics are shown at evaluations.
_BINNED = {"batch_loss": "mean", "gradient_norm": "median"}
_EVALUATED = ("train_loss", "test_loss", "train_accuracy", "test_accuracy")
_NAMES = {
    "batch_loss": "batch loss",
    "train_loss": "training loss",
    "test_loss": "test loss",
    "train_accuracy": "training accuracy",
    "test_accuracy": "test accuracy",
    "gradient_norm": "l2 norm of the gradient",
}
# Maximum points per curve, and per metric in total. They keep the page of many
# runs below two megabytes, which load quickly.
_POINTS, _ALL_POINTS, _LEAST_POINTS = 80, 15_000, 20


def curves(frame: pd.DataFrame) -> dict[str, Any] | None:
    """The data for the page's script, or None if there are no curves.

    Returns:
      A JSON value with:

      * ``metrics``: each with ``id``, ``name`` and ``loss`` (whether its axis may be
        logarithmic); ``main``: the id of the run's main metric.
      * ``axes``: each with ``id``, ``name``, ``values`` and ``first`` (the values that
        are selected initially). The last axis is the seed.
      * ``colours``: of the first axis' values, as in the figures.
      * ``grids``: lists of epochs.
      * ``members``: each with its position ``at`` on every axis and its ``data``:
        metric -> [index of a grid, values]. A value that is not finite is null.
    """
    frame = with_names(frame)
    axes = _axes(frame)
    members = len(frame.drop_duplicates(["cell", "member"]))
    bins = int(np.clip(_ALL_POINTS // members, _LEAST_POINTS, _POINTS))
    grids: dict[tuple[float, ...], int] = {}
    lines, metrics = [], {}
    for _, cell in frame.groupby("cell", sort=False):
        values = {name: _values(cell, name, bins) for name in _NAMES}
        for member, rows in cell.groupby("member", sort=False):
            data = {}
            for name, table in values.items():
                if table is None or member not in table.index:
                    continue
                mine = table.loc[[member]]
                if mine["value"].notna().any():
                    grid = tuple(mine["epoch"].round(5))
                    place = grids.setdefault(grid, len(grids))
                    data[name] = [place, [_short(x) for x in mine["value"]]]
                    metrics[name] = None
            first = rows.iloc[0]
            at = [axis["values"].index(_word(first[axis["id"]])) for axis in axes]
            lines.append({"at": at, "data": data})
    if not metrics:
        return None
    unit = "squared error" if is_regression(frame).all() else "nats"
    return {
        "metrics": [_metric(name, unit) for name in _NAMES if name in metrics],
        "main": main_metric(frame),
        "axes": axes,
        "colours": [look["color"] for look in looks(axes[0]["values"]).values()],
        "grids": [list(grid) for grid in grids],
        "members": lines,
    }


def _metric(name: str, unit: str) -> dict[str, Any]:
    loss = "accuracy" not in name
    words = _NAMES[name] + (f" ({unit})" if name.endswith("loss") else "")
    return {"id": name, "name": words, "loss": loss}


def _axes(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The axes: the norm, all other settings that vary, and the seed."""
    names = {"label": "norm", "lr": "learning rate"}
    others = [*static_columns(frame), *dynamic_columns(frame)]
    names |= {name: name.replace("_", " ") for name in others if name not in names}
    first = _first(frame, [name for name in names if name != "label"])
    axes = []
    for name in [*names, "seed"]:
        values = list(dict.fromkeys(map(_word, _ordered(frame[name]))))
        chosen = [values.index(first[name])] if name in first else range(len(values))
        axes.append(
            {
                "id": name,
                "name": names.get(name, "seed"),
                "values": values,
                "first": list(chosen),
            }
        )
    return axes


def _ordered(column: pd.Series) -> list:
    """The distinct values: numbers sorted, others in order of appearance."""
    values = list(column.unique())
    is_number = pd.api.types.is_numeric_dtype(column)
    return sorted(values) if is_number and column.notna().all() else values


def _first(frame: pd.DataFrame, names: list[str]) -> dict[str, str]:
    """The point on the axes ``names`` at which the norms differ most.

    Where there are no two norms, it is the best point.
    """
    metric = main_metric(frame)
    ended = worst_if_lost(final_rows(frame), metric)
    by_norm = ended.groupby([*names, "label"], sort=False)[metric].median()
    # A network that diverged is as bad as one that does not learn.
    finite = by_norm[np.isfinite(by_norm)]
    low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 0.0)
    points = by_norm.clip(low, high).groupby(names, sort=False)
    everywhere = frame.groupby(names, sort=False)["label"].nunique()
    table = pd.DataFrame({"norms": everywhere})
    table["apart"] = points.max() - points.min()
    table["value"] = -points.min() if "loss" in metric else points.max()
    table["several"] = table["norms"] > 1
    order = table.sort_values(["several", "apart", "value"], ascending=False)
    place = order.index[0]
    values = place if isinstance(place, tuple) else (place,)
    return dict(zip(names, map(_word, values), strict=True))


def packed(data: dict[str, Any]) -> str:
    """The data as deflated JSON in base64, a third of its size; it has no letter <.

    The page's script unpacks it. JSON has no NaN, so there must be none.
    """
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def _values(cell: pd.DataFrame, name: str, bins: int) -> pd.DataFrame | None:
    """A metric's ``epoch`` and ``value``, indexed by member."""
    if name not in cell:
        return None
    if name in _BINNED:
        table = binned(cell, name, statistic=_BINNED[name], bins=bins)
    else:
        table = cell[cell[name].notna() | (cell["step"] % _every(cell) == 0)]
        steps = set(few(np.unique(table["step"]), bins))
        table = table[table["step"].isin(steps)]
    first = cell.iloc[:1]
    per_step = float(first["batch_size"].iloc[0] / trained_on(first).iloc[0])
    epoch = table["step"] * per_step
    value = table[name].where(np.isfinite(table[name]))
    return pd.DataFrame({"epoch": epoch, "value": value}).set_index(
        pd.Index(table["member"])
    )


def _every(cell: pd.DataFrame) -> int:
    return int(cell["eval_every"].iloc[0])


def _short(value: float) -> float | None:
    """Rounds to four digits, more than a screen can show."""
    return float(f"{value:.4g}") if np.isfinite(value) else None


def _word(value: Any) -> str:
    return number(float(value)) if isinstance(value, float) else str(value)
