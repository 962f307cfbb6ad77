"""How loss and gradient vary along the gradient, with one column of panels per norm.

This is shared by Figures 4, 10, 12 and 13 of Santurkar et al. 2018.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from normlab.figures import reference
from normlab.figures.colours import looks
from normlab.figures.fitting import columns_for
from normlab.figures.panels import caption, grid, legend, log_axis, shown
from normlab.figures.style import band, style
from normlab.figures.tables import PAPER, RUN, left_out, over_seeds, published, stack

LABELS = {
    "batch_accuracy": "training accuracy\n(of the batch)",
    "batch_loss": "batch loss\n({unit})",
    "loss": "loss along\nthe gradient\n({unit})",
    "difference": "|g - g'|\nalong it\n({unit}/θ)",
    "beta": "effective\nsmoothness\n({unit}/θ²)",
}
_ETAS = ("eta_from", "eta_to")
_LINEAR = ("batch_accuracy",)
_MOST_SETTINGS, _MOST_ROWS = 6, 9
_SLACK = 1.01  # the paper's longest step is 31.6 learning rates; its text says 30
_PAPERS_ETAS = {True: (0.01, 10**1.5), False: (0.5, 4.0)}
# Published edges overlap bands of every colour, so they need a distinct colour.
_PAPER_LOOK = {"color": "#7A0177", "linewidth": 0.7}
_SHADES = {"inner": 0.45, "outer": 0.15}


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
    """One column per setting. Each point has a row of panels for every measure."""
    all_settings = list(dict.fromkeys(table["setting"]))
    all_points = list(dict.fromkeys(table["point"]))
    settings = shown(table, "setting", columns_for(_MOST_SETTINGS))
    points = shown(table, "point", _MOST_ROWS // len(measures))
    figure, axes = grid(
        len(points) * len(measures),
        len(settings),
        height=1.5,
        sharex=True,
        sharey="row",
    )
    styles = looks(all_settings)
    blocks = axes.reshape(len(points), len(measures), len(settings))
    for block, point in zip(blocks, points, strict=True):
        for ax_row, measure in zip(block, measures, strict=True):
            block_rows = table[
                (table["point"] == point) & (table["measure"] == measure)
            ]
            for ax, setting in zip(ax_row, settings, strict=True):
                _panel(
                    ax, block_rows[block_rows["setting"] == setting], styles[setting]
                )
            if measure not in _LINEAR:
                # The other axes of the row share its scale.
                log_axis([ax_row[0]], block_rows[["median", "low", "high"]])
            label = LABELS[measure].format(unit=table["unit"].iloc[0])
            ax_row[0].set_ylabel(label)
        for ax, setting in zip(block[0], settings, strict=True):
            name = setting if len(points) == 1 else f"{setting}\n{point}"
            ax.set_title(name)
    for ax in axes[-1]:
        ax.set_xlabel("step")
    notes = [points[0]] if len(all_points) == 1 else []
    notes.append(left_out(settings, all_settings, "norms"))
    notes.append(left_out(points, all_points, "points"))
    caption(figure, table, _of_trial_steps(table), "; ".join(filter(None, notes)))
    legend(figure)
    return figure


def _of_trial_steps(table: pd.DataFrame) -> str:
    """Explains the dark bands; "" if no trial step was finite."""
    if not set(_ETAS) <= set(table):
        return ""
    low, high = (table[end].dropna().iloc[0] for end in _ETAS)
    return f"dark: the range over trial steps of {low:.3g} to {high:.3g} learning rates"


def _panel(ax: Axes, rows: pd.DataFrame, look: dict) -> None:
    ours, paper = (rows[rows["source"] == kind] for kind in (RUN, PAPER))
    low, high = _pair(ours)
    if len(low):
        for part, shade in _SHADES.items():
            ends = ("median", "median") if part == "inner" else ("low", "high")
            ax.fill_between(
                low["step"],
                low[ends[0]],
                high[ends[1]],
                color=look["color"],
                alpha=shade,
                linewidth=0,
            )
    else:
        band(ax, ours["step"], ours, look=look | {"marker": ""}, label="_line")
    for edge in ("low", "high"):
        line = paper[paper["edge"] == edge]
        if len(line):
            ax.plot(line["step"], line["median"], label=PAPER, **_PAPER_LOOK)


def _pair(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The lower and the upper edge, at the steps that have both."""
    low, high = (rows[rows["edge"] == edge] for edge in ("low", "high"))
    steps = np.intersect1d(low["step"], high["step"])
    return low[low["step"].isin(steps)], high[high["step"].isin(steps)]
