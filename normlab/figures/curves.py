"""Loss and test accuracy along training, a column a learning rate; or losses alone."""

import math

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from normlab.analysis.summary import (
    interval_columns,
    interval_name,
    main_metric,
    median_interval,
    settings_label,
)
from normlab.figures.panels import legend, title
from normlab.figures.style import band, looks, style
from normlab.figures.tables import few, left_out, place_of, points

_BINS = 60
_MOST_COLUMNS = 6
# The metric that a run is judged by -> what is drawn of it, from above.
_ROWS = {
    "test_accuracy": {
        "batch_loss": "batch loss (nats)",
        "test_accuracy": "test accuracy",
    },
    "test_loss": {
        "batch_loss": "batch loss (squared error)",
        "test_loss": "test loss (squared error)",
    },
}


def _over_seeds(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    keys = ["setting", "point", "epoch"]
    found = rows.groupby(keys, sort=False)[metric].apply(median_interval)
    values = interval_columns(found).reset_index(drop=True)
    return pd.concat([found.index.to_frame(index=False), values], axis=1)


def tabulate(frame: pd.DataFrame) -> pd.DataFrame:
    """What `draw` draws: medians over seeds, by epoch.

    Returns:
      A row a (metric, setting, point of the dynamic axes, epoch) with `Interval`'s
      columns. The batch loss of each member is first averaged over bins of
      ``steps_averaged`` steps, ``epoch`` then being the bin's middle. A member is in
      the median of the loss while its loss is finite (``n`` says how many are), and
      in the median of the accuracy to the end.
    """
    frame = frame.assign(
        setting=settings_label(frame),
        point=points(frame),
        epoch=frame["step"] * frame["batch_size"] / frame["train_size"],
    )
    width = max(1, math.ceil(frame["steps"].max() / _BINS))
    losses = _binned(frame, width)
    score = main_metric(frame)
    scores = frame[frame[score].notna()]
    tables = (
        _over_seeds(losses, "batch_loss").assign(
            metric="batch_loss", steps_averaged=width
        ),
        _over_seeds(scores, score).assign(metric=score, steps_averaged=1),
    )
    return pd.concat(tables, ignore_index=True).assign(where=place_of(frame))


def _binned(frame: pd.DataFrame, width: int) -> pd.DataFrame:
    """Mean batch loss of each member over bins of steps, where it is finite.

    A bin's epoch is the mean over all its steps, finite or not, so that members of
    one setting share their epochs wherever one of them diverges.
    """
    trained = frame[frame["step"] < frame["steps"]]
    finite = trained["batch_loss"].where(np.isfinite(trained["batch_loss"]))
    trained = trained.assign(batch_loss=finite, bin=trained["step"] // width)
    keys = ["setting", "point", "member", "bin"]
    means = trained.groupby(keys, sort=False)[["epoch", "batch_loss"]].mean()
    return means.reset_index().dropna(subset="batch_loss")


def draw(table: pd.DataFrame) -> Figure:
    """Batch losses above, what the run is judged by below; one line a setting."""
    score = "test_loss" if (table["metric"] == "test_loss").any() else "test_accuracy"
    names = _ROWS[score]
    every = list(dict.fromkeys(table["point"]))
    columns = few(every, _MOST_COLUMNS)
    styles = looks(table["setting"])
    with style():
        figure = Figure(
            figsize=(max(1.2 + 2.1 * len(columns), 4.8), 4.6), layout="constrained"
        )
        axes = figure.subplots(
            len(names), len(columns), sharex=True, sharey="row", squeeze=False
        )
        for ax_row, (metric, name) in zip(axes, names.items(), strict=True):
            ax_row[0].set_ylabel(name)
            for ax, point in zip(ax_row, columns, strict=True):
                rows = table[(table["metric"] == metric) & (table["point"] == point)]
                for label, look in styles.items():
                    mine = rows[rows["setting"] == label]
                    marker = look["marker"] if metric == score else ""
                    look = look | {"marker": marker}
                    band(ax, mine["epoch"], mine, look=look, label=label)
        losses = table.loc[table["metric"] == "batch_loss"]
        if score == "test_loss":
            for ax_row, metric in zip(axes, names, strict=True):
                ax_row[0].set_yscale("log")
                ax_row[0].set_ylim(*_log_limits(table[table["metric"] == metric]))
        else:
            axes[0, 0].set_ylim(*_loss_limits(losses))
        for ax, point in zip(axes[0], columns, strict=True):
            ax.set_title(point)
        for ax in axes[-1]:
            ax.set_xlabel("epoch")
        width = 1 if losses.empty else int(losses["steps_averaged"].max())
        parts = [
            table["where"].iloc[0],
            f"median over seeds, band: {interval_name(int(table['n'].max()))}",
            f"losses averaged over {width} steps",
            left_out(columns, every),
        ]
        title(figure, parts)
        legend(figure)
    return figure


def _loss_limits(losses: pd.DataFrame) -> tuple[float, float]:
    """From 0 to the largest loss, or to twice the usual first one if that is less.

    So the curves that diverge, up to half of them, cannot flatten the others.
    """
    if losses.empty:
        return 0.0, 1.0
    first = losses.drop_duplicates(["setting", "point"])["median"]
    top = min(float(losses["median"].max()), 2 * float(first.median()))
    return 0.0, 1.1 * top if top > 0 else 1.0


def _log_limits(losses: pd.DataFrame) -> tuple[float, float]:
    """`_loss_limits` for a logarithmic axis, which begins below the least loss."""
    positive = losses[np.isfinite(losses["median"]) & (losses["median"] > 0)]
    _, top = _loss_limits(positive)
    least = top if positive.empty else float(positive["median"].min())
    return 0.8 * min(least, top / 10), top
