"""How loss and gradient vary along the gradient, with all norms in a panel.

This is shared by Figures 4, 10, 12 and 13 of Santurkar et al. 2018.
"""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from normlab.figures import reference
from normlab.figures.colours import looks
from normlab.figures.fitting import CHARACTERS, columns_for, text_scale
from normlab.figures.headings import caption
from normlab.figures.messages import listed
from normlab.figures.panels import dashed, grid, legend, say_beyond, shown
from normlab.figures.paper import current
from normlab.figures.scales import accuracy_axis, log_axis, usual, whole_steps
from normlab.figures.style import band, style
from normlab.figures.tables import (
    PAPER,
    RUN,
    left_out,
    middle,
    over_seeds,
    published,
    stack,
)

LABELS = {
    "batch_accuracy": "training accuracy\n(of the batch)",
    "batch_loss": "batch loss\n({unit})",
    "loss": "loss along\nthe gradient\n({unit})",
    "difference": "|g - g'|\nalong it\n({unit}/θ)",
    "beta": "effective\nsmoothness\n(lower: smoother)\n({unit}/θ²)",
}
# What a sentence calls the upper edge of a measure.
_NAMES = {"difference": "largest |g - g'|", "beta": "effective smoothness"}
# What is left of the first panel, in inches with letters of the usual size.
_LABELLED = 1.3
_ETAS = ("eta_from", "eta_to")
_LINEAR = ("batch_accuracy",)
_SINGLE = ("batch_accuracy", "batch_loss", "beta")  # measures without a range
_MOST_SETTINGS, _MOST_POINTS = 6, 4
_WIDTH, _WIDTH_ALONE, _HEIGHT = 2.6, 5.4, 1.8  # of a panel, in inches
_FILL = 0.22  # opacity of areas, which overlap
_MOST_FILLED = 3  # areas of more norms than this would hide each other
# An axis ends at most by this factor beyond this share of its values.
_USUAL, _FAR = 0.96, 10.0
_SLACK = 1.01  # the paper's longest step is 31.6 learning rates; its text says 30
_PAPERS_ETAS = {True: (0.01, 10**1.5), False: (0.5, 4.0)}


def edges(smoothness: pd.DataFrame, regression: bool) -> pd.DataFrame:
    """The range over trial steps, with the median of both edges over seeds.

    Only trial steps in the paper's range count: eta in [0.5, 4] learning rates for VGG
    and in [0.01, 31.6] for the linear network. If no step is in the range, all steps
    count. As in `loss_range`, a member has no range if one of its counted steps is NaN,
    because the remaining steps would give a range that is too narrow.

    Args:
      smoothness: the quantity ``effective_smoothness``, with ``setting`` and ``point``.

    Returns:
      One row per (measure, edge, setting, point, step). ``loss`` and ``difference``
      have the edges ``low`` and ``high``. ``beta``, the effective smoothness, is the
      maximum. ``eta_from`` and ``eta_to`` are the shortest and longest counted steps.
    """
    low, high = _PAPERS_ETAS[regression]
    inside = smoothness["eta"].between(low / _SLACK, high * _SLACK)
    trial_steps = smoothness[inside] if inside.any() else smoothness
    groups = trial_steps.groupby(["setting", "point", "member", "step"], sort=False)
    tables = []
    for measure in ("loss", "difference", "beta"):
        values = groups.agg(
            low=(measure, "min"),
            high=(measure, "max"),
            numbers=(measure, "count"),
            trial_steps=(measure, "size"),
        ).reset_index()
        values = values[values["numbers"] == values["trial_steps"]]
        for edge in ("low", "high") if measure != "beta" else ("high",):
            table = over_seeds(values, ["setting", "point", "step"], edge)
            tables.append(table.assign(measure=measure, edge=edge))
    longest, shortest = trial_steps["eta"].max(), trial_steps["eta"].min()
    return stack(tables).assign(eta_from=shortest, eta_to=longest)


def beside(frame: pd.DataFrame, figures: Mapping[str, str]) -> pd.DataFrame:
    """The published bands as rows like those of `edges`.

    Args:
      frame: the table of a run.
      figures: measure -> the number of the figure in the paper.
    """
    tables = []
    for measure, figure in figures.items():
        paper = reference.beside(frame, figure)
        is_line = bool((paper["low"] == paper["high"]).all())
        for edge in ("high",) if is_line else ("low", "high"):
            table = published(paper, edge)
            tables.append(table.assign(measure=measure, edge=edge))
    return stack(tables)


@style()
def draw(table: pd.DataFrame, measures: Sequence[str]) -> Figure:
    """One row of panels per measure and one column per point, with all norms in each.

    A coloured area is the range over trial steps, between the medians over seeds of its
    two edges; of many norms, only the edges are drawn. The intervals of these medians
    are in the table.
    """
    all_settings, all_points = (
        list(dict.fromkeys(table[name])) for name in ("setting", "point")
    )
    settings = shown(table, "setting", _MOST_SETTINGS)
    points = shown(table, "point", columns_for(_MOST_POINTS))
    figure, axes = grid(
        len(measures),
        len(points),
        width=_WIDTH if len(points) > 1 else _WIDTH_ALONE,
        height=_HEIGHT,
        sharex=True,
        sharey="row",
    )
    styles = looks(all_settings)
    fill = len(settings) <= _MOST_FILLED
    for ax_row, measure in zip(axes, measures, strict=True):
        rows = table[(table["measure"] == measure) & table["point"].isin(points)]
        rows = rows[rows["setting"].isin(settings)]
        for ax, point in zip(ax_row, points, strict=True):
            for setting in settings:
                mine = (rows["point"] == point) & (rows["setting"] == setting)
                _draw(ax, rows[mine], styles[setting], setting, fill)
        if measure in _LINEAR:
            accuracy_axis(ax_row[0])
        else:
            # The other axes of the row share its scale.
            log_axis([ax_row[0]], _to_show(rows))
            for ax, point in zip(ax_row, points, strict=True):
                say_beyond(ax, rows[rows["point"] == point])
        ax_row[0].set_ylabel(LABELS[measure].format(unit=table["loss_unit"].iloc[0]))
    for ax, point in zip(axes[0], points, strict=True):
        ax.set_title(point)
    for ax in axes[-1]:
        ax.set_xlabel("step")
        whole_steps(ax)
    notes = [left_out(settings, all_settings, "norms")]
    notes.append(left_out(points, all_points, "points"))
    note = "; ".join(filter(None, notes))
    point = _point(table, points)
    for ax, measure in zip(axes[1:, 0], measures[1:], strict=True):
        _head(figure, ax, _row_says(table, measure, point))
    caption(figure, table, _of_trial_steps(table), note, _says(table, point))
    legend(figure)
    return figure


def _point(table: pd.DataFrame, points: Sequence[str]) -> str:
    """The column of which the sentences are: the first with published curves, if any.

    Otherwise it is the middle one.
    """
    published_at = table.loc[table["source"] == PAPER, "point"]
    has_paper = [point for point in points if point in set(published_at)]
    return has_paper[0] if has_paper else middle(points)


def _ours(table: pd.DataFrame, measure: str, point: str) -> pd.DataFrame:
    """Of the run: a row for each setting and step, a column for each edge."""
    rows = table[(table["point"] == point) & (table["source"] == RUN)]
    rows = rows[rows["measure"] == measure]
    return rows.pivot_table(index=["setting", "step"], columns="edge", values="median")


def _by_setting(table: pd.DataFrame, values: pd.Series) -> dict[str, float]:
    """The median over steps, for each setting of the run."""
    medians = values.groupby("setting").median()
    order = dict.fromkeys(table.loc[table["source"] == RUN, "setting"])
    return {name: float(medians.get(name, np.nan)) for name in order}


def _row_says(table: pd.DataFrame, measure: str, point: str) -> str:
    """The medians over steps of a row of panels, in one column of them."""
    ends = _ours(table, measure, point)
    if measure not in _NAMES or "high" not in ends:
        return ""
    where = f" ({point})" if point and table["point"].nunique() > 1 else ""
    found = _by_setting(table, ends["high"])
    return listed(f"Median {_NAMES[measure]}{where}", found)


def _head(figure: Figure, ax: Axes, text: str) -> None:
    """Writes a sentence above a row, which may be wider than its first panel."""
    if not text or not current().title:
        return
    width = figure.get_size_inches()[0] / text_scale() - _LABELLED
    lines = textwrap.wrap(text, max(1, int(CHARACTERS * width)))
    ax.set_title("\n".join(" " for _ in lines), loc="left")  # makes room
    where = {"transform": ax.transAxes, "fontsize": "medium"}
    written = ax.text(0, 1.02, "\n".join(lines), **where)
    written.set_in_layout(False)


def _says(table: pd.DataFrame, point: str) -> str:
    """How far the loss varies along the gradient, in one column."""
    ends = _ours(table, "loss", point)
    if not {"low", "high"} <= set(ends):
        return ""
    found = _by_setting(table, ends["high"] - ends["low"])
    rows = table[(table["point"] == point) & (table["source"] == RUN)]
    unit = str(rows["loss_unit"].iloc[0]) if len(rows) else ""
    # `normlab.Log` may know neither the unit nor the learning rate.
    known = ", ".join(filter(None, (unit if unit != "loss" else "", point)))
    where = f" ({known})" if known else ""
    return listed(f"Range of the loss along the gradient{where}", found)


def _to_show(rows: pd.DataFrame) -> np.ndarray:
    """The values that a logarithmic axis has to show: not the rare spikes."""
    ours = rows[rows["source"] == RUN]
    ends = ours.loc[ours["measure"].isin(_SINGLE), ["low", "high"]]
    theirs = rows.loc[rows["source"] != RUN, "median"]
    every = [np.ravel(values) for values in (ours["median"], ends, theirs)]
    kept = np.concatenate([usual(values, _USUAL) for values in every])
    if not len(kept):
        return kept
    values = np.concatenate(every)
    values = values[np.isfinite(values) & (values > 0)]
    return values.clip(kept.min() / _FAR, kept.max() * _FAR)


def _of_trial_steps(table: pd.DataFrame) -> str:
    """Explains the coloured areas; "" if no trial step was finite."""
    if not set(_ETAS) <= set(table):
        return ""
    low, high = (table[end].dropna().iloc[0] for end in _ETAS)
    steps = f"trial steps of {low:.3g} to {high:.3g} learning rates"
    return f"pairs of lines: the range over {steps}"


def _draw(ax: Axes, rows: pd.DataFrame, look: dict, label: str, fill: bool) -> None:
    ours, paper = (rows[rows["source"] == kind] for kind in (RUN, PAPER))
    low, high = _pair(ours)
    unmarked: dict[str, Any] = {**look, "marker": ""}
    thin: dict[str, Any] = {**unmarked, "linewidth": 1.0}
    if len(low):
        ends = low["median"].to_numpy(), high["median"].to_numpy()
        color = look["color"]
        if fill:
            ax.fill_between(low["step"], *ends, color=color, alpha=_FILL, linewidth=0)
        for edge, name in zip(ends, (label, "_edge"), strict=True):
            ax.plot(low["step"], edge, label=name, **thin)
    elif len(ours):
        band(ax, ours["step"], ours, look=unmarked, label=label)
    for edge in ("low", "high"):
        line = paper[paper["edge"] == edge]
        dashed(ax, line["step"], line["median"], look["color"])


def _pair(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The lower and the upper edge, at the steps that have both."""
    low, high = (rows[rows["edge"] == edge] for edge in ("low", "high"))
    steps = np.intersect1d(low["step"], high["step"])
    return low[low["step"].isin(steps)], high[high["step"].isin(steps)]
