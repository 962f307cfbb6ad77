"""Grids of panels with a line and band per setting, and dashed published curves."""

import itertools
import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from normlab.figures.colours import looks, two_parts
from normlab.figures.fitting import (
    CHARACTERS,
    columns_for,
    panel_size,
    size_for,
    text_scale,
)
from normlab.figures.headings import caption
from normlab.figures.messages import short
from normlab.figures.paper import current
from normlab.figures.scales import accuracy_axis, whole_steps
from normlab.figures.style import band
from normlab.figures.tables import PAPER, PUBLISHED, RUN, few, left_out

GREY = "#666666"
_MOST_COLUMNS = 6
_MOST_SETTINGS = 6  # in a panel, if they can be drawn apart
# The size of a panel in inches, the height of a single row, and the widths of few
# columns by their number.
_HEIGHT, _HEIGHT_ALONE, _WIDTH, _WIDTHS = 1.7, 2.6, 2.2, {1: 4.6, 2: 3.0}
_PART = 0.8  # of the height of a panel, for its label
# Opacity of bands; of many, they would hide each other.
_BAND, _BAND_OF_MANY, _MANY = 0.18, 0.09, 4
_LINE, _WIDER = 1.2, 0.35  # the last line's width, and how much wider each before is
_MOST_MARKERS = 25  # per line; more markers hide other curves
_BARE = ("", "None")
# Widths in a legend, in inches: minimum of an entry, line sample with gaps, one letter.
_LEGEND_WIDTH, _HANDLE, _LETTER = 1.4, 0.65, 0.065
# The height of a legend's row in inches, and the number of rows that fit into `grid`.
_LEGEND_ROW, _ROOM = 0.19, 2


def grid(
    rows: int,
    columns: int,
    *,
    width: float = _WIDTH,
    height: float = _HEIGHT,
    **share: Any,
) -> tuple[Figure, np.ndarray]:
    """A figure and its axes [rows, columns]. Sizes are per panel, in inches."""
    size = size_for(rows, columns, width, height)
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **share)


def lines(
    table: pd.DataFrame,
    *,
    row: str,
    ylabels: Mapping[str, str],
    column: str = "point",
    x: str = "step",
    xlabel: str = "step",
    marked: Sequence[str] = (),
    what: str = "",
    sharey: Any = "row",
    says: str = "",
) -> tuple[Figure, dict[tuple[str, str], Axes]]:
    """Draws ``table`` with a row of panels for each of ``ylabels``.

    Args:
      table: a table with the columns of `normlab.figures.tables`.
      row: the column of the table that determines the row of panels.
      ylabels: values of ``row``, from top to bottom -> labels of their axes.
      column: the column that determines the column of panels; at most six are shown.
      x: the column along the horizontal axis.
      xlabel: the label of the horizontal axis.
      marked: values of ``row`` whose points have markers if there are few.
      what: the first part of the caption.
      says: the headline.

    Returns:
      The figure, and its axes by (row, column).
    """
    columns = shown(table, column, columns_for(_MOST_COLUMNS))
    height = _HEIGHT if len(ylabels) > 1 else _HEIGHT_ALONE
    figure, axes = grid(
        len(ylabels),
        len(columns),
        width=_WIDTHS.get(len(columns), _WIDTH),
        height=height,
        sharex=True,
        sharey=sharey,
    )
    axes_of: dict[tuple[str, str], Axes] = {}
    styles = looks(table["setting"])
    alpha = _BAND if len(styles) <= _MANY else _BAND_OF_MANY
    places = itertools.product(ylabels, columns)
    # A line below another shows at its sides, unless a style asks for a width.
    widened = len(styles) <= _MANY and "lines.linewidth" not in current().matplotlib
    for ax, (name, place) in zip(axes.flat, places, strict=True):
        axes_of[name, place] = ax
        rows = table[(table[row] == name) & (table[column] == place)]
        for i, (label, look) in enumerate(styles.items()):
            mine = rows[rows["setting"] == label]
            ours = mine[mine["source"] == RUN]
            alone = len(ours) == 1  # a line of one point is invisible without a marker
            few = name in marked and len(ours) <= _MOST_MARKERS
            marker = look["marker"] if alone or few else ""
            if alone:
                ax.vlines(
                    ours[x], ours["low"], ours["high"], color=look["color"], alpha=0.4
                )
            marked_look = look | {"marker": marker}
            if widened:
                marked_look["linewidth"] = _LINE + _WIDER * (len(styles) - 1 - i)
            band(ax, ours[x], ours, look=marked_look, label=label, alpha=alpha)
            for source in PUBLISHED:
                other = mine[mine["source"] == source]
                dashed(ax, other[x], other["median"], look["color"], source)
        if "diverged" in rows:
            lost = rows[rows["diverged"] > 0]
            for whole, some in lost.groupby(lost["diverged"] == lost["n"]):
                crosses(ax, some[x], some["median"], bool(whole))
    for ax, (name, place) in zip(axes.flat, axes_of, strict=True):
        _describe(ax, place, ylabels[name], xlabel)
        if x == "step":
            whole_steps(ax)
        if name.endswith("accuracy"):
            accuracy_axis(ax)
    caption(figure, table, what, left_out(columns, table[column]), says)
    return figure, axes_of


def apart(table: pd.DataFrame) -> pd.DataFrame:
    """The table to draw, with fewer settings in a panel if there are many.

    If norms and other settings both vary, and a panel would have more than six lines,
    each of the other settings has its own column of panels. A setting without others,
    such as no norm beside groupings of channels, is in all of them.
    """
    settings = list(dict.fromkeys(table["setting"]))
    parts = two_parts(settings)
    if not parts or len(settings) <= _MOST_SETTINGS:
        return table
    norms = table["setting"].map({name: norm for name, (norm, _) in parts.items()})
    rests = table["setting"].map({name: rest for name, (_, rest) in parts.items()})
    table = table.assign(setting=norms)
    columns = []
    for point in dict.fromkeys(table["point"]):
        for rest in filter(None, dict.fromkeys(rests)):
            rows = table[rests.isin(["", rest]) & (table["point"] == point)]
            columns.append(rows.assign(point=f"{rest}\n{point}".strip()))
    return pd.concat(columns, ignore_index=True)


def _describe(ax: Axes, title: str, ylabel: str, xlabel: str) -> None:
    """Labels only the outer panels."""
    place: Any = ax.get_subplotspec()
    if place.is_first_row():
        ax.set_title(title)
    if place.is_first_col():
        most = int(_PART * CHARACTERS * panel_size(ax)[1] / text_scale())
        ax.set_ylabel(ylabel if len(ylabel) <= most else ylabel.replace(" (", "\n("))
    if place.is_last_row():
        ax.set_xlabel(xlabel)


def shown(table: pd.DataFrame, column: str, most: int) -> list:
    """At most ``most`` values of a column, preferably those with published curves."""
    values = list(dict.fromkeys(table[column]))
    paper = set(table.loc[table["source"] != RUN, column])
    chosen = few([x for x in values if x in paper], most)
    room = most - len(chosen)
    chosen += few([x for x in values if x not in paper], room) if room else []
    return [x for x in values if x in chosen]


def dashed(ax: Axes, x: Any, y: Any, color: str, label: str = PAPER) -> None:
    """Draws a published curve."""
    if len(x):
        # On top of the run's curve, which it may overlap.
        ax.plot(x, y, "--", color=color, linewidth=0.9, label=label, zorder=3)


def crosses(ax: Axes, x: Any, y: Any, whole: bool, **look: Any) -> None:
    """Marks points of a line at or after which seeds diverged.

    Args:
      ax: the panel.
      x, y: the points.
      whole: whether all seeds diverged.
      look: the style of the line.
    """
    marker, seeds = ("X", "all") if whole else ("x", "some")
    look |= {"color": "red", "markersize": 8, "zorder": 5}
    ax.plot(x, y, marker, label=f"{seeds} seeds diverged", **look)


def legend(figure: Figure) -> None:
    """Draws one legend below all panels, with a single entry per published source.

    A setting that has markers in some panels also has them in the legend.
    """
    handles: dict[str, Any] = {}
    for ax in figure.axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            marked = isinstance(handle, Line2D) and handle.get_marker() not in _BARE
            if marked or label not in handles:
                handles[label] = handle
    for source in PUBLISHED:
        if source in handles:
            drawn = handles.pop(source)
            if drawn.get_linestyle() == "--":  # published curves, in any colour
                drawn = Line2D([], [], color=GREY, linestyle="--", linewidth=0.9)
            handles[source] = drawn  # last
    if handles:
        letters = (figure.get_figwidth() / text_scale() - _HANDLE) / _LETTER
        labels = [textwrap.fill(label, max(10, int(letters))) for label in handles]
        lines = max(label.count("\n") + 1 for label in labels)
        longest = max(len(line) for label in labels for line in label.split("\n"))
        entry = max(_LEGEND_WIDTH, _HANDLE + _LETTER * longest) * text_scale()
        room = max(1, int(figure.get_size_inches()[0] / entry))
        rows = math.ceil(len(handles) / room)
        # More rows would shrink the panels.
        more = _LEGEND_ROW * text_scale() * max(0, rows * lines - _ROOM)
        figure.set_figheight(figure.get_figheight() + more)
        figure.legend(
            handles.values(),
            labels,
            loc="outside lower center",
            ncols=math.ceil(len(handles) / rows),
        )


def say_beyond(ax: Axes, rows: pd.DataFrame) -> None:
    """Says how high the curves of a panel go, if they leave it.

    Args:
      rows: the rows of a table that the panel shows.
    """
    highest = rows["median"][np.isfinite(rows["median"])].max()
    if highest > ax.get_ylim()[1]:
        place: Any = {"transform": ax.transAxes, "ha": "right", "va": "top"}
        place |= {"bbox": {"facecolor": "white", "edgecolor": "none", "pad": 1}}
        text = f"up to {short(highest)}"
        ax.text(0.99, 0.97, text, fontsize="small", color=GREY, **place)
