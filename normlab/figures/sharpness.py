"""The Hessian's largest eigenvalue along training, beside the edge of stability.

On a quadratic, gradient descent diverges where an eigenvalue exceeds 2 / lr, and
2 (1 + m) / lr with heavy-ball momentum m. Full-batch training drives the largest
eigenvalue up to that line and stays there (Cohen et al. 2021, arXiv 2103.00065);
batches keep it below. The line is drawn for plain and heavy-ball descent: Adam's is
another, of the preconditioned Hessian. And it is drawn of the loss that is descended,
which normalizes by the statistics of its batch: of a loss by running averages no step
was taken, and nothing holds its curvature to that line.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from normlab.figures.panels import GREY, legend, lines, log_axis
from normlab.figures.style import style
from normlab.figures.tables import NotDrawn, of_images, over_seeds, with_names

_ROWS = {
    "batch": "as it is trained,\nby batch statistics\n({unit}/θ²)",
    "running": "by running averages\n({unit}/θ²)",
}


def tabulate(frame: pd.DataFrame) -> pd.DataFrame:
    """What `draw` draws, from ``hessian_top``.

    A row a (statistics, setting, point, step). ``edge`` is where descent on a
    quadratic becomes unstable, NaN for learning rate 0 and for optimizers that have no
    such place.
    """
    frame = with_names(frame[frame["rank"] == 1])
    keys = ["statistics", "setting", "point", "optimizer", "lr", "momentum", "step"]
    table = over_seeds(frame, keys, "eigenvalue")
    if table.empty:
        raise NotDrawn("no finite eigenvalue of a Hessian was measured")
    used = table["momentum"].where(table["optimizer"] == "momentum", 0.0)
    knows = table["optimizer"].isin(["sgd", "momentum"]) & (table["lr"] > 0)
    edge = 2 * (1 + used) / table["lr"].where(knows)
    return of_images(table.assign(momentum=used, edge=edge), frame)


@style()
def draw(table: pd.DataFrame) -> Figure:
    """A column a learning rate, a row for each of the statistics; one axis for all.

    The edge is marked in the row of the loss that training descends.
    """
    unit, statistics = table["unit"].iloc[0], set(table["statistics"])
    rows = {k: text.format(unit=unit) for k, text in _ROWS.items() if k in statistics}
    figure, axes = lines(
        table,
        row="statistics",
        ylabels=rows,
        marked=list(rows),
        what="largest eigenvalue of the Hessian",
        sharey=True,
    )
    for (by, point), ax in axes.items():
        if by == "batch":
            _edges(ax, table[(table["point"] == point) & np.isfinite(table["edge"])])
    log_axis(list(axes.values()), table[["median", "low", "high", "edge"]])
    legend(figure)
    return figure


def _edges(ax: Axes, rows: pd.DataFrame) -> None:
    """The lines of those optimizers that the panel shows."""
    for _, row in rows.drop_duplicates("edge").iterrows():
        name = "2 (1 + momentum)/lr" if row["momentum"] > 0 else "2/lr"
        ax.axhline(row["edge"], color=GREY, linewidth=0.9, linestyle="-.", label=name)
