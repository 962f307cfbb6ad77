"""Internal covariate shift during training, as in Santurkar et al. 2018, Figure 3."""

import pandas as pd
from matplotlib.figure import Figure

from normlab.figures.messages import medians
from normlab.figures.panels import legend, lines
from normlab.figures.scales import log_axis
from normlab.figures.sharing import shared
from normlab.figures.style import style
from normlab.figures.tables import few, over_seeds, stack, with_names, with_origin

_ROWS = {
    "difference": "shift |G - G'|\n({unit}/θ)",
    "cosine": "cos(G, G')",
}
# Layers to show, as fractions of the layers with weights. The paper shows the 5th and
# 10th of 14 in VGG, and the 9th and 17th of 25 in the linear network.
_PLACES = (1 / 3, 2 / 3)
_MOST_POINTS = 3


def tabulate(frame: pd.DataFrame) -> pd.DataFrame:
    """The table for `draw`: one row per (metric, setting, panel, step).

    A ``panel`` is a layer at one of at most three points. The parameters of norms do
    not count as layers.
    """
    frame = with_names(frame)
    layers = [x for x in shared(frame, "layer") if not x.startswith("norm")]
    chosen = dict.fromkeys(layers[int(len(layers) * place)] for place in _PLACES)
    points = few(dict.fromkeys(frame["point"]), _MOST_POINTS)
    frame = frame[frame["layer"].isin(list(chosen)) & frame["point"].isin(points)]
    panel = frame["layer"] + ", " + frame["point"]
    # Sort by layer, so that panels to compare are side by side.
    order = {layer: i for i, layer in enumerate(chosen)}
    frame = frame.assign(panel=panel, place=frame["layer"].map(order))
    frame = frame.sort_values("place", kind="stable")
    keys = ["setting", "panel", "layer", "point", "step"]
    tables = [over_seeds(frame, keys, metric).assign(metric=metric) for metric in _ROWS]
    return with_origin(stack(tables), frame)


@style()
def draw(table: pd.DataFrame) -> Figure:
    """Draws how the steps of earlier layers change a layer's gradient."""
    unit = table["loss_unit"].iloc[0]
    rows = {name: label.format(unit=unit) for name, label in _ROWS.items()}
    cosines = table[table["metric"] == "cosine"]
    says = medians(
        cosines,
        "Median cosine of the gradient before and after the steps of earlier layers",
    )
    figure, axes = lines(table, row="metric", ylabels=rows, column="panel", says=says)
    shifts = table[table["metric"] == "difference"]
    first = [ax for (metric, _), ax in axes.items() if metric == "difference"]
    log_axis(first, shifts["median"])
    for (metric, _), ax in axes.items():
        if metric == "cosine":
            ax.set_ylim(-1.05, 1.05)
    legend(figure)
    return figure
