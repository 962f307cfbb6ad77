"""Loss and accuracy along a line, with one column for each of the statistics.

Compare Li, Xu, Taylor, Studer & Goldstein 2018 (arXiv 1712.09913), figures 2 and 3.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from normlab.figures.colours import looks
from normlab.figures.fitting import scaled
from normlab.figures.headings import title
from normlab.figures.landscape_panels import caption, loss_name
from normlab.figures.style import style

_DASHES = {"train": "-", "test": "--"}
_XLABEL = {
    "line": "along a random direction, in filter norms",
    "between": "from the first point (0) to the second (1)",
}
_SAYS = {
    "line": "The loss along a random line through the trained networks",
    "between": "The loss on the straight line between two points of training",
}
# A loss axis is logarithmic if the losses span more than this factor.
_WIDE = 30.0


def draw(table: pd.DataFrame) -> Figure:
    """Draws losses on top and accuracies below.

    Norms without running averages appear in every column.

    Args:
      table: lines or interpolations, from `normlab.landscape.table.tabulate`.
    """
    kind = str(table["kind"].iloc[0])
    statistics = list(dict.fromkeys(table.loc[table["running"], "statistics"])) or [
        "batch"
    ]
    metrics = {"loss": loss_name(table), "accuracy": "accuracy"}
    if table["accuracy"].isna().all():
        del metrics["accuracy"]
    styles = looks(table["setting"])
    with style():
        figure = Figure(
            figsize=scaled(1.6 + 3.2 * len(statistics), 1.2 + 2.2 * len(metrics)),
            layout="constrained",
        )
        axes = figure.subplots(
            len(metrics), len(statistics), sharex=True, sharey="row", squeeze=False
        )
        for ax_row, (metric, name) in zip(axes, metrics.items(), strict=True):
            for ax, by in zip(ax_row, statistics, strict=True):
                drawn = ~table["running"] | (table["statistics"] == by)
                _lines(ax, table[drawn], metric, styles)
            ax_row[0].set_ylabel(name)
            if metric == "loss":
                _set_scale(ax_row[0], table["loss"])
        for ax, by in zip(axes[0], statistics, strict=True):
            ax.set_title(f"{by} statistics" if table["running"].any() else "")
        for ax in axes[-1]:
            ax.set_xlabel(_XLABEL[kind])
            ax.xaxis.set_major_locator(MaxNLocator(5))
        title(figure, caption(table).split("; "), _SAYS[kind])
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def _lines(ax: Axes, table: pd.DataFrame, metric: str, styles: dict) -> None:
    ends = (0, 1) if table["kind"].iloc[0] == "between" else (0,)
    for end in ends:
        ax.axvline(end, color="#999999", linewidth=0.8)
    several = table["split"].nunique() > 1
    for (setting, split), rows in table.groupby(["setting", "split"], sort=False):
        values = rows[metric].where(np.isfinite(rows[metric]))
        ax.plot(
            rows["a"],
            values,
            linestyle=_DASHES[str(split)],
            color=styles[str(setting)]["color"],
            label=f"{setting}, {split}" if several else setting,
        )


def _set_scale(ax: Axes, losses: pd.Series) -> None:
    positive = losses[np.isfinite(losses) & (losses > 0)]
    if len(positive) and positive.max() > _WIDE * positive.min():
        ax.set_yscale("log")
