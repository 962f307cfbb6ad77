"""Internal covariate shift along training, after Santurkar et al. 2018, Figure 3."""

import pandas as pd
from matplotlib.figure import Figure

from normlab.figures.panels import legend, lines, log_axis
from normlab.figures.style import style
from normlab.figures.tables import few, over_seeds, stack, with_names, with_origin

_ROWS = {
    "difference": "shift |G - G'|\n({unit}/θ)",
    "cosine": "cos(G, G')",
}
# Of the layers with weights, the ones after this share of them: the paper's 5th and
# 10th of VGG's 14, and its 9th and 17th of the linear network's 25.
_PLACES = (1 / 3, 2 / 3)
_MOST_POINTS = 3


def tabulate(frame: pd.DataFrame) -> pd.DataFrame:
    """What `draw` draws: a row a (metric, setting, panel, step).

    A ``panel`` is a layer at a point, of which there are at most three. Norms' own
    parameters are no layer here.
    """
    frame = with_names(frame)
    layers = [x for x in dict.fromkeys(frame["layer"]) if not x.startswith("norm")]
    chosen = dict.fromkeys(layers[int(len(layers) * place)] for place in _PLACES)
    points = few(dict.fromkeys(frame["point"]), _MOST_POINTS)
    frame = frame[frame["layer"].isin(list(chosen)) & frame["point"].isin(points)]
    panel = frame["layer"] + ", " + frame["point"]
    # Layer by layer, so that what is compared stands side by side.
    order = {layer: i for i, layer in enumerate(chosen)}
    frame = frame.assign(panel=panel, place=frame["layer"].map(order))
    frame = frame.sort_values("place", kind="stable")
    keys = ["setting", "panel", "layer", "point", "step"]
    tables = [over_seeds(frame, keys, metric).assign(metric=metric) for metric in _ROWS]
    return with_origin(stack(tables), frame)


@style()
def draw(table: pd.DataFrame) -> Figure:
    """The change of a layer's gradient by the steps of those before it."""
    unit = table["unit"].iloc[0]
    rows = {name: label.format(unit=unit) for name, label in _ROWS.items()}
    figure, axes = lines(table, row="metric", ylabels=rows, column="panel")
    shifts = table[table["metric"] == "difference"]
    first = [ax for (metric, _), ax in axes.items() if metric == "difference"]
    log_axis(first, shifts["median"])
    for (metric, _), ax in axes.items():
        if metric == "cosine":
            ax.set_ylim(-1.05, 1.05)
    legend(figure)
    return figure
