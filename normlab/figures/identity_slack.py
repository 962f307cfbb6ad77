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
    # Where a block keeps hardly any gradient its left side is rounding.
    "relative_error": "corrected identity, worst block:\n"
    "|right - left| / left,\nor / size where left is rounding",
    "printed_shortfall": "printed inequality, with 1/√m:\n(left - right) / left",
}
_MOST_LAYERS = 5
_ROUNDING = float(np.finfo(np.float32).eps)


def tabulate(frame: pd.DataFrame) -> pd.DataFrame:
    """What `draw` draws: a row a (measure, norm layer, setting, step).

    Of at most five norm layers, at the middle one of the learning rates.
    ``printed_shortfall`` is 1 - ``printed_ratio``.
    """
    frame = with_names(frame)
    layers = few(dict.fromkeys(frame["norm_layer"]), _MOST_LAYERS)
    point = middle(dict.fromkeys(frame["point"]))
    frame = frame[frame["norm_layer"].isin(layers) & (frame["point"] == point)]
    frame = frame.assign(printed_shortfall=1 - frame["printed_ratio"])
    keys = ["norm_layer", "setting", "point", "step"]
    tables = [over_seeds(frame, keys, name).assign(measure=name) for name in _TITLES]
    return with_origin(stack(tables), frame)


@style()
def draw(table: pd.DataFrame) -> Figure:
    """A row a norm layer, on one logarithmic axis for all.

    On the left what the two sides of the identity differ by, in the block where it is
    most: per left side, or per size |q|^2 / s^2 in a block that loses nearly all of its
    gradient (`normlab.quantities.measures.identities`). On the right by how much
    the printed right side is less than the left side, |dL/dy|^2, that it is said to
    bound: it is false where anything is seen above rounding. Above 1 it is negative.
    """
    layers = {name: name for name in dict.fromkeys(table["norm_layer"])}
    figure, axes = lines(
        table,
        row="norm_layer",
        ylabels=layers,
        column="measure",
        what=f"{table['point'].iloc[0]}; left: |∂L/∂y|², size: |q|²/s²",
        sharey=True,
    )
    first = next(iter(layers))
    for measure, title in _TITLES.items():
        if (first, measure) in axes:
            axes[first, measure].set_title(title)
    for (_, measure), ax in axes.items():
        marks = {"rounding unit of float32": (_ROUNDING, ":")}
        if measure == "printed_shortfall":
            marks["above: printed right side < 0"] = (1.0, "--")
        for label, (level, dash) in marks.items():
            ax.axhline(level, color=GREY, linestyle=dash, linewidth=0.9, label=label)
    log_axis(list(axes.values()), [*table["median"], _ROUNDING, 1.0])
    legend(figure)
    return figure
