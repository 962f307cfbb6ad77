"""Batch loss and test accuracy (or test loss) during training, by learning rate."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from normlab.figures.messages import highest, last_rows
from normlab.figures.panels import apart, legend, lines, say_beyond
from normlab.figures.scales import log_axis
from normlab.figures.style import style
from normlab.figures.tables import (
    averages,
    binned,
    check_curves,
    over_seeds,
    stack,
    with_epochs,
    with_lost,
    with_origin,
)
from normlab.statistics.finals import main_metric

_BINS = 60
_WIDE = 20
_ROWS = {
    "batch_loss": "batch loss\n({unit})",
    "test_accuracy": "test accuracy",
    "test_loss": "test loss\n({unit})",
}


def tabulate(frame: pd.DataFrame) -> pd.DataFrame:
    """The table for `draw`: one row per (metric, setting, point, epoch).

    The metrics are the batch loss and the run's main metric. Each member's batch loss
    is first averaged over bins of ``steps_averaged`` steps, and ``epoch`` is the middle
    of the bin. A median includes a member while its value is finite, and ``n`` counts
    these members. ``diverged`` counts the members that diverge next (`with_lost`).

    Raises:
      NotDrawn: every curve would be a single point, or no value is finite.
    """
    frame = with_epochs(frame)
    bins = binned(frame, "batch_loss", bins=_BINS, x="epoch")
    keys, score = ["setting", "point", "epoch"], main_metric(frame)
    losses = over_seeds(bins, [*keys, "steps_averaged"], "batch_loss")
    losses = with_lost(losses, bins, "batch_loss", frame, "epoch")
    check_curves(losses)
    scores = over_seeds(frame, keys, score).assign(steps_averaged=1)
    healthy = frame[~frame["diverged"]]
    scores = with_lost(scores, healthy, score, frame, "epoch")
    tables = [losses.assign(metric="batch_loss"), scores.assign(metric=score)]
    return with_origin(stack(tables), frame)


@style()
def draw(table: pd.DataFrame) -> Figure:
    """Batch losses on top, the run's main metric below, with one line per setting.

    Crosses mark where seeds diverged.
    """
    score = "test_loss" if (table["metric"] == "test_loss").any() else "test_accuracy"
    unit = table["loss_unit"].iloc[0]
    final = last_rows(table[table["metric"] == score], "epoch")
    table = apart(table)
    losses = table[table["metric"] == "batch_loss"]
    figure, axes = lines(
        table,
        row="metric",
        ylabels={name: _ROWS[name].format(unit=unit) for name in ("batch_loss", score)},
        x="epoch",
        xlabel="epoch",
        marked=[score],
        what=averages("losses averaged over", losses),
        says=highest(final, f"final {score.replace('_', ' ')}", score == "test_loss"),
    )
    for (metric, _), ax in axes.items():
        if score == "test_loss":
            ax.set_yscale("log")
            ax.set_ylim(*_log_limits(table[table["metric"] == metric]))
        elif metric == "batch_loss" and not _is_wide(losses):
            ax.set_ylim(*_loss_limits(losses))
    if score != "test_loss" and _is_wide(losses):
        row = [ax for (metric, _), ax in axes.items() if metric == "batch_loss"]
        log_axis(row, losses["median"])
        low, high = row[0].get_ylim()
        row[0].set_ylim(low, min(high, _loss_limits(losses)[1]))
    for (metric, point), ax in axes.items():
        say_beyond(ax, table[(table["metric"] == metric) & (table["point"] == point)])
    legend(figure)
    return figure


def _is_wide(losses: pd.DataFrame) -> bool:
    """Whether losses span so large a factor that a linear axis flattens curves."""
    finite = losses["median"][np.isfinite(losses["median"])]
    positive = finite[finite > 0]
    return len(positive) > 0 and bool(positive.max() > _WIDE * positive.min())


def _loss_limits(losses: pd.DataFrame) -> tuple[float, float]:
    """From 0 to the largest loss, but at most four times the median initial loss.

    Diverging curves (up to half of them) therefore do not flatten the others.
    """
    if losses.empty:
        return 0.0, 1.0
    first = losses.drop_duplicates(["setting", "point"])["median"]
    top = min(float(losses["median"].max()), 4 * float(first.median()))
    return 0.0, 1.1 * top if top > 0 else 1.0


def _log_limits(losses: pd.DataFrame) -> tuple[float, float]:
    """`_loss_limits` for a logarithmic axis, which starts below the smallest loss."""
    positive = losses[np.isfinite(losses["median"]) & (losses["median"] > 0)]
    _, top = _loss_limits(positive)
    least = top if positive.empty else float(positive["median"].min())
    return 0.8 * min(least, top / 10), top
