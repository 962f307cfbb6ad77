"""Final test accuracy (or test loss) against the learning rate, for every norm."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from normlab.cell import HYPERPARAMETERS
from normlab.figures.against import aside, bars
from normlab.figures.colours import looks, two_parts
from normlab.figures.fitting import columns_for, panel_size
from normlab.figures.headings import title
from normlab.figures.messages import joined, listed, short
from normlab.figures.panels import crosses, grid, legend
from normlab.figures.places import place_of
from normlab.figures.scales import accuracy_axis
from normlab.figures.style import style
from normlab.figures.tables import NotDrawn, few, left_out
from normlab.statistics.finals import main_metric, summarize
from normlab.statistics.intervals import number, seeds_words
from normlab.words import counted

_MOST_COLUMNS, _MOST_PANELS = 4, 12
# With more learning rates than this, matplotlib chooses the ticks.
_MOST_TICKS = 7
# What is near to the best: a difference of accuracies, or a ratio of losses.
_NEAR, _FACTOR = 0.1, 2.0
_MOST_LINES = 5  # that a headline names
_WORST = -1.0  # stands for the accuracy of what diverged: below any other
_ROOM, _ROOM_INCHES = 0.12, 0.14


def tabulate(frame: pd.DataFrame) -> pd.DataFrame:
    """The table for `draw`: `summarize` of the final `main_metric`.

    Raises:
      NotDrawn: there is only one learning rate.
    """
    if frame["lr"].nunique() < 2:
        raise NotDrawn("it needs several learning rates, but the run has one")
    metric = main_metric(frame)
    table = summarize(frame, metric)
    line = table["setting"]
    for name in HYPERPARAMETERS:
        if name != "lr" and name in table:
            line = line + f", {name} " + table[name].map(number)
    table = table.assign(line=line, where=place_of(frame), metric=metric)
    return table.sort_values("lr", kind="stable")


@style()
def draw(table: pd.DataFrame) -> Figure:
    """One line per setting. Crosses mark learning rates at which seeds diverged.

    A cross is thick if all seeds diverged. It is at the edge of the panel if so many
    diverged that there is no median. If norms and other settings both vary, each of the
    other settings has its own panel.
    """
    table = table.sort_index().replace(np.inf, np.nan)  # infinity cannot be plotted
    metric = "test_accuracy" if table.empty else str(table["metric"].iloc[0])
    says = _says(table, metric)
    every = {"": table}
    if parts := two_parts(table["line"]):
        split = [parts[str(line)] for line in table["line"]]
        table = table.assign(
            line=[norm for norm, _ in split], rest=[rest for _, rest in split]
        )
        every = {str(rest): rows for rest, rows in table.groupby("rest", sort=False)}
    panels = {name: every[name] for name in few(every, _MOST_PANELS)}
    columns = min(len(panels), columns_for(_MOST_COLUMNS))
    rows = math.ceil(len(panels) / columns)
    width = 4.6 if len(panels) == 1 else 2.8
    height = 2.6 if len(panels) == 1 else 2.2
    figure, axes = grid(
        rows, columns, width=width, height=height, sharex=True, sharey=True
    )
    order = dict.fromkeys(line for rows in panels.values() for line in rows["line"])
    styles = looks(order)
    rates = table["lr"][table["median"].notna() | (table["diverged"] > 0)]
    _set_scale(axes[0, 0], rates)
    if metric == "test_loss" and table["median"].notna().any():
        axes[0, 0].set_yscale("log")
    for ax, (name, shown) in zip(axes.flat, panels.items(), strict=False):
        ax.set_title(name)
        edge = 0.97 if "loss" in metric else 0.03
        _panel(ax, shown.sort_values("lr", kind="stable"), styles, edge)
    for ax in list(axes.flat)[len(panels) :]:
        ax.set_visible(False)
    axes[0, 0].autoscale_view()
    _ticks(axes[0, 0], rates)
    unit = " (squared error)" if metric == "test_loss" else ""
    for ax in axes[:, 0]:
        ax.set_ylabel(f"final {metric.replace('_', ' ')}{unit}")
    for i, ax in enumerate(axes.flat):
        if i + columns >= len(panels):  # nothing is below it
            ax.set_xlabel("learning rate")
            ax.tick_params(labelbottom=True)
    if metric == "test_accuracy":
        accuracy_axis(axes[0, 0])
    title(figure, [*_title(table), left_out(panels, every)], says)
    legend(figure)
    return figure


def _panel(ax: Axes, table: pd.DataFrame, styles: dict, edge: float) -> None:
    """Draws one panel.

    Args:
      ax: the panel.
      table: the rows to draw.
      styles: line -> its style.
      edge: the height of crosses without a median, as a fraction of the panel's height.
    """
    for i, (line, look) in enumerate(styles.items()):
        rows = table[table["line"] == line]
        if len(rows):
            bars(ax, i, len(styles), rows["lr"], rows, label=line, **look)
    for i, line in enumerate(styles):
        rows = table[(table["line"] == line) & (table["diverged"] > 0)]
        for whole, lost in rows.groupby(rows["diverged"] == rows["n"]):
            ended = lost["median"].notna()
            at_edge = lost["lr"][~ended], np.full(int((~ended).sum()), edge)
            for (x, y), base in (
                ((lost["lr"][ended], lost["median"][ended]), ax.transData),
                (at_edge, ax.get_xaxis_transform()),
            ):
                if len(x):
                    place = aside(ax, i, len(styles), base)
                    crosses(ax, x, y, bool(whole), transform=place)
                    # As for bars: shifted artists do not affect the limits.
                    ax.update_datalim(np.column_stack([x, x]), updatey=False)


def _says(table: pd.DataFrame, metric: str) -> str:
    """At how many learning rates each line comes near to the best.

    If all lines do so at equally many: where their accuracies differ most.
    """
    values = table["median"]
    if not np.isfinite(values).any():
        return ""
    if metric == "test_loss":
        is_near = values <= _FACTOR * values.min()
        words = f"At most {_FACTOR:g} times the lowest"
    else:
        is_near = values >= values.max() - _NEAR
        words = f"Within {100 * _NEAR:g} points of the best"
    of_line = is_near.groupby(table["line"], sort=False).agg(["sum", "size"])
    shares = {
        str(line): (int(near), int(rates))
        for line, near, rates in of_line.itertuples(name=None)
    }
    score = metric.replace("_", " ")
    if len(shares) > 1 and len(set(shares.values())) == 1 and metric != "test_loss":
        return _widest(table, score)
    return f"{words} {score}: {_at_rates(shares)}"


def _at_rates(shares: dict[str, tuple[int, int]]) -> str:
    """``none at 4 of 6 learning rates, batch and group at 5``; of many, the extremes.

    Args:
      shares: line -> the number of its learning rates that count, and of all of them.
    """
    groups: dict[tuple[int, int], list[str]] = {}
    for line, share in shares.items():
        groups.setdefault(share, []).append(line)
    if len(groups) == 1 < len(shares):
        groups = dict.fromkeys(groups, ["all"])
    order, (begin, between) = list(groups), ("", ", ")
    if any(", " in line for line in shares):
        between = "; "
    if len(shares) > _MOST_LINES and len(groups) > 1:
        order.sort(key=lambda share: share[0] / share[1])
        order, begin, between = [order[0], order[-1]], "from ", " to "
    words = []
    for near, rates in order:
        total = f" of {counted(rates, 'learning rate')}"
        total = "" if words and rates == order[0][1] else total
        words.append(f"{joined(groups[near, rates], _MOST_LINES)} at {near}{total}")
    return f"{begin}{between.join(words)}"


def _widest(table: pd.DataFrame, score: str) -> str:
    """The final values at the learning rate at which the lines differ most.

    A line that diverged differs most from the others. "" if all lines are equal.
    """
    medians = table["median"].fillna(_WORST).groupby(table["lr"])
    ranges = medians.max() - medians.min()
    lr = float(ranges.index.to_numpy()[ranges.argmax()])
    at = table[table["lr"] == lr]
    values = dict(zip(at["line"].astype(str), at["median"], strict=True))
    if len({short(x) for x in values.values()}) == 1:
        return ""
    return listed(f"Largest difference at lr {number(lr)}, in final {score}", values)


def _title(table: pd.DataFrame) -> list[str]:
    if table.empty:
        return ["no member has finished training"]
    return [table["where"].iloc[0], seeds_words(table["n"], "bars")]


def _set_scale(ax: Axes, rates: pd.Series) -> None:
    """Makes the axis logarithmic, with a linear part around 0 if 0 is a rate."""
    positive = rates[rates > 0]
    if positive.empty:
        return
    if len(positive) == len(rates):
        ax.set_xscale("log")
    else:
        ax.set_xscale("symlog", linthresh=float(positive.min()))


def _ticks(ax: Axes, rates: pd.Series) -> None:
    """Sets ticks at the rates, with space at both ends for shifted markers."""
    ax.margins(x=max(_ROOM, _ROOM_INCHES / panel_size(ax)[0]))
    ticks = sorted(set(rates))
    if 0 < len(ticks) <= _MOST_TICKS:
        ax.xaxis.set_major_locator(FixedLocator(ticks))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: number(x)))
        ax.tick_params(axis="x", labelrotation=30 if len(ticks) > 4 else 0)
