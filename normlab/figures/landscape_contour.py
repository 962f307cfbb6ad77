"""The loss over planes as labelled contours. All panels have the same scale.

Compare Li, Xu, Taylor, Studer & Goldstein 2018 (arXiv 1712.09913), figures 5 and 9.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from normlab.figures.fitting import scaled
from normlab.figures.headings import title
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
from normlab.figures.style import style

_INK = "#d00000"


def draw(table: pd.DataFrame) -> Figure:
    """Draws contours of the loss. Areas in which it is not finite are grey.

    Args:
      table: planes, from `normlab.landscape.table.tabulate`. A path is drawn on its
        plane.
    """
    shown = panels(table)
    rows, columns = shape(len(shown))
    steps = levels(shown)
    with style():
        figure = Figure(
            figsize=scaled(1.2 + 2.7 * columns, 1.0 + 2.6 * rows), layout="constrained"
        )
        axes = figure.subplots(rows, columns, squeeze=False)
        filled = [
            _draw_panel(ax, panel, steps)
            for ax, panel in zip(axes.flat, shown, strict=False)
        ]
        for ax in axes.flat[len(shown) :]:
            ax.set_axis_off()
        bar = figure.colorbar(filled[0], ax=axes, label=loss_name(table), shrink=0.9)
        set_ticks(bar, steps)
        title(figure, caption(table).split("; "), _says(table))
    return figure


def _says(table: pd.DataFrame) -> str:
    if table["path_step"].notna().any():
        return "The loss on the plane of the path that training took"
    return "The loss around the trained networks"


def _draw_panel(ax: Axes, panel: Panel, steps: np.ndarray):
    """Draws one panel and returns the contours, for the colour bar."""
    ax.set_facecolor(NOWHERE)
    ax.grid(False)
    # The colour scale is logarithmic, so it needs positive and finite losses.
    loss = np.ma.masked_invalid(np.maximum(panel.loss, steps[0] * 0.999))
    filled = ax.contourf(
        panel.a, panel.b, loss, steps, norm=scale(steps), cmap=MAP, extend="both"
    )
    inside = loss.count() and bool(((steps > loss.min()) & (steps < loss.max())).any())
    if inside:
        # White where the colours are dark.
        inks = ["white" if i < len(steps) / 2 else "black" for i in range(len(steps))]
        lines = ax.contour(panel.a, panel.b, loss, steps, colors=inks, linewidths=0.4)
        # Label every second contour, so that labels do not overlap where it is steep.
        ax.clabel(lines, steps[::2], fmt=lambda x: f"{x:.2g}", fontsize=6)
    if len(panel.path):
        ax.plot(
            panel.path["a"],
            panel.path["b"],
            ".-",
            color=_INK,
            linewidth=1,
            markersize=3,
        )
        begin = panel.path.iloc[0]
        ax.plot(begin["a"], begin["b"], "o", color=_INK, markersize=4)
    # theta itself; for a path, this is its last point.
    ax.plot(0, 0, "*", color="white", markeredgecolor=_INK, markersize=10)
    ax.set_title(panel.title)
    ax.set_box_aspect(1)
    names = ("first direction (filter norms)", "second direction (filter norms)")
    if len(panel.path):
        names = tuple(
            f"PC {i} ({share:.1%} of variance)"
            for i, share in enumerate(panel.shares, start=1)
        )
    ax.set_xlabel(names[0])
    ax.set_ylabel(names[1])
    return filled
