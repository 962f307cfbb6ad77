"""The loss over planes as surfaces. All panels have the same scale."""

from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from normlab.figures.fitting import scaled
from normlab.figures.headings import title
from normlab.figures.landscape_panels import (
    MAP,
    Panel,
    caption,
    levels,
    loss_name,
    panels,
    scale,
    set_ticks,
    shape,
)
from normlab.figures.style import style

_SAYS = "The loss around the trained networks, as a surface"
_TICKS = 5
_ABOVE = "all of it is above the cut"
_ROUNDING = 1e-6


def draw(table: pd.DataFrame) -> Figure:
    """Draws surfaces of the loss, cut off at the same height in all panels.

    Heights are logarithmic, as the colours are. Where the loss is higher than the cut,
    or not finite, there is no surface.

    Args:
      table: planes, from `normlab.landscape.table.tabulate`.
    """
    shown = panels(table)
    rows, columns = shape(len(shown))
    steps = levels(shown)
    top = float(steps[-1])
    with style():
        figure = Figure(
            figsize=scaled(1.2 + 3.0 * columns, 0.8 + 2.9 * rows), layout="constrained"
        )
        axes = figure.subplots(
            rows, columns, squeeze=False, subplot_kw={"projection": "3d"}
        )
        for ax, panel in zip(axes.flat, shown, strict=False):
            _draw_panel(ax, panel, steps)
        for ax in axes.flat[len(shown) :]:
            ax.set_axis_off()
        cut = any((panel.loss > top).any() for panel in shown)
        name = loss_name(table) + (f", cut at {top:.2g}" if cut else "")
        colours = ScalarMappable(scale(steps), MAP)
        set_ticks(figure.colorbar(colours, ax=axes, label=name, shrink=0.8), steps)
        title(figure, caption(table).split("; "), _SAYS)
    return figure


def _draw_panel(ax: Any, panel: Panel, steps: np.ndarray) -> None:
    """Draws one panel. ``ax`` is a 3D axes, which matplotlib's stubs do not cover."""
    a, b = np.meshgrid(panel.a, panel.b)
    # The surface ends at the cut: a flat top would look like a plateau of the loss.
    drawn = np.isfinite(panel.loss) & (panel.loss <= steps[-1] * (1 + _ROUNDING))
    loss = np.where(drawn, np.maximum(panel.loss, steps[0]), np.nan)
    if not drawn.any():
        ax.text2D(0.5, 0.5, _ABOVE, transform=ax.transAxes, ha="center", fontsize=7)
    corners = [
        loss[i : i - 1 or None, j : j - 1 or None] for i in (0, 1) for j in (0, 1)
    ]
    facets = np.pad(sum(corners) / len(corners), (0, 1), mode="edge")
    colours = matplotlib.colormaps[MAP](scale(steps)(facets))
    ax.plot_surface(
        a,
        b,
        np.log10(loss),
        facecolors=colours,
        rstride=1,
        cstride=1,
        linewidth=0.15,
        edgecolor="black",
        shade=False,
    )
    ax.set_zlim(np.log10(steps[0]), np.log10(steps[-1]))
    ticks = steps[:: max(1, len(steps) // _TICKS)]
    ax.set_zticks(np.log10(ticks), [f"{x:.2g}" for x in ticks])
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(_TICKS - 2))
    ax.set_title(panel.title)
    ax.view_init(elev=35, azim=-60)
    ax.tick_params(labelsize=6, pad=-2)
    ax.set_xlabel("first direction", fontsize=7, labelpad=-6)
    ax.set_ylabel("second direction", fontsize=7, labelpad=-6)
