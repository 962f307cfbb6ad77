"""Turns the rows of a run into tables for figures: names, bins, medians over seeds.

A figure's table is tidy. In addition to its own columns, it has:

- ``setting``: the settings that distinguish a cell, mainly the norm, and the grouping
  of channels. Each has its own colour.
- ``point``: the point on the dynamic axes, such as ``lr 0.1``. Each usually has its own
  panel.
- ``median``, ``low``, ``high``, ``n`` and ``coverage`` over seeds
  (`normlab.statistics.intervals.Interval`).
- ``source``: `RUN`, or one of `PUBLISHED` for a published curve.
- ``run``: with several runs, the name of the run, which ``setting`` then contains too
  (`with_runs`); empty for a published curve.
- ``where``: dataset, model and batch size; ``loss_unit``: nats or squared error.
"""

import functools
from collections.abc import Iterable, Sequence, Sized
from typing import TypeVar

import numpy as np
import pandas as pd

from normlab.data.tasks import REGRESSIONS
from normlab.errors import UserError
from normlab.figures.paper import tell_left_out
from normlab.figures.places import place_of
from normlab.settings import PLAIN
from normlab.statistics.finals import (
    dynamic_columns,
    place_text,
    settings_label,
    trained_on,
)
from normlab.statistics.intervals import median_intervals
from normlab.words import plural

RUN, PAPER, REPORT = "run", "Santurkar et al. 2018", "student report (digitised)"
PUBLISHED = (PAPER, REPORT)


_MANY_EPOCHS = 8  # so many have a bin each


class NotDrawn(UserError):
    """A run has no data for a figure. The message says what is missing."""


class DivergedEarly(NotDrawn):
    """A figure has no data because members diverged too early."""


def check_curves(table: pd.DataFrame) -> None:
    """Checks that a table has a curve with at least two points, or no rows.

    Args:
      table: the table from `with_lost`.

    Raises:
      NotDrawn: every curve is a single point: the run has one step, or it is a thin
        copy of a run with one evaluation. `DivergedEarly` if members diverged.
    """
    if len(table) and not table.duplicated(["setting", "point"]).any():
        if table["diverged"].any():
            raise DivergedEarly(
                "it shows curves, but members diverged before their second point"
            )
        raise NotDrawn("it shows curves, but the run has a single point of each")


def points(frame: pd.DataFrame) -> pd.Series:
    """The name of each row's point on the dynamic axes: ``lr 0.001``."""
    return place_text(frame[dynamic_columns(frame)])


def with_names(frame: pd.DataFrame) -> pd.DataFrame:
    """``frame`` with ``setting`` and ``point``."""
    return frame.assign(setting=settings_label(frame), point=points(frame))


def with_lengths(frame: pd.DataFrame) -> pd.DataFrame:
    """`with_names`, and ``length``: of the trial step, eta x learning rate.

    Raises:
      NotDrawn: no learning rate is known, as in a `normlab.Log` without ``lr``.
    """
    if frame["lr"].isna().all():
        raise NotDrawn("it needs the learning rate (lr), but it is not known")
    return with_names(frame).assign(length=frame["eta"] * frame["lr"])


def with_epochs(frame: pd.DataFrame) -> pd.DataFrame:
    """`with_names`, and ``epoch``: the step in passes over the training images."""
    epoch = frame["step"] * frame["batch_size"] / trained_on(frame)
    return with_names(frame).assign(epoch=epoch)


def is_plain(frame: pd.DataFrame, names: Iterable[str] = PLAIN) -> pd.Series:
    """Whether each row's settings ``names`` are those of `normlab.settings.PLAIN`."""
    same = [frame[name].eq(PLAIN[name]) for name in names]
    return functools.reduce(lambda a, b: a & b, same)


def is_regression(frame: pd.DataFrame) -> pd.Series:
    """Whether each row's loss is a squared error; otherwise it is in nats."""
    return frame["dataset"].isin(REGRESSIONS)


def with_origin(table: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """``table`` with the columns ``where`` and ``loss_unit``, from the run's ``frame``.

    Raises:
      NotDrawn: the table is empty. `DivergedEarly` if members diverged.
    """
    if table.empty:
        lost = "diverged" in frame and frame["diverged"].any()
        raise (DivergedEarly if lost else NotDrawn)(
            "the run has no finite values for it"
        )
    units = is_regression(frame).map({True: "squared error", False: "nats"})
    return table.assign(where=place_of(frame), loss_unit=" or ".join(units.unique()))


def of_images(table: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """`with_origin`, for a quantity of the loss over the first training images."""
    where = place_of(frame.assign(batch_size=0)).replace(", batches of 0", "")
    sizes = sorted(frame["probe_images"].unique())
    images = f"{', '.join(map(str, sizes))} training {plural(max(sizes), 'image')}"
    words = f"{where}, loss over the first {images}"
    return with_origin(table, frame).assign(where=words)


def over_seeds(rows: pd.DataFrame, keys: Sequence[str], field: str) -> pd.DataFrame:
    """The median of ``field`` over seeds, for every existing combination of ``keys``.

    Only finite values count, and ``n`` is their number.
    """
    rows = rows[np.isfinite(rows[field])]
    return median_intervals(rows, keys, field).assign(source=RUN)


def with_lost(
    table: pd.DataFrame, rows: pd.DataFrame, field: str, frame: pd.DataFrame, x: str
) -> pd.DataFrame:
    """``table`` with ``diverged``: how many diverged seeds have their last value there.

    Args:
      table: `over_seeds` of ``field`` in ``rows``, along ``x``.
      rows: the values of single members.
      field: the plotted column.
      frame: the table of the run, with ``setting``, ``point`` and ``diverged``.
      x: the column along the horizontal axis.
    """
    member, place = ["setting", "point", "member"], ["setting", "point", x]
    lost = frame.groupby(member)["diverged"].any()
    last = rows[np.isfinite(rows[field])].groupby(member)[x].max()
    ends = last[lost[last.index]].reset_index().value_counts(place)
    counts = ends.reindex(pd.MultiIndex.from_frame(table[place]), fill_value=0)
    return table.assign(diverged=counts.to_numpy())


def published(rows: pd.DataFrame, value: str, source: str = PAPER) -> pd.DataFrame:
    """Rows of `normlab.figures.reference.beside` as rows of a figure's table.

    ``n`` is 1, because no source publishes intervals.

    Args:
      rows: the published curves.
      value: the column to plot.
      source: the name of the source.
    """
    ends = {name: rows[value] for name in ("median", "low", "high")}
    rest = rows.drop(columns=["low", "high"], errors="ignore")
    return rest.assign(**ends, n=1, coverage=0.0, source=source)


def stack(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Concatenates tables. Empty tables do not affect the types of columns."""
    filled = [table for table in tables if not table.empty]
    return pd.concat(filled, ignore_index=True) if filled else tables[0]


def binned(
    frame: pd.DataFrame,
    field: str,
    statistic: str = "mean",
    bins: int = 100,
    x: str = "step",
    of_epochs: bool = False,
) -> pd.DataFrame:
    """One value per member and bin of training steps.

    Args:
      frame: the table of a run.
      field: the column to reduce.
      statistic: ``mean`` or ``median``.
      bins: the maximum number of bins in each member's training.
      x: the column along the horizontal axis.
      of_epochs: whether bins are whole epochs in a training of at least eight.

    Returns:
      A table with ``setting``, ``point``, ``member``, ``x`` (the mean over the bin),
      ``field`` (the mean or median of its finite values) and ``steps_averaged`` (the
      width of the bin). The members of a setting have the same bins, even if one of
      them diverges.
    """
    rows = trained(frame, x)
    longest = rows.groupby(["cell", "member"])["count"].transform("max")
    width = np.maximum(np.ceil(rows["steps"] / bins), longest).astype(int)
    if of_epochs:
        epoch = np.ceil(rows["train_size"] / rows["batch_size"]).astype(int)
        whole = epoch * np.ceil(width / epoch).astype(int)
        width = np.where(rows["steps"] >= _MANY_EPOCHS * epoch, whole, width)
    rows = rows.assign(bin=rows["step"] // width, steps_averaged=width)
    keys = ["setting", "point", "member", "bin", "steps_averaged"]
    return averaged(rows, field, keys, x, statistic).drop(columns="count")


def trained(frame: pd.DataFrame, x: str = "step") -> pd.DataFrame:
    """The rows of training steps, with ``count``: the number of steps per row.

    ``count`` is 1, except in a thin copy (`normlab.store.thin`), whose rows cover all
    steps since the previous row. ``step`` and ``x`` are then those of the middle.
    """
    count = frame.groupby(["cell", "member"])["step"].diff().fillna(1).astype(int)
    middle = 1 - (count - 1) / 2 / frame["step"].clip(lower=1)
    moved = {name: frame[name] * middle for name in ("step", x)}
    is_trained = (frame["step"] < frame["steps"]) | (count > 1)
    return frame.assign(count=count, **moved)[is_trained]


def averaged(
    rows: pd.DataFrame, field: str, keys: Sequence[str], x: str, statistic: str = "mean"
) -> pd.DataFrame:
    """Averages the rows from `trained` over steps, for every combination of ``keys``.

    Returns:
      A table with ``keys``, ``x`` (its mean), ``field`` (the mean or median of its
      finite values) and ``count`` (the number of steps).
    """
    count = rows["count"]
    finite = rows[field].where(np.isfinite(rows[field]))
    parts = {
        "count": count,
        "measured": count.where(finite.notna(), 0),
        x: rows[x] * count,
        field: finite * count,
    }
    groups = rows.assign(**parts).groupby(list(keys), sort=False)
    sums = groups[list(parts)].sum()
    values = sums[field] / sums["measured"].replace(0, np.nan)
    if statistic == "median":
        values = (
            rows.assign(**{field: finite})
            .groupby(list(keys), sort=False)[field]
            .median()
        )
    means = {x: sums[x] / sums["count"], field: values, "count": sums["count"]}
    return pd.DataFrame(means).reset_index()


def averages(words: str, table: pd.DataFrame) -> str:
    """``words`` and the width of the bins from `binned`: ``medians of 4 to 20 steps``.

    "" if the bins are single steps.
    """
    widths = table["steps_averaged"].dropna()
    if not (widths > 1).any():
        return ""
    low, high = int(widths.min()), int(widths.max())
    return f"{words} {high} steps" if low == high else f"{words} {low} to {high} steps"


T = TypeVar("T")


def few(items: Iterable[T], most: int) -> list[T]:
    """At most ``most`` evenly spaced items, including the first and the last."""
    values = list(items)
    if len(values) <= most:
        return values
    picked = np.linspace(0, len(values) - 1, most).round().astype(int)
    return [values[i] for i in picked]


def left_out(chosen: Sized, items: Iterable, what: str = "") -> str:
    """``3 of 7 norms shown``, or "" if all ``items`` are chosen."""
    every = len(set(items))
    if len(chosen) >= every:
        return ""
    words = f"{f'{len(chosen)} of {every} {what}'.strip()} shown"
    tell_left_out(words)
    return words


def middle(items: Iterable[T]) -> T:
    """The item in the middle; of sorted learning rates, not an extreme one."""
    values = list(items)
    return values[len(values) // 2]
