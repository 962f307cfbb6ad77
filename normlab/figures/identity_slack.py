"""How exactly each norm layer satisfies the corrected and the printed relation.

See docs/theory.md, equations (8) and (12). The data are the quantity `identities`.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from normlab.figures.messages import short
from normlab.figures.panels import GREY, legend, lines
from normlab.figures.scales import log_axis
from normlab.figures.sharing import shared
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
    # If a block loses nearly all of its gradient, the left side is only rounding.
    "relative_error": "corrected identity, worst block:\n"
    "|right - left| / left,\nor / size where left is rounding",
    "printed_shortfall": "printed inequality, with 1/√m:\n(left - right) / left",
}
_MOST_LAYERS = 5
_ROUNDING = float(np.finfo(np.float32).eps)


def tabulate(frame: pd.DataFrame) -> pd.DataFrame:
    """The table for `draw`: one row per (measure, norm layer, setting, step).

    It has at most five norm layers, at the middle learning rate. ``printed_shortfall``
    is 1 - ``printed_ratio``.
    """
    frame = with_names(frame)
    layers = few(shared(frame, "norm_layer"), _MOST_LAYERS)
    point = middle(shared(frame, "point"))
    frame = frame[frame["norm_layer"].isin(layers) & (frame["point"] == point)]
    frame = frame.assign(printed_shortfall=1 - frame["printed_ratio"])
    keys = ["norm_layer", "setting", "point", "step"]
    tables = [over_seeds(frame, keys, name).assign(measure=name) for name in _TITLES]
    return with_origin(stack(tables), frame)


def _says(table: pd.DataFrame) -> str:
    """The worst of the medians over seeds, which are what the figure shows."""
    worst = {
        str(name): float(rows["median"].max(skipna=False))
        for name, rows in table.groupby("measure")
    }
    holds, fails = (worst.get(name, np.nan) for name in _TITLES)
    words = []
    if np.isfinite(holds):
        words.append(f"the corrected identity holds to {short(holds)}")
    if np.isfinite(fails) and fails > _ROUNDING:
        words.append(f"the printed inequality fails by up to {short(100 * fails)}%")
    elif np.isfinite(fails):
        words.append("the printed inequality does not fail")
    text = "; ".join(words)
    if table["n"].max() > 1:
        return f"In the median over seeds, {text}" if text else ""
    return text[:1].upper() + text[1:]


@style()
def draw(table: pd.DataFrame) -> Figure:
    """One row per norm layer, all with the same logarithmic axis.

    The left column shows the difference between the two sides of the identity, in the
    worst block. It is relative to the left side, or to |q|^2 / s^2 in a block that
    loses nearly all of its gradient (`normlab.quantities.measures.identities`). The
    right column shows how far the printed right side falls below the left side,
    |dL/dy|^2, which it should bound. The printed inequality is false if this exceeds
    rounding. Above 1, the printed right side is negative.
    """
    layers = {name: name for name in dict.fromkeys(table["norm_layer"])}
    figure, axes = lines(
        table,
        row="norm_layer",
        ylabels=layers,
        column="measure",
        what=f"{table['point'].iloc[0]}; left: |∂L/∂y|², size: |q|²/s²",
        sharey=True,
        says=_says(table),
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
