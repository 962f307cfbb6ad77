"""From the rows of a run to what a figure plots: names, bins, medians over seeds.

A figure's table is tidy and has, beside its own columns:

- ``setting``: what sets a cell apart, mostly its norm, and the grouping of its
  channels; one colour each;
- ``point``: the place on the dynamic axes, ``lr 0.1``; mostly a panel each;
- ``median``, ``low``, ``high``, ``n`` and ``coverage`` over the seeds
  (`normlab.statistics.intervals.Interval`);
- ``source``: `RUN`, or one of `PUBLISHED` for a curve that is drawn beside;
- ``where``: dataset, model and batch size, and ``unit``, that of the loss.
"""

from collections.abc import Iterable, Sequence, Sized
from typing import TypeVar

import numpy as np
import pandas as pd

from normlab.data.spec import CIFAR10
from normlab.data.tasks import REGRESSIONS
from normlab.errors import UserError
from normlab.statistics.finals import dynamic_columns, place_text, settings_label
from normlab.statistics.intervals import median_intervals, number
from normlab.words import counted, plural

RUN, PAPER, REPORT = "run", "Santurkar et al. 2018", "student report (digitised)"
PUBLISHED = (PAPER, REPORT)


class NotDrawn(UserError):
    """A run has nothing that a figure could show; the message says what it lacks."""


class Lost(NotDrawn):
    """Members diverged too early for a figure to show anything of them."""


def check_curves(table: pd.DataFrame) -> None:
    """Whether there is a curve among those of ``setting`` and ``point``, or no row.

    Args:
      table: of `with_lost`.

    Raises:
      NotDrawn: each of them is a single point, as of a run of one step, or of a thin
        copy of one that was evaluated once; or `Lost`.
    """
    if len(table) and not table.duplicated(["setting", "point"]).any():
        if table["diverged"].any():
            raise Lost(
                "it shows curves, and members diverged before their second point"
            )
        raise NotDrawn("it shows curves, and the run has a single point of each")


def points(frame: pd.DataFrame) -> pd.Series:
    """A name for each row's point of the dynamic axes: ``lr 0.001``."""
    return place_text(frame[dynamic_columns(frame)])


def with_names(frame: pd.DataFrame) -> pd.DataFrame:
    """``frame`` with ``setting`` and ``point``."""
    return frame.assign(setting=settings_label(frame), point=points(frame))


def with_epochs(frame: pd.DataFrame) -> pd.DataFrame:
    """`with_names`, and ``epoch``, a step in passes over the training images."""
    epoch = frame["step"] * frame["batch_size"] / frame["train_size"]
    return with_names(frame).assign(epoch=epoch)


def is_regression(frame: pd.DataFrame) -> pd.Series:
    """Whether a row's loss is a squared error; any other is in nats."""
    return frame["dataset"].isin(REGRESSIONS)


def with_origin(table: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """``table`` with ``where`` and ``unit`` of the run's ``frame``.

    Raises:
      NotDrawn: the table is empty; `Lost`, if members diverged.
    """
    if table.empty:
        lost = "diverged" in frame and frame["diverged"].any()
        raise (Lost if lost else NotDrawn)("nothing that it shows is finite in the run")
    units = is_regression(frame).map({True: "squared error", False: "nats"})
    return table.assign(where=place_of(frame), unit=" or ".join(units.unique()))


def of_images(table: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """`with_origin`, of a quantity of the loss over the first training images."""
    where = place_of(frame.assign(batch_size=0)).removesuffix(", batches of 0")
    sizes = sorted(frame["probe_images"].unique())
    images = f"{', '.join(map(str, sizes))} training {plural(max(sizes), 'image')}"
    words = f"{where}, loss over the first {images}"
    return with_origin(table, frame).assign(where=words)


def place_of(frame: pd.DataFrame) -> str:
    """Where numbers are from: ``cifar10, vgg11 of width 0.125, batches of 128``.

    A width that is not 1, and a batch size, are said here unless they vary: then each
    ``setting`` says its own. So is how many of CIFAR-10's images were trained on, if
    not all: ``10000 images of cifar10``; and how many members diverged, if some did.
    """
    images = frame.loc[frame["dataset"].eq("cifar10"), "train_size"].unique()
    some = len(images) == 1 and images[0] < CIFAR10.train_images
    datasets = [
        f"{images[0]} images of {name}" if some and name == "cifar10" else name
        for name in frame["dataset"].unique()
    ]
    words = [", ".join(datasets), ", ".join(frame["model"].unique())]
    width, batch = frame["width"].unique(), frame["batch_size"].unique()
    if len(width) == 1 and width[0] != 1:
        words[-1] += f" of width {number(width[0])}"
    if len(batch) == 1:
        words.append(f"batches of {batch[0]}")
    if "diverged" in frame:
        lost = frame.groupby(["cell", "member"])["diverged"].any()
        if lost.any():
            words.append(f"{lost.sum()} of {counted(len(lost), 'member')} diverged")
    return ", ".join(words)


def over_seeds(rows: pd.DataFrame, keys: Sequence[str], field: str) -> pd.DataFrame:
    """The median of ``field`` for every combination of ``keys`` that occurs.

    A member counts while its value is finite; ``n`` says how many do.
    """
    rows = rows[np.isfinite(rows[field])]
    return median_intervals(rows, keys, field).assign(source=RUN)


def with_lost(
    table: pd.DataFrame, rows: pd.DataFrame, field: str, frame: pd.DataFrame, x: str
) -> pd.DataFrame:
    """``table`` with ``diverged``: how many seeds have their last number in a row.

    They are those of the members that diverged.

    Args:
      table: `over_seeds` of ``field`` in ``rows``, along ``x``.
      frame: of the run, with ``setting``, ``point`` and ``diverged``.
    """
    member, place = ["setting", "point", "member"], ["setting", "point", x]
    lost = frame.groupby(member)["diverged"].any()
    last = rows[np.isfinite(rows[field])].groupby(member)[x].max()
    ends = last[lost[last.index]].reset_index().value_counts(place)
    counts = ends.reindex(pd.MultiIndex.from_frame(table[place]), fill_value=0)
    return table.assign(diverged=counts.to_numpy())


def published(rows: pd.DataFrame, value: str, source: str = PAPER) -> pd.DataFrame:
    """Rows of `normlab.figures.reference.beside` as rows of a figure's table.

    Args:
      value: the column that is plotted. No source gives an interval: ``n`` is 1.
    """
    ends = {name: rows[value] for name in ("median", "low", "high")}
    rest = rows.drop(columns=["low", "high"], errors="ignore")
    return rest.assign(**ends, n=1, coverage=0.0, source=source)


def stack(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The tables below each other; empty ones have no say in the types of columns."""
    filled = [table for table in tables if not table.empty]
    return pd.concat(filled, ignore_index=True) if filled else tables[0]


def binned(
    frame: pd.DataFrame,
    field: str,
    statistic: str = "mean",
    bins: int = 100,
    x: str = "step",
) -> pd.DataFrame:
    """One value a member and bin of steps, of the steps that were trained.

    Args:
      bins: at most so many, of whole steps, in each member's training.
      x: what is drawn along the horizontal axis.

    Returns:
      ``setting``, ``point``, ``member``, ``x``, its mean over the bin, ``field``, the
      mean or median of its finite values, and ``steps_averaged``, the width of the
      bin. Members of a setting share their bins wherever one of them diverges.
    """
    rows = trained(frame, x)
    longest = rows.groupby(["cell", "member"])["count"].transform("max")
    width = np.maximum(np.ceil(rows["steps"] / bins), longest).astype(int)
    rows = rows.assign(bin=rows["step"] // width, steps_averaged=width)
    keys = ["setting", "point", "member", "bin", "steps_averaged"]
    return averaged(rows, field, keys, x, statistic).drop(columns="count")


def trained(frame: pd.DataFrame, x: str = "step") -> pd.DataFrame:
    """The rows of steps that were trained, with ``count``, how many each stands for.

    That is one; in a thin copy (`normlab.store.thin`) all since the row before.
    ``step`` and ``x``, which grows with it, are then those of their middle.
    """
    count = frame.groupby(["cell", "member"])["step"].diff().fillna(1).astype(int)
    middle = 1 - (count - 1) / 2 / frame["step"].clip(lower=1)
    moved = {name: frame[name] * middle for name in ("step", x)}
    is_trained = (frame["step"] < frame["steps"]) | (count > 1)
    return frame.assign(count=count, **moved)[is_trained]


def averaged(
    rows: pd.DataFrame, field: str, keys: Sequence[str], x: str, statistic: str = "mean"
) -> pd.DataFrame:
    """For every combination of ``keys`` the mean over steps of what `trained` returned.

    Returns:
      ``keys``, ``x``, its mean over all of the steps, ``field``, the mean or median
      over those where it is finite, and ``count``, how many steps there are.
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
    """``words`` and how wide the bins of `binned` are: ``medians of 4 to 20 steps``.

    Nothing where they are single steps.
    """
    widths = table["steps_averaged"].dropna()
    if not (widths > 1).any():
        return ""
    low, high = int(widths.min()), int(widths.max())
    return f"{words} {high} steps" if low == high else f"{words} {low} to {high} steps"


T = TypeVar("T")


def few(items: Iterable[T], most: int) -> list[T]:
    """At most ``most`` of the items, evenly, the first and the last among them."""
    values = list(items)
    if len(values) <= most:
        return values
    picked = np.linspace(0, len(values) - 1, most).round().astype(int)
    return [values[i] for i in picked]


def left_out(chosen: Sized, items: Iterable, what: str = "") -> str:
    """``3 of 7 norms shown``; nothing where ``chosen`` are all of the ``items``."""
    every = len(set(items))
    words = f"{len(chosen)} of {every} {what}".strip()
    return f"{words} shown" if len(chosen) < every else ""


def middle(items: Iterable[T]) -> T:
    """The item in the middle: of learning rates in order neither extreme."""
    values = list(items)
    return values[len(values) // 2]
