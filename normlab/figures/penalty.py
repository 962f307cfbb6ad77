"""What weight decay adds to the loss, beside Santurkar et al. 2018, Figure 4a.

The lower edge of the paper's Figure 4a falls slowly while all of a batch is classified
rightly; a cross-entropy would be near 0. Is theirs a loss with an L2 penalty, which the
paper does not mention? Here are both, on the same axis.
"""

import pandas as pd
from matplotlib.figure import Figure

from normlab.figures import reference
from normlab.figures.panels import legend, lines, log_axis
from normlab.figures.style import style
from normlab.figures.tables import (
    NotDrawn,
    over_seeds,
    published,
    stack,
    with_names,
    with_origin,
)

_ROWS = {
    "loss": "least loss along\nthe gradient ({unit})",
    "penalized": "the same loss + w|θ|²/2\n({unit})",
}


def tabulate(loss_range: pd.DataFrame, parameter_norm: pd.DataFrame) -> pd.DataFrame:
    """What `draw` draws: a row a (metric, setting, point, step).

    ``loss`` is the lower edge of the range along the gradient, ``penalized`` with
    w |theta|^2 / 2 added, w the weight decay and theta where the gradient was taken.
    The paper's lower edge is beside each.
    """
    keys = ["cell", "member", "step"]
    sizes = parameter_norm[parameter_norm["part"] == "all"]
    frame = loss_range.merge(sizes[[*keys, "l2"]], on=keys)
    # AdamW's decay is no penalty: it is not in the gradient.
    frame = frame[frame["optimizer"] != "adamw"]
    if not (frame["weight_decay"] > 0).any():
        raise NotDrawn("it shows what --weight_decay adds, and the run has none")
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
    """The loss alone above, with the penalty below; one axis for all."""
    unit = table["unit"].iloc[0]
    rows = {name: label.format(unit=unit) for name, label in _ROWS.items()}
    figure, axes = lines(table, row="metric", ylabels=rows, sharey=True)
    log_axis(list(axes.values()), table["median"])
    legend(figure)
    return figure
