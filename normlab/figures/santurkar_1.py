"""Accuracy of a VGG during training, compared with Santurkar et al. 2018, Figure 1."""

import pandas as pd
from matplotlib.figure import Figure

from normlab.figures import reference
from normlab.figures.messages import highest, last_rows
from normlab.figures.panels import apart, legend, lines
from normlab.figures.scales import accuracy_axis
from normlab.figures.style import style
from normlab.figures.tables import (
    NotDrawn,
    averages,
    binned,
    over_seeds,
    published,
    stack,
    with_names,
    with_origin,
)

_ROWS = {
    "batch_accuracy": "training accuracy\n(of the batch)",
    "test_accuracy": "test accuracy",
}
_PUBLISHED = {"batch_accuracy": "1a", "test_accuracy": "1b"}


def tabulate(frame: pd.DataFrame) -> pd.DataFrame:
    """The table for `draw`: one row per (metric, setting, point, step).

    Each member's batch accuracy is first averaged over bins of ``steps_averaged``
    steps. The paper shows the accuracy of single batches.
    """
    frame = frame[frame["model"].str.startswith("vgg")]
    if frame.empty:
        raise NotDrawn("it shows a VGG (--model=vgg16), but the run has none")
    frame = with_names(frame)
    keys = ["setting", "point", "step"]
    bins = binned(frame, "batch_accuracy")
    tables = [
        over_seeds(bins, [*keys, "steps_averaged"], "batch_accuracy"),
        over_seeds(frame, keys, "test_accuracy"),
    ]
    with_paper = [
        table.assign(metric=metric)
        for metric, ours in zip(_ROWS, tables, strict=True)
        for table in (
            ours,
            published(reference.beside(frame, _PUBLISHED[metric]), "low"),
        )
    ]
    return with_origin(stack(with_paper), frame)


@style()
def draw(table: pd.DataFrame) -> Figure:
    """Training accuracy on top, test accuracy below, one column per learning rate."""
    what = averages("the run's training accuracy: means of", table)
    final = last_rows(table[table["metric"] == "test_accuracy"], "step")
    figure, axes = lines(
        apart(table),
        row="metric",
        ylabels=_ROWS,
        marked=["test_accuracy"],
        what=what,
        says=highest(final, "final test accuracy"),
    )
    for ax in axes.values():
        ax.set_ylim(0, 1)
        accuracy_axis(ax)
    legend(figure)
    return figure
