"""Histograms of activations during training, for one member per norm.

Channels of networks with different initialisations do not correspond to each other.
Histograms and moments of channels therefore show one seed, not medians over seeds.
"""

import numpy as np
import pandas as pd

from normlab.figures.sharing import shared
from normlab.figures.tables import few, middle, with_names

SIDES = ("before", "after")
_MOST_STEPS = 40
# Number of norm layers -> the layers that Santurkar et al. 2018 show: in VGG the 2nd,
# 9th and 13th (Figure 2), in the linear network the 1st, 11th and 24th (Figure 9).
_PAPERS_LAYERS = {13: (1, 8, 12), 24: (0, 10, 23)}


def chosen_layers(layers: list[str]) -> list[str]:
    """The paper's layers for its networks, otherwise the first, middle and last."""
    if len(layers) in _PAPERS_LAYERS:
        return [layers[i] for i in _PAPERS_LAYERS[len(layers)]]
    return few(layers, 3)


def part(histograms: pd.DataFrame) -> pd.DataFrame:
    """The rows of a cell that figures need, because all rows would not fit in memory.

    These are one channel, at most 40 steps, and the layers from `chosen_layers`.
    """
    first = histograms["channel"] == histograms["channel"].min()
    layers = chosen_layers(list(dict.fromkeys(histograms["norm_layer"])))
    steps = few(np.unique(histograms["step"]), _MOST_STEPS)
    kept = histograms["norm_layer"].isin(layers) & histograms["step"].isin(steps)
    return histograms[first & kept]


def of_one_member(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of the first seed at the middle point, with names."""
    frame = with_names(frame)
    frame = frame[frame["point"] == middle(shared(frame, "point"))]
    return frame[frame["seed"] == min(shared(frame, "seed"))]


def densities(histograms: pd.DataFrame) -> pd.DataFrame:
    """One row per bin: ``left``, ``right``, ``density``, and identifying columns.

    If all values of a channel are equal, its bins have no width and are left out.
    """
    columns = ["setting", "point", "seed", "channel", "norm_layer", "side", "step"]
    rows = histograms[[*columns, "left", "right", "count"]]
    rows = rows[rows["right"] > rows["left"]]
    totals = rows.groupby(columns, sort=False)["count"].transform("sum")
    density = rows["count"] / totals / (rows["right"] - rows["left"])
    return rows.assign(density=density).drop(columns="count")


def quantiles(rows: pd.DataFrame, shares: tuple[float, ...]) -> np.ndarray:
    """Quantiles of one histogram."""
    mass = np.cumsum(rows["density"] * (rows["right"] - rows["left"]))
    return np.interp(shares, mass, rows["right"])


def caption_parts(table: pd.DataFrame) -> list[str]:
    """The caption's description of the member."""
    first = table.iloc[0]
    return [first["where"], first["point"], f"one member, seed {first['seed']}"]
