"""Training with norms that use other moments, as in Santurkar et al. 2018, Figure 5.

(a) is the batch accuracy of a VGG, (b) the loss of a deep linear network.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from normlab.figures import reference
from normlab.figures.messages import highest, last_rows
from normlab.figures.panels import apart, legend, lines
from normlab.figures.scales import accuracy_axis, log_axis
from normlab.figures.style import style
from normlab.figures.tables import (
    NotDrawn,
    binned,
    is_regression,
    over_seeds,
    published,
    stack,
    trained,
    with_names,
    with_origin,
)

NORMS = ("none", "batch", "batch_lp")
_ROWS = {
    "batch_accuracy": "training accuracy\n(of the batch)",
    "batch_loss": "batch loss\n({unit})",
}
_FINAL = {"batch_accuracy": "final training accuracy", "batch_loss": "final batch loss"}
_STEPS = 150


def tabulate(frame: pd.DataFrame) -> pd.DataFrame:
    """The table for `draw`: one row per (metric, setting, point, step).

    Accuracies are averaged over bins of steps. Losses, which are of full batches in the
    paper, are shown at steps that are evenly spaced on a logarithmic axis.
    """
    frame = of_the_norms(frame)
    kinds = is_regression(frame)
    keys = ["setting", "point", "step"]
    tables = []
    if not kinds.all():
        some = with_names(frame[~kinds])
        ours = over_seeds(binned(some, "batch_accuracy"), keys, "batch_accuracy")
        paper = published(reference.beside(some, "5a"), "low")
        tables += [table.assign(metric="batch_accuracy") for table in (ours, paper)]
    if kinds.any():
        some = with_names(frame[kinds])
        ours = over_seeds(_sparse(some), keys, "batch_loss")
        paper = published(reference.beside(some, "5b"), "low")
        paper = paper[paper["step"] > 0]
        tables += [table.assign(metric="batch_loss") for table in (ours, paper)]
    return with_origin(stack(tables), frame)


def of_the_norms(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of the norms that the paper compares.

    Raises:
      NotDrawn: the run has no norm that uses another moment.
    """
    if not (frame["norm"] == "batch_lp").any():
        raise NotDrawn("it compares --norm=batch_lp, but the run has none")
    return frame[frame["norm"].isin(NORMS)]


def _sparse(frame: pd.DataFrame) -> pd.DataFrame:
    """Training steps, with about the same number in every decade.

    The steps of a thin copy are the middles of its rows, which are far apart. So the
    nearest steps are taken.
    """
    rows = trained(frame)
    rows = rows[rows["step"] > 0]
    steps = np.sort(rows["step"].unique())
    if len(steps):
        even = np.geomspace(steps[0], steps[-1], _STEPS)
        after = np.searchsorted(steps, even).clip(1, max(1, len(steps) - 1))
        nearer = even - steps[after - 1] < steps[after.clip(max=len(steps) - 1)] - even
        steps = steps[
            np.unique(np.where(nearer, after - 1, after).clip(max=len(steps) - 1))
        ]
    return rows[rows["step"].isin(steps)]


@style()
def draw(table: pd.DataFrame) -> Figure:
    """One row of panels per metric, with logarithmic axes for losses."""
    unit = table["loss_unit"].iloc[0]
    rows = {
        k: v.format(unit=unit) for k, v in _ROWS.items() if k in set(table["metric"])
    }
    metric = list(rows)[-1]
    final = last_rows(table[table["metric"] == metric], "step")
    says = highest(final, _FINAL[metric], lower=metric == "batch_loss")
    table = apart(table)
    figure, axes = lines(table, row="metric", ylabels=rows, says=says)
    losses = table.loc[table["metric"] == "batch_loss", "median"]
    for (metric, _), ax in axes.items():
        if metric == "batch_accuracy":
            ax.set_ylim(0, 1)
            accuracy_axis(ax)
        else:
            log_axis([ax], losses)
            ax.set_xscale("log")
    legend(figure)
    return figure
