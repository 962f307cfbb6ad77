"""Final values against a static setting, with a panel each for training and test."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from normlab.figures.colours import looks
from normlab.figures.fitting import columns_for
from normlab.figures.headings import title
from normlab.figures.messages import highest
from normlab.figures.panels import grid, legend
from normlab.figures.scales import accuracy_axis
from normlab.figures.tables import RUN, stack
from normlab.statistics.finals import (
    best,
    final_rows,
    finals,
    main_metric,
    ranking_metric,
)
from normlab.statistics.intervals import seeds_words

_ASIDE, _ASIDE_IN_ALL = 4.0, 24.0  # points on paper
_TICK = 0.2  # inches of a panel for each value of the horizontal axis, at least
_ALONE = {"linestyle": "none", "label": "_alone"}


def by_point(frame: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """The final values over seeds, for every combination of ``keys``.

    Args:
      frame: the table of a run, with the columns ``keys`` and ``point``.
      keys: the columns to group by.

    Returns:
      One row per (``metric``, ``keys``, ``point``). The metrics are training and test
      accuracy, or the losses for regression. ``diverged`` is the number of diverged
      seeds, which the median counts as worst.
    """
    last = final_rows(frame)
    score = main_metric(frame).removeprefix("test_")
    return stack(
        [
            finals(last, [*keys, "point"], name).assign(metric=name, source=RUN)
            for name in (f"train_{score}", f"test_{score}")
        ]
    )


def at_best(frame: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """`by_point`, at the best point for each combination of ``keys``.

    It is the best on validation images, or on test images if there are no others.
    """
    metric = ranking_metric(frame)
    ranks = finals(final_rows(frame), [*keys, "point"], metric)
    chosen = best(ranks, "_accuracy" in metric, keys)[[*keys, "point"]]
    return by_point(frame, keys).merge(chosen, on=[*keys, "point"])


def bars(
    ax: Axes, place: int, count: int, x: pd.Series, rows: pd.DataFrame, **look: Any
) -> None:
    """Draws the medians of ``rows`` at ``x`` with intervals, shifted by `aside`."""
    ax.errorbar(
        x,
        rows["median"],
        yerr=[rows["median"] - rows["low"], rows["high"] - rows["median"]],
        capsize=2.5,
        markersize=4.5,
        transform=aside(ax, place, count),
        **look,
    )
    for end in ("low", "high"):  # shifted artists do not affect the limits
        ax.update_datalim(np.column_stack([x, rows[end]]).astype(float))


def aside(ax: Axes, place: int, count: int, base: Any = None) -> Any:
    """Shifts by a few points on paper, so that ``count`` bars do not hide each other.

    Args:
      base: the transform that is shifted, by default that of the data.

    Returns:
      The transform of the bars in ``place``.
    """
    step = min(_ASIDE, _ASIDE_IN_ALL / count)
    figure = ax.get_figure(root=True)
    assert figure is not None
    shift = step * (place - (count - 1) / 2) / 72
    return (base or ax.transData) + ScaledTranslation(shift, 0, figure.dpi_scale_trans)


def draw(
    table: pd.DataFrame,
    x: str,
    xlabel: str,
    *,
    note: str = "",
    joined: Callable[[Any], bool] = lambda value: True,
) -> Figure:
    """One panel per metric, and one line with error bars per ``setting``.

    Args:
      table: the table from `by_point`, with ``setting`` and ``where``.
      x: the column along the horizontal axis; its values are equally spaced.
      xlabel: the label of the horizontal axis.
      note: the last part of the caption.
      joined: value of ``x`` -> whether lines connect it to others.
    """
    metrics = list(dict.fromkeys(table["metric"]))
    places = {value: i for i, value in enumerate(dict.fromkeys(table[x]))}
    width = max(2.6, 0.42 * len(places) + 0.6)
    columns = columns_for(len(metrics), _TICK * len(places))
    rows = math.ceil(len(metrics) / columns)
    figure, axes = grid(rows, columns, width=width, height=2.6, sharex=True)
    styles = looks(table["setting"])
    for ax, metric in zip(axes.flat, metrics, strict=True):
        for i, (label, look) in enumerate(styles.items()):
            mine = table["metric"].eq(metric) & table["setting"].eq(label)
            rows = table[mine & np.isfinite(table["median"])]
            whole = rows[x].map(joined)
            for part, bar_look in (
                (rows[whole], {"label": label}),
                (rows[~whole], _ALONE),
            ):
                at = part[x].map(places)
                bars(ax, i, len(styles), at, part, **look | bar_look)
        ax.autoscale_view()
        if metric.endswith("accuracy"):
            accuracy_axis(ax)
        ax.set_xticks(range(len(places)), [str(value) for value in places])
        ax.set_xlim(-0.5, len(places) - 0.5)
        ax.set_xlabel(xlabel if ax in axes[-1] else "")
        split, _, kind = metric.partition("_")
        unit = " (squared error)" if kind == "loss" else ""
        word = {"train": "training", "test": "test"}[split]
        ax.set_ylabel(f"final {word} {kind}{unit}")
    seeds = seeds_words(table["n"], "bars")
    tests = table[table["metric"].str.startswith("test_")]
    metric = str(tests["metric"].iloc[0]).replace("_", " ")
    values = tests[x].astype(str)
    numbers = f"{x.replace('_', ' ')} " + values
    named = tests.assign(point=values.where(~values.map(str.isdigit), numbers))
    says = highest(named, f"final {metric}", lower="loss" in metric)
    title(figure, [table["where"].iloc[0], seeds, note], says)
    legend(figure)
    return figure
