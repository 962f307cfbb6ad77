"""What weight decay adds to the loss, compared with Santurkar et al. 2018, Figure 4a.

The lower edge of the paper's Figure 4a falls slowly even when the network classifies
whole batches correctly. A cross-entropy would then be near 0. The published loss may
therefore include an L2 penalty, which the paper does not mention. This figure shows the
loss with and without the penalty, on the same axis.
"""

import pandas as pd
from matplotlib.figure import Figure

from normlab.figures import reference
from normlab.figures.panels import apart, legend, lines
from normlab.figures.scales import log_axis
from normlab.figures.style import style
from normlab.figures.tables import (
    NotDrawn,
    over_seeds,
    published,
    stack,
    with_names,
    with_origin,
)
from normlab.train.optimizers import OPTIMIZERS

_SAYS = "What weight decay adds to the loss along the gradient"
_ROWS = {
    "loss": "lowest loss along\nthe gradient ({unit})",
    "penalized": "the same loss + w|θ|²/2\n({unit})",
}


def tabulate(loss_range: pd.DataFrame, parameter_norm: pd.DataFrame) -> pd.DataFrame:
    """The table for `draw`: one row per (metric, setting, point, step).

    ``loss`` is the lower edge of the range along the gradient. ``penalized`` adds
    w |theta|^2 / 2, with weight decay w and the parameters theta at which the gradient
    was taken. Both are compared with the paper's lower edge.
    """
    keys = ["cell", "member", "step"]
    sizes = parameter_norm[parameter_norm["part"] == "all"]
    frame = loss_range.merge(sizes[[*keys, "l2"]], on=keys)
    # A decoupled weight decay is not part of the loss, and that of some parameters is
    # another penalty than the one drawn.
    decoupled = [name for name, entry in OPTIMIZERS.items() if entry.decoupled]
    whole = frame["decay_mask"].eq("all") & ~frame["optimizer"].isin(decoupled)
    frame = frame[whole]
    if not (frame["weight_decay"] > 0).any():
        raise NotDrawn("it shows what --weight_decay adds, but the run has none")
    frame = with_names(frame)
    size = frame["weight_decay"] * frame["l2"] ** 2 / 2
    frame = frame.assign(loss=frame["low"], penalized=frame["low"] + size)
    paper = published(reference.beside(frame, "4a"), "low")
    tables = [
        table.assign(metric=metric)
        for metric in _ROWS
        for table in (over_seeds(frame, ["setting", "point", "step"], metric), paper)
    ]
    return with_origin(stack(tables), frame)


@style()
def draw(table: pd.DataFrame) -> Figure:
    """The loss on top, the loss with the penalty below, all with the same axis."""
    table = apart(table)
    unit = table["loss_unit"].iloc[0]
    rows = {name: label.format(unit=unit) for name, label in _ROWS.items()}
    figure, axes = lines(table, row="metric", ylabels=rows, sharey=True, says=_SAYS)
    log_axis(list(axes.values()), table["median"])
    legend(figure)
    return figure
