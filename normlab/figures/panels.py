"""Grids of panels with a line and band per setting, and dashed published curves."""

import itertools
import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from normlab.figures.colours import looks
from normlab.figures.fitting import CHARACTERS, columns_for, panel_size, size_for
from normlab.figures.paper import current
from normlab.figures.style import band
from normlab.figures.tables import PAPER, PUBLISHED, RUN, few, left_out
from normlab.statistics.intervals import interval_name

GREY = "#666666"
_MOST_COLUMNS = 6
_SIZE = 9.0  # of text in the usual style, in points
_MOST_MARKERS = 25  # per line; more markers hide other curves
_BARE = ("", "None")
# Widths in a legend, in inches: minimum of an entry, line sample with gaps, one letter.
_LEGEND_WIDTH, _HANDLE, _LETTER = 1.4, 0.65, 0.065
# The height of a legend's row in inches, and the number of rows that fit into `grid`.
_LEGEND_ROW, _ROOM = 0.19, 2
# A logarithmic axis ends at most by this factor beyond this quantile of the values.
_RARE, _FAR = 0.002, 10.0
_MARGIN = 1.3
# Axes that span less than this have several ticks per decade.
_NARROW = 8.0
# Their ticks in a decade, from many to few, and the inches that a number takes along a
# horizontal and a vertical axis.
_SUBS = ((1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,))
_TICK, _MOST_DECADES = (0.42, 0.15), 10


def grid(
    rows: int, columns: int, *, width: float = 2.2, height: float = 1.7, **share: Any
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

    Returns:
      The figure, and its axes by (row, column).
    """
    columns = shown(table, column, columns_for(_MOST_COLUMNS))
    figure, axes = grid(len(ylabels), len(columns), sharex=True, sharey=sharey)
    axes_of: dict[tuple[str, str], Axes] = {}
    styles = looks(table["setting"])
    places = itertools.product(ylabels, columns)
    for ax, (name, place) in zip(axes.flat, places, strict=True):
        axes_of[name, place] = ax
        rows = table[(table[row] == name) & (table[column] == place)]
        for label, look in styles.items():
            mine = rows[rows["setting"] == label]
            ours = mine[mine["source"] == RUN]
            alone = len(ours) == 1  # a line of one point is invisible without a marker
            few = name in marked and len(ours) <= _MOST_MARKERS
            marker = look["marker"] if alone or few else ""
            if alone:
                ax.vlines(
                    ours[x], ours["low"], ours["high"], color=look["color"], alpha=0.4
                )
            band(ax, ours[x], ours, look=look | {"marker": marker}, label=label)
            for source in PUBLISHED:
                other = mine[mine["source"] == source]
                dashed(ax, other[x], other["median"], look["color"], source)
        if "diverged" in rows:
            lost = rows[rows["diverged"] > 0]
            for whole, some in lost.groupby(lost["diverged"] == lost["n"]):
                crosses(ax, some[x], some["median"], bool(whole))
    for ax, (name, place) in zip(axes.flat, axes_of, strict=True):
        _describe(ax, place, ylabels[name], xlabel)
    caption(figure, table, what, left_out(columns, table[column]))
    return figure, axes_of


def _describe(ax: Axes, title: str, ylabel: str, xlabel: str) -> None:
    """Labels only the outer panels."""
    place: Any = ax.get_subplotspec()
    if place.is_first_row():
        ax.set_title(title)
    if place.is_first_col():
        ax.set_ylabel(ylabel)
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


def caption(
    figure: Figure, table: pd.DataFrame, what: str = "", note: str = ""
) -> None:
    """Writes the caption above all panels: the data, its meaning, and the seeds."""
    ours = table[table["source"] == RUN]
    n = int(ours["n"].max()) if len(ours) else 0
    seeds = f"median over seeds, band: {interval_name(n)}"
    title(figure, [table["where"].iloc[0], what, seeds, note])


def title(figure: Figure, parts: Sequence[str]) -> None:
    """Writes ``parts`` above all panels, wrapped to the width of the figure.

    A style may ask for no title.
    """
    if not current().title:
        return
    most = int(CHARACTERS * figure.get_size_inches()[0] / _scale())
    text = [""]
    for part in itertools.chain(*(textwrap.wrap(part, most) for part in parts)):
        longer = f"{text[-1]}; {part}" if text[-1] else part
        if len(longer) <= most or not text[-1]:
            text[-1] = longer
        else:
            text.append(part)
    figure.suptitle("\n".join(text))


def _scale() -> float:
    """The size of text as a multiple of the usual one."""
    return matplotlib.rcParams["font.size"] / _SIZE


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
        letters = (figure.get_figwidth() / _scale() - _HANDLE) / _LETTER
        labels = [textwrap.fill(label, max(10, int(letters))) for label in handles]
        lines = max(label.count("\n") + 1 for label in labels)
        longest = max(len(line) for label in labels for line in label.split("\n"))
        entry = max(_LEGEND_WIDTH, _HANDLE + _LETTER * longest) * _scale()
        room = max(1, int(figure.get_size_inches()[0] / entry))
        rows = math.ceil(len(handles) / room)
        # More rows would shrink the panels.
        more = _LEGEND_ROW * _scale() * max(0, rows * lines - _ROOM)
        figure.set_figheight(figure.get_figheight() + more)
        figure.legend(
            handles.values(),
            labels,
            loc="outside lower center",
            ncols=math.ceil(len(handles) / rows),
        )


def log_axis(axes: Sequence[Axes], values: Any) -> None:
    """Makes vertical axes logarithmic over ``values``, without rare extreme values.

    If no value is above 0, the axis stays linear.
    """
    values = np.asarray(values, float)
    values = values[np.isfinite(values) & (values > 0)]
    if not len(values):
        return
    low = np.quantile(values, _RARE, method="lower")
    high = np.quantile(values, 1 - _RARE, method="higher")
    low = max(low / _FAR, values.min()) / _MARGIN
    high = min(high * _FAR, values.max()) * _MARGIN
    for ax in axes:
        ax.set_yscale("log")
        ax.set_ylim(low, high)
        log_ticks(ax.yaxis, low, high)


def log_ticks(axis: Axis, low: float, high: float) -> None:
    """Sets ticks at whole decades, or at plain numbers if there are fewer than three.

    There are no minor ticks. Small panels have no space for them, and drawing them took
    half of the time for a page.
    """
    axis.set_minor_locator(NullLocator())
    decades = math.floor(math.log10(high)) - math.ceil(math.log10(low)) + 1
    if decades < 3:
        side = 0 if isinstance(axis, XAxis) else 1
        most = panel_size(axis.axes)[side] / (_TICK[side] * _scale())
        wide = int(high / low >= _NARROW)
        choices = [subs for subs in _SUBS[wide:] if _ticks(subs, low, high) <= most]
        subs = choices[0] if choices else _SUBS[-1]
        # Without `numticks`, matplotlib draws no ticks at all on a short axis.
        axis.set_major_locator(LogLocator(subs=subs, numticks=_MOST_DECADES))
        axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))


def _ticks(subs: Sequence[int], low: float, high: float) -> int:
    """How many of the numbers ``subs`` times a power of ten an axis has."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return sum(low <= sub * 10.0**power <= high for sub in subs for power in powers)
