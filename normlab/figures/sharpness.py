"""The Hessian's largest eigenvalue during training, and the edge of stability.

On a quadratic, gradient descent diverges if an eigenvalue exceeds 2 / lr, or
2 (1 + m) / lr with heavy-ball momentum m. Full-batch training drives the largest
eigenvalue up to this edge and keeps it there (Cohen et al. 2021, arXiv 2103.00065).
With small batches, it stays below.

The edge is drawn for SGD with and without momentum, if its learning rate is constant
and its gradient is not clipped. Adam has a different edge, for the preconditioned
Hessian. The edge is drawn only for the training loss, which normalizes
with batch statistics. Training takes no steps on the loss with running averages, so the
edge does not apply to it.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from normlab.figures.messages import last_rows, medians
from normlab.figures.panels import GREY, apart, legend, lines
from normlab.figures.scales import log_axis
from normlab.figures.style import style
from normlab.figures.tables import (
    NotDrawn,
    is_plain,
    of_images,
    over_seeds,
    with_names,
)

# What moves or hides the edge.
_STEADY = ("schedule", "warmup", "clip_norm", "clip_adaptive")
_ROWS = {
    "batch": "as trained,\nbatch statistics\n({unit}/θ²)",
    "running": "running averages\n({unit}/θ²)",
}


def tabulate(frame: pd.DataFrame) -> pd.DataFrame:
    """The table for `draw`, from ``hessian_top``.

    It has one row per (statistics, setting, point, step). ``edge`` is the eigenvalue at
    which descent on a quadratic becomes unstable. It is NaN for learning rate 0 and for
    training without such an edge.
    """
    frame = with_names(frame[frame["rank"] == 1])
    frame = frame.assign(steady=is_plain(frame, _STEADY))
    keys = ["statistics", "setting", "point", "optimizer", "lr", "momentum", "steady"]
    table = over_seeds(frame, [*keys, "step"], "eigenvalue")
    if table.empty:
        raise NotDrawn("the run has no finite Hessian eigenvalue")
    used = table["momentum"].where(table["optimizer"] == "momentum", 0.0)
    knows = table["optimizer"].isin(["sgd", "momentum"]) & (table["lr"] > 0)
    knows &= table.pop("steady")
    edge = 2 * (1 + used) / table["lr"].where(knows)
    return of_images(table.assign(momentum=used, edge=edge), frame)


@style()
def draw(table: pd.DataFrame) -> Figure:
    """One column per learning rate and one row per statistics, all with the same axis.

    The edge is marked only in the row of the training loss.
    """
    unit, statistics = table["loss_unit"].iloc[0], set(table["statistics"])
    rows = {k: text.format(unit=unit) for k, text in _ROWS.items() if k in statistics}
    last = last_rows(table[table["statistics"] == "batch"], "step")
    says = medians(last, "Largest eigenvalue of the Hessian at the end")
    table = apart(table)
    figure, axes = lines(
        table,
        row="statistics",
        ylabels=rows,
        marked=list(rows),
        sharey=True,
        says=says,
    )
    for (by, point), ax in axes.items():
        if by == "batch":
            _edges(ax, table[(table["point"] == point) & np.isfinite(table["edge"])])
    log_axis(list(axes.values()), table[["median", "low", "high", "edge"]])
    legend(figure)
    return figure


def _edges(ax: Axes, rows: pd.DataFrame) -> None:
    """Draws the edges of the optimizers in the panel."""
    for _, row in rows.drop_duplicates("edge").iterrows():
        name = "2 (1 + momentum)/lr" if row["momentum"] > 0 else "2/lr"
        ax.axhline(row["edge"], color=GREY, linewidth=0.9, linestyle="-.", label=name)
