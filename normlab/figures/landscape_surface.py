"""The loss over planes as surfaces. All panels have the same scale."""

from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from normlab.figures.fitting import scaled
from normlab.figures.landscape_panels import (
    MAP,
    NOWHERE,
    Panel,
    caption,
    levels,
    loss_name,
    panels,
    scale,
    set_ticks,
    shape,
)
from normlab.figures.panels import title
from normlab.figures.paper import current
from normlab.figures.style import style


def draw(table: pd.DataFrame) -> Figure:
    """Draws surfaces of the loss, cut off at the same height in all panels.

    Losses that are not finite are grey and drawn at the height of the cut.

    Args:
      table: planes, from `normlab.landscape.table.tabulate`.
    """
    shown = panels(table)
    rows, columns = shape(len(shown))
    steps = levels(shown)
    top = float(steps[-1])
    with style():
        figure = Figure(
            figsize=scaled(1.2 + 3.0 * columns, 0.6 + 2.9 * rows), layout="constrained"
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
        title(figure, caption(table).split("; "))
    return figure


def _draw_panel(ax: Any, panel: Panel, steps: np.ndarray) -> None:
    """Draws one panel. ``ax`` is a 3D axes, which matplotlib's stubs do not cover."""
    a, b = np.meshgrid(panel.a, panel.b)
    finite = np.isfinite(panel.loss)
    height = np.clip(np.where(finite, panel.loss, steps[-1]), steps[0], steps[-1])
    colours = matplotlib.colormaps[MAP](scale(steps)(height))
    colours[~finite] = to_rgba(NOWHERE)
    ax.plot_surface(
        a,
        b,
        height,
        facecolors=colours,
        rstride=1,
        cstride=1,
        linewidth=0.15,
        edgecolor="black",
        shade=False,
    )
    if current().width is None:  # else the colour bar takes its room
        ax.set_zlabel("loss")
    ax.set_zlim(steps[0], steps[-1])
    ax.set_title(panel.title)
    ax.view_init(elev=35, azim=-60)
    ax.tick_params(labelsize=6, pad=-2)
    ax.set_xlabel("first direction", fontsize=7, labelpad=-6)
    ax.set_ylabel("second direction", fontsize=7, labelpad=-6)
