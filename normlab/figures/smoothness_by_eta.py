"""The effective smoothness of every trial step, against the length of the step.

Santurkar et al. 2018 plot the maximum over their steps (Figure 4c), which is about
20 = 2/lr = 1/eta_min in their runs. The two lines distinguish these two explanations.
If the gradient g' at the end of a step is small, |g - g'| is about |g|, and the
smoothness is 1/eta for any loss. It then falls along the slanted line, and the shortest
step gives the maximum. Curvature at the edge of stability, 2/lr (Cohen et al. 2021), is
a horizontal line.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from normlab.figures.messages import listed
from normlab.figures.panels import GREY, apart, legend, lines
from normlab.figures.scales import log_axis, log_ticks
from normlab.figures.sharing import last_step
from normlab.figures.style import style
from normlab.figures.tables import middle, over_seeds, stack, with_lengths, with_origin

_WHAT = "effective smoothness (lower is smoother): |g - g'| / (η |g|)"
_MOST_TICKS, _CLOSE = 6, 0.1  # ticks at lengths; the closest, as a share of the axis
_ROWS = {
    "beta": "|g - g'| / (η |g|)\n({unit}/θ²)",
    "norm_ratio": "|g'| / |g|",
    "cosine": "cos(g, g')",
}


def tabulate(frame: pd.DataFrame) -> pd.DataFrame:
    """The table for `draw`: one row per (metric, setting, point, length).

    ``length`` is eta x learning rate, which multiplies the gradient. Each member's
    value is the median over the second half of training.
    """
    frame = frame[frame["step"] >= last_step(frame) / 2]
    frame = with_lengths(frame)
    keys = ["setting", "point", "lr", "length"]
    tables = []
    for metric in _ROWS:
        finite = frame[np.isfinite(frame[metric])]
        of_each = finite.groupby([*keys, "member"], sort=False)[metric].median()
        table = over_seeds(of_each.reset_index(), keys, metric)
        tables.append(table.sort_values("length", kind="stable").assign(metric=metric))
    return with_origin(stack(tables), frame)


@style()
def draw(table: pd.DataFrame) -> Figure:
    """One column per learning rate: the smoothness on top, its components below."""
    says = _says(table[table["metric"] == "beta"])
    table = apart(table)
    unit = table["loss_unit"].iloc[0]
    rows = {name: label.format(unit=unit) for name, label in _ROWS.items()}
    figure, axes = lines(
        table,
        row="metric",
        ylabels=rows,
        x="length",
        xlabel="length of the trial step η\n(times the gradient)",
        marked=list(rows),
        what=f"{_WHAT}; medians over the second half of training",
        says=says,
    )
    smoothness = table[table["metric"] == "beta"]
    lengths = table.loc[table["length"] > 0, "length"]
    for (metric, point), ax in axes.items():
        ax.set_xscale("log")
        _length_ticks(ax, lengths)
        if metric == "beta":
            _guide(ax, smoothness[smoothness["point"] == point])
    legend(figure)
    levels = 2 / smoothness.loc[smoothness["lr"] > 0, "lr"]
    for metric, more in (("beta", levels), ("norm_ratio", [])):
        row = [ax for (name, _), ax in axes.items() if name == metric]
        seen = table.loc[table["metric"] == metric, ["median", "low", "high"]]
        log_axis(row, [*np.ravel(seen), *more])
    return figure


def _says(smoothness: pd.DataFrame) -> str:
    """How much the smoothness of the longest step differs from the shortest's."""
    point = middle(smoothness["point"].unique()) if len(smoothness) else ""
    rows = smoothness[smoothness["point"] == point].sort_values("length")
    ends = rows["length"].iloc[[0, -1]].to_numpy() if len(rows) else np.ones(2)
    if not 0 < ends[0] < ends[1]:
        return ""
    wide = rows.pivot_table(index="setting", columns="length", values="median")
    ratios = (wide[ends[1]] / wide[ends[0]]).reindex(rows["setting"].unique())
    where = f" ({point})" if str(point) else ""
    what = f"Effective smoothness, longest over shortest trial step{where}"
    return listed(what, {str(name): x for name, x in ratios.items()})


def _length_ticks(ax: Axes, lengths: pd.Series) -> None:
    """Ticks at the lengths, if there are few and they are not too close."""
    known = np.unique(lengths)
    gaps = np.diff(np.log(known))
    few = 1 < len(known) <= _MOST_TICKS
    if few and gaps.min() > _CLOSE * gaps.sum():
        ax.xaxis.set_major_locator(FixedLocator(known.tolist()))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:.3g}"))
    else:
        log_ticks(ax.xaxis, lengths.min(), lengths.max())


def _guide(ax: Axes, rows: pd.DataFrame) -> None:
    """Draws the lines of the two explanations."""
    lengths = np.unique(rows["length"])
    if not len(lengths) or rows["lr"].iloc[0] == 0:
        return
    ax.plot(lengths, 1 / lengths, ":", color=GREY, label="1/η, as if g' = 0")
    ax.axhline(2 / rows["lr"].iloc[0], color=GREY, linewidth=0.9, linestyle="-.")
    ax.plot([], [], color=GREY, linewidth=0.9, linestyle="-.", label="2/lr")
