"""How much of the gradient each norm removes, and how its gain varies between blocks.

These are consequences (i) and (ii) of docs/theory.md, section 8. The data are the
quantity `identities`.
"""

import pandas as pd
from matplotlib.figure import Figure

from normlab.figures.colours import looks
from normlab.figures.messages import medians
from normlab.figures.panels import GREY, legend, lines
from normlab.figures.scales import log_axis
from normlab.figures.sharing import shared
from normlab.figures.style import style
from normlab.figures.tables import middle, over_seeds, stack, with_names, with_origin

_ROWS = {
    "removed": "share of the\ngradient removed",
    "gain_median": "median gain 1/s²\n(over blocks)",
    "gain_spread": "largest gain /\nmedian gain",
}
_RANDOM = "removed_if_random"


def tabulate(frame: pd.DataFrame) -> pd.DataFrame:
    """The table for `draw`: one row per (measure, norm layer, setting, step).

    It uses the middle learning rate. ``gain_spread`` is ``gain_max`` divided by
    ``gain_median``.
    """
    frame = with_names(frame)
    point = middle(shared(frame, "point"))
    frame = frame[frame["point"] == point]
    frame = frame.assign(gain_spread=frame["gain_max"] / frame["gain_median"])
    keys = ["norm_layer", "setting", "point", "step"]
    tables = [
        over_seeds(frame, keys, name).assign(measure=name) for name in (*_ROWS, _RANDOM)
    ]
    return with_origin(stack(tables), frame)


@style()
def draw(table: pd.DataFrame) -> Figure:
    """One column per norm layer, one line per norm. All axes are logarithmic.

    The dotted line is the share that would be removed if all directions of the gradient
    were equally likely: 2/m for blocks of m elements.
    """
    figure, axes = lines(
        table,
        row="measure",
        ylabels=_ROWS,
        column="norm_layer",
        what=table["point"].iloc[0],
        says=medians(
            table[table["measure"] == "removed"],
            "Median share of the gradient that the norm removes",
        ),
    )
    styles = looks(table["setting"])
    random = table[table["measure"] == _RANDOM]
    for (measure, layer), ax in axes.items():
        if measure == "removed":
            for setting, look in styles.items():
                drawn = (random["setting"] == setting) & (random["norm_layer"] == layer)
                for share in random.loc[drawn, "median"].head(1):
                    ax.axhline(share, color=look["color"], linestyle=":", linewidth=0.9)
    for measure in _ROWS:
        kept = {measure, _RANDOM} if measure == "removed" else {measure}
        row = [ax for (name, _), ax in axes.items() if name == measure]
        log_axis(row, table.loc[table["measure"].isin(kept), ["median", "low", "high"]])
    figure.axes[0].plot(
        [], [], ":", color=GREY, label="if directions were equally likely: 2/m"
    )
    legend(figure)
    return figure
