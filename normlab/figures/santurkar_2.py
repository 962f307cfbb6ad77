"""Activations at some norm layers during training, as in Santurkar et al. 2018, Fig. 2.

The figure shows activations before and after each norm, because the paper does not say
on which side of the norm it samples them. Its noise is added after the norm.
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

_MOST_STEPS = 10
_MOST_SETTINGS = 6
_SAYS = "How the activations of one channel are distributed during training"
_OVERLAP = 2.2  # height of a ridge, in distances between ridges
_SHOWN = (0.005, 0.995)


def tabulate(frame: pd.DataFrame) -> pd.DataFrame:
    """The table for `draw`: `histograms.densities` at ten steps, for one seed."""
    frame = histograms.of_one_member(frame)
    layers = histograms.chosen_layers(shared(frame, "norm_layer"))
    steps = few(sorted(shared(frame, "step")), _MOST_STEPS)
    frame = frame[frame["norm_layer"].isin(layers) & frame["step"].isin(steps)]
    return with_origin(histograms.densities(frame), frame)


@style()
def draw(table: pd.DataFrame) -> Figure:
    """One column per norm. The rows are layers, before and after the norm."""
    settings = few(dict.fromkeys(table["setting"]), columns_for(_MOST_SETTINGS))
    note = left_out(settings, table["setting"], "norms")
    layers = list(dict.fromkeys(table["norm_layer"]))
    rows = [(layer, side) for layer in layers for side in histograms.SIDES]
    steps = np.unique(table["step"])
    figure, axes = grid(len(rows), len(settings), height=1.5, width=1.8)
    for ax_row, (layer, side) in zip(axes, rows, strict=True):
        place_rows = table[(table["norm_layer"] == layer) & (table["side"] == side)]
        for ax, setting in zip(ax_row, settings, strict=True):
            _ridges(ax, place_rows[place_rows["setting"] == setting], steps)
            ax.set_yticks([])
        ax_row[0].set_yticks([0, len(steps) - 1], [f"step {t}" for t in steps[[0, -1]]])
        ax_row[0].set_ylabel(f"{side} {layer}")
    for ax, setting in zip(axes[0], settings, strict=True):
        ax.set_title(setting)
    for ax in axes[-1]:
        ax.set_xlabel("activation")
    channel = f"channel {table['channel'].iloc[0]}"
    title(figure, [*histograms.caption_parts(table), channel, note], _SAYS)
    return figure


def _ridges(ax: Axes, rows: pd.DataFrame, steps: np.ndarray) -> None:
    """Draws densities above each other, the first step at the bottom and darkest."""
    colours = SCALE
    ends = []
    for place, step in reversed(list(enumerate(steps))):  # draw front ridges last
        mine = rows[rows["step"] == step]
        if mine.empty:
            continue
        middles = (mine["left"] + mine["right"]) / 2
        height = _OVERLAP * mine["density"] / mine["density"].max()
        color = colours(place / max(1, len(steps) - 1))
        ax.fill_between(middles, place, place + height, color=color, alpha=0.7)
        ax.plot(middles, place + height, color="white", linewidth=0.5)
        ends.append(histograms.quantiles(mine, _SHOWN))
    if ends:
        low, high = np.min(ends), np.max(ends)
        ax.set_xlim(low, high if high > low else low + 1)
    ax.set_ylim(-0.3, len(steps) - 0.8 + _OVERLAP)
    ax.grid(False)
