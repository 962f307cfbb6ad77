"""Activations of one channel before and after the norm during training (report, E8).

The report shows a channel of its second convolution, before and after group norm, at a
single step. That norm is the last in its network, so this figure shows the last norm
layer.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from normlab.figures import histograms
from normlab.figures.colours import SCALE
from normlab.figures.fitting import columns_for
from normlab.figures.headings import title
from normlab.figures.panels import grid
from normlab.figures.sharing import shared
from normlab.figures.style import style
from normlab.figures.tables import few, left_out, with_origin

_MOST_SETTINGS = 6
_SHARES = (0.05, 0.5, 0.95)
_SHOWN = (0.002, 0.998)
_PIXELS = 120
_INK = SCALE(0.4)
_SAYS = "How the activations of one channel are distributed during training"
# The colour scale ends at this quantile of the pixels' densities.
_DARKEST = 0.98
_PALE = 1.8  # so that lines are seen on it


def tabulate(frame: pd.DataFrame) -> pd.DataFrame:
    """The table for `draw`: `histograms.densities` at the last norm layer, one seed."""
    frame = histograms.of_one_member(frame)
    layer = shared(frame, "norm_layer")[-1]
    frame = frame[frame["norm_layer"] == layer]
    return with_origin(histograms.densities(frame), frame)


@style()
def draw(table: pd.DataFrame) -> Figure:
    """One column per norm. Densities are grey, quantiles are lines."""
    settings = few(dict.fromkeys(table["setting"]), columns_for(_MOST_SETTINGS))
    note = left_out(settings, table["setting"], "norms")
    figure, axes = grid(len(histograms.SIDES), len(settings), sharex=True, height=1.9)
    layer = table["norm_layer"].iloc[0]
    for ax_row, side in zip(axes, histograms.SIDES, strict=True):
        for ax, setting in zip(ax_row, settings, strict=True):
            _picture(ax, table[(table["side"] == side) & (table["setting"] == setting)])
        ax_row[0].set_ylabel(f"activation\n{side} {layer}")
    for ax, setting in zip(axes[0], settings, strict=True):
        ax.set_title(setting)
    for ax in axes[-1]:
        ax.set_xlabel("step")
    channel = f"channel {table['channel'].iloc[0]}"
    lines = "lines: 5%, 50% and 95% of the values"
    title(figure, [*histograms.caption_parts(table), channel, lines, note], _SAYS)
    return figure


def _picture(ax: Axes, rows: pd.DataFrame) -> None:
    ax.grid(False)
    of_step = {step: mine for step, mine in rows.groupby("step")}
    if not of_step:
        return
    ends = np.array([histograms.quantiles(mine, _SHOWN) for mine in of_step.values()])
    values = np.linspace(ends.min(), ends.max(), _PIXELS)
    columns = [
        np.interp(values, (mine["left"] + mine["right"]) / 2, mine["density"], 0, 0)
        for mine in of_step.values()
    ]
    steps, density = np.array(list(of_step)), np.stack(columns, axis=1)
    top = float(np.quantile(density, _DARKEST)) or 1.0
    if len(steps) > 1:
        ax.pcolormesh(
            steps, values, density, cmap="Greys", vmin=0, vmax=_PALE * top,
            shading="nearest", rasterized=True,
        )  # fmt: skip
    lines = np.array([histograms.quantiles(mine, _SHARES) for mine in of_step.values()])
    for share, line in zip(_SHARES, lines.T, strict=True):
        dash = "-" if share == 0.5 else ":"
        ax.plot(steps, line, dash, color=_INK, linewidth=1.3)
    ax.set_ylim(values[0], values[-1] if values[-1] > values[0] else values[0] + 1)
