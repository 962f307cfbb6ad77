"""How exactly the identity of each norm layer holds, and how far the printed one fails.

docs/theory.md, equations (8) and (12); the quantity `identities`.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from normlab.figures.panels import GREY, legend, lines, log_axis
from normlab.figures.style import style
from normlab.figures.tables import (
    few,
    middle,
    over_seeds,
    stack,
    with_names,
    with_origin,
)

_TITLES = {
    "relative_error": "corrected: largest error\n|right - left| / left",
    "printed_ratio": "printed, with 1/√m:\nright / left",
}
_MOST_LAYERS = 5
_ROUNDING = float(np.finfo(np.float32).eps)


def tabulate(frame: pd.DataFrame) -> pd.DataFrame:
    """What `draw` draws: a row a (measure, norm layer, setting, step).

    Of at most five norm layers, at the middle one of the learning rates.
    """
    frame = with_names(frame)
    layers = few(dict.fromkeys(frame["norm_layer"]), _MOST_LAYERS)
    point = middle(dict.fromkeys(frame["point"]))
    frame = frame[frame["norm_layer"].isin(layers) & (frame["point"] == point)]
    keys = ["norm_layer", "setting", "point", "step"]
    tables = [over_seeds(frame, keys, name).assign(measure=name) for name in _TITLES]
    return with_origin(stack(tables), frame)


@style()
def draw(table: pd.DataFrame) -> Figure:
    """A row a norm layer: the relative error on the left, the printed ratio beside it.

    The left side is |dL/dy|^2. Where the ratio is below 1 the printed inequality is
    false; below 0 its right side is negative.
    """
    layers = {name: name for name in dict.fromkeys(table["norm_layer"])}
    figure, axes = lines(
        table,
        row="norm_layer",
        ylabels=layers,
        column="measure",
        what=f"{table['point'].iloc[0]}; left: |∂L/∂y|²",
        sharey="col",
    )
    first = next(iter(layers))
    for measure, title in _TITLES.items():
        if (first, measure) in axes:
            axes[first, measure].set_title(title)
    for (_, measure), ax in axes.items():
        if measure == "relative_error":
            values = [*table.loc[table["measure"] == measure, "median"], _ROUNDING]
            log_axis([ax], values)
            label, level = "rounding unit of float32", _ROUNDING
        else:
            # Linear up to 1 on either side of 0: what is false may be far below it.
            ax.set_yscale("symlog", linthresh=1.0)
            label, level = "least ratio of a true statement", 1.0
        dash = "--" if measure == "relative_error" else ":"
        ax.axhline(level, color=GREY, linestyle=dash, linewidth=0.9, label=label)
    legend(figure)
    return figure
