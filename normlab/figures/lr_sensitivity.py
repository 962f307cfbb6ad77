"""Final test accuracy against the learning rate, for every norm; or test loss."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from normlab.analysis.summary import interval_name, main_metric, number, summarize
from normlab.figures.style import looks, style

_ASIDE = 4.0


def tabulate(frame: pd.DataFrame) -> pd.DataFrame:
    """What `draw` draws: `summarize` of the final `main_metric`."""
    metric = main_metric(frame)
    table = summarize(frame, metric)
    line = table["setting"]
    for name in ("momentum", "weight_decay"):
        if name in table:
            line = line + f", {name} " + table[name].map(number)
    dataset = ", ".join(frame["dataset"].unique())
    table = table.assign(line=line, dataset=dataset, metric=metric)
    return table.sort_values("lr", kind="stable")


def draw(table: pd.DataFrame) -> Figure:
    """One line a setting; a cross marks where seeds diverged."""
    order = dict.fromkeys(table.sort_index()["line"])
    metric = "test_accuracy" if table.empty else str(table["metric"].iloc[0])
    table = table.replace(np.inf, np.nan)  # an infinite loss has no place on paper
    with style():
        figure = Figure(figsize=(5.6, 3.8), layout="constrained")
        ax = figure.subplots()
        _set_scale(ax, table["lr"][table["median"].notna()])
        for end in ("low", "high"):  # shifted artists do not count for the limits
            ax.update_datalim(table[["lr", end]].dropna().to_numpy())
        for i, (line, look) in enumerate(looks(order).items()):
            rows = table[table["line"] == line]
            # A few points aside on paper, so that bars do not hide each other.
            aside = ScaledTranslation(
                _ASIDE * (i - (len(order) - 1) / 2) / 72, 0, figure.dpi_scale_trans
            )
            ax.errorbar(
                rows["lr"],
                rows["median"],
                yerr=[rows["median"] - rows["low"], rows["high"] - rows["median"]],
                label=line,
                capsize=3,
                markersize=4.5,
                transform=ax.transData + aside,
                **look,
            )
            lost = rows[rows["diverged"] > 0]
            ax.plot(
                lost["lr"],
                lost["median"],
                "x",
                color="red",
                markersize=10,
                zorder=5,
                transform=ax.transData + aside,
            )
        ax.autoscale_view()
        ax.set_xlabel("learning rate")
        unit = " (squared error)" if metric == "test_loss" else ""
        ax.set_ylabel(f"final {metric.replace('_', ' ')}{unit}")
        if metric == "test_loss" and table["median"].notna().any():
            ax.set_yscale("log")
        ax.set_title(_title(table))
        handles, labels = ax.get_legend_handles_labels()
        if (table["diverged"] > 0).any():
            cross = Line2D([], [], color="red", marker="x", linestyle="")
            handles, labels = [*handles, cross], [*labels, "some seeds diverged"]
        if handles:
            ax.legend(handles, labels)
    return figure


def _title(table: pd.DataFrame) -> str:
    if table.empty:
        return "no member has finished"
    name = interval_name(int(table["n"].max()))
    return f"{table['dataset'].iloc[0]}: median and {name}"


def _set_scale(ax: Axes, rates: pd.Series) -> None:
    """Logarithmic, and with a linear piece around 0 where 0 is among the rates."""
    positive = rates[rates > 0]
    if positive.empty:
        return
    if len(positive) == len(rates):
        ax.set_xscale("log")
    else:
        ax.set_xscale("symlog", linthresh=float(positive.min()))
