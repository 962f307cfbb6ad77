"""The gradient's size along training, every norm on the same axis.

The report's two plots of it have different lengths and different axes; its variables
include the norm's own (E10).
"""

import pandas as pd
from matplotlib.figure import Figure

from normlab.figures.panels import legend, lines, log_axis
from normlab.figures.style import style
from normlab.figures.tables import (
    averages,
    binned,
    check_curves,
    over_seeds,
    with_epochs,
    with_lost,
    with_origin,
)


def tabulate(frame: pd.DataFrame) -> pd.DataFrame:
    """What `draw` draws: a row a (setting, point, epoch).

    Each member's norms are first replaced by their median over bins of
    ``steps_averaged`` steps: single steps spike.

    Raises:
      NotDrawn: every curve would be a single point, or nothing is finite.
    """
    frame = with_epochs(frame)
    bins = binned(frame, "gradient_norm", statistic="median", x="epoch")
    keys = ["setting", "point", "epoch", "steps_averaged"]
    table = over_seeds(bins, keys, "gradient_norm")
    table = with_lost(table, bins, "gradient_norm", frame, "epoch")
    check_curves(table)
    return with_origin(table.assign(metric="gradient_norm"), frame)


@style()
def draw(table: pd.DataFrame) -> Figure:
    """A column a learning rate, one axis for all."""
    rows = {"gradient_norm": f"gradient's l2 norm\n({table['unit'].iloc[0]}/θ)"}
    what = averages("medians of", table)
    figure, axes = lines(
        table, row="metric", ylabels=rows, x="epoch", xlabel="epoch", what=what
    )
    log_axis(list(axes.values()), table[["median", "low", "high"]])
    legend(figure)
    return figure
