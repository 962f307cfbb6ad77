"""The gradient norm of each layer during training."""

import pandas as pd
from matplotlib.figure import Figure

from normlab.figures.panels import apart, legend, lines
from normlab.figures.scales import log_axis
from normlab.figures.sharing import shared
from normlab.figures.style import style
from normlab.figures.tables import few, over_seeds, with_names, with_origin

_MOST_LAYERS = 5
_SAYS = "How large the gradient of each layer is during training"


def tabulate(frame: pd.DataFrame) -> pd.DataFrame:
    """The table for `draw`: one row per (layer, setting, point, step).

    It has at most five layers with weights. The parameters of norms are left out,
    because not all norms have them.
    """
    frame = with_names(frame)
    parts = [x for x in shared(frame, "part") if not x.startswith("norm")]
    chosen = few([part for part in parts if part != "all"], _MOST_LAYERS)
    frame = frame[frame["part"].isin(chosen)]
    table = over_seeds(frame, ["part", "setting", "point", "step"], "l2")
    return with_origin(table.rename(columns={"part": "layer"}), frame)


@style()
def draw(table: pd.DataFrame) -> Figure:
    """One row per layer and one column per learning rate, all with the same axis."""
    table = apart(table)
    unit = table["loss_unit"].iloc[0]
    layers = dict.fromkeys(table["layer"])
    rows = {layer: f"{layer}: |g|\n({unit}/θ)" for layer in layers}
    figure, axes = lines(table, row="layer", ylabels=rows, sharey=True, says=_SAYS)
    log_axis(list(axes.values()), table["median"])
    legend(figure)
    return figure
