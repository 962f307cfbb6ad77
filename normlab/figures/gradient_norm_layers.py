"""The size of each layer's gradient along training."""

import pandas as pd
from matplotlib.figure import Figure

from normlab.figures.panels import legend, lines, log_axis
from normlab.figures.style import style
from normlab.figures.tables import few, over_seeds, with_names, with_origin

_MOST_LAYERS = 5


def tabulate(frame: pd.DataFrame) -> pd.DataFrame:
    """What `draw` draws: a row a (layer, setting, point, step).

    At most five of the layers with weights; norms' own parameters are left out, which
    other norms do not have.
    """
    frame = with_names(frame)
    parts = [x for x in dict.fromkeys(frame["part"]) if not x.startswith("norm")]
    chosen = few([part for part in parts if part != "all"], _MOST_LAYERS)
    frame = frame[frame["part"].isin(chosen)]
    table = over_seeds(frame, ["part", "setting", "point", "step"], "l2")
    return with_origin(table.rename(columns={"part": "layer"}), frame)


@style()
def draw(table: pd.DataFrame) -> Figure:
    """A row a layer, a column a learning rate; all axes are the same."""
    unit = table["unit"].iloc[0]
    layers = dict.fromkeys(table["layer"])
    rows = {layer: f"{layer}: |g|\n({unit}/θ)" for layer in layers}
    figure, axes = lines(table, row="layer", ylabels=rows, sharey=True)
    log_axis(list(axes.values()), table["median"])
    legend(figure)
    return figure
