"""Medians over seeds with intervals, final values, best points."""

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from normlab.cell import HYPERPARAMETERS
from normlab.config import LABEL_AXES, STATIC_AXES
from normlab.data.tasks import REGRESSIONS
from normlab.metrics import EVALUATIONS
from normlab.norms import NORMS

# In the place of a number that is NaN.
_LOST = "diverged"


class Interval(NamedTuple):
    """A median with its confidence interval.

    Attributes:
      median: the sample median.
      low: lower end.
      high: upper end.
      n: how many values.
      coverage: the confidence that [low, high] holds the population's median.
    """

    median: float
    low: float
    high: float
    n: int
    coverage: float

    @classmethod
    def of(cls, row: Any) -> "Interval":
        """The interval of a row that has its fields among others, by name."""
        return cls(*(row[name] for name in cls._fields))

    @property
    def text(self) -> str:
        """``0.500 [0.480, 0.520]``; where a network lost its number, ``diverged``."""
        numbers = (self.median, self.low, self.high)
        if all(map(math.isnan, numbers)):
            return _LOST
        median, low, high = (_LOST if math.isnan(x) else _short(x) for x in numbers)
        return f"{median} [{low}, {high}]"


def shown(value: float) -> float:
    """``value`` as far as `Interval.text` tells it."""
    return float(_short(value).replace(",", ""))


def _short(value: float) -> str:
    """Three decimals; none from 100 on, and a power of ten where they would be 0."""
    if 0 < abs(value) < 0.0005:
        return f"{value:.1e}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3f}"


def median_interval(values, level: float = 0.95) -> Interval:
    """The median and its distribution-free interval from order statistics.

    [x_(k), x_(n+1-k)] holds the median with probability 1 - 2 P(Binomial(n, 1/2) < k),
    whatever the distribution (David & Nagaraja 2003, section 7.1). k is the largest
    that keeps ``level``; below six values none does, and the interval is the range,
    of lower ``coverage`` (3 values: 0.75; 5: 0.9375). NaNs are left out.
    """
    x = np.sort(np.asarray(values, float))
    x = x[~np.isnan(x)]
    n = len(x)
    if n == 0:
        return Interval(math.nan, math.nan, math.nan, 0, 0.0)
    k, coverage = _rank(n, level)
    return Interval(float(np.median(x)), float(x[k - 1]), float(x[n - k]), n, coverage)


def median_intervals(
    rows: pd.DataFrame, keys: Sequence[str], field: str
) -> pd.DataFrame:
    """`median_interval` of a column, for every combination of ``keys`` that occurs.

    Of all of them at once: figures ask for thousands.

    Returns:
      ``keys`` and the fields of `Interval`, in the order of first occurrence.
    """
    groups = rows.groupby(list(keys), sort=False)
    table = groups.size().index.to_frame(index=False)
    number, values = groups.ngroup().to_numpy(), rows[field].to_numpy(float)
    counted = (number >= 0) & ~np.isnan(values)
    number, values = number[counted].astype(int), values[counted]
    x = values[np.lexsort((values, number))]
    n = np.bincount(number, minlength=len(table))
    ranks = [_rank(count) for count in n.tolist()]
    k = np.array([place for place, _ in ranks], int)
    coverage = np.array([covered for _, covered in ranks], float)
    # A NaN for those that have no value; each other one is at an index of x.
    x, first = np.append(x, math.nan), np.cumsum(n) - n

    def at(place: np.ndarray) -> np.ndarray:
        return x[np.where(n, first + place, len(x) - 1)]

    with np.errstate(invalid="ignore"):  # of -inf and inf there is no mean
        median = (at((n - 1) // 2) + at(n // 2)) / 2
    return table.assign(
        median=median,
        low=at(k - 1),
        high=at(n - k),
        n=n,
        coverage=coverage,
    )


@functools.cache
def _rank(n: int, level: float = 0.95) -> tuple[int, float]:
    """Which of ``n`` sorted values bounds the interval, and its coverage."""
    k, coverage = 1, _coverage(n, 1)
    while 2 * (k + 1) <= n and _coverage(n, k + 1) >= level:
        k += 1
        coverage = _coverage(n, k)
    return k, coverage


def _coverage(n: int, k: int) -> float:
    tail = sum(math.comb(n, i) for i in range(k)) / 2**n
    return max(0.0, 1 - 2 * tail)


def interval_name(n: int) -> str:
    """How to call the interval of ``n`` seeds in a caption."""
    if n < 2:
        return "one seed, no interval"
    if n < 6:
        return f"range of {n} seeds ({_coverage(n, 1):.0%} interval of the median)"
    return f"95% interval of the median of {n} seeds"


def number(value: float) -> str:
    """The shortest text that reads back as ``value``: 0.001, 1e-05."""
    short = f"{value:g}"
    return short if float(short) == value else repr(float(value))


def static_columns(frame: pd.DataFrame) -> list[str]:
    """The static axes along which a run's cells differ, but for those in `label`."""
    cells = frame.drop_duplicates("cell")
    names = [name for name in STATIC_AXES if name not in LABEL_AXES]
    return [name for name in names if cells[name].nunique(dropna=False) > 1]


def dynamic_columns(frame: pd.DataFrame) -> list[str]:
    """``lr``, and momentum and weight decay where a run varies them."""
    names = [name for name in HYPERPARAMETERS if frame[name].nunique() > 1]
    return names if "lr" in names else ["lr", *names]


def settings_label(frame: pd.DataFrame) -> pd.Series:
    """For every row what sets it apart: ``group (G=4), batch_size 50``.

    That is its cell and, where members of a run differ in it, the grouping of its
    channels: ``group_correlated (G=4), random``. Learning rates and the like, which are
    numbers, are `dynamic_columns`.
    """
    label = frame["label"].astype(str)
    assigned = frame["norm"].isin([k for k, entry in NORMS.items() if entry.assigned])
    if frame.loc[assigned, "grouping"].nunique() > 1:
        label = label.mask(assigned, label + ", " + frame["grouping"].astype(str))
    for name in static_columns(frame):
        label = label + f", {name} " + frame[name].astype(str)
    return label


def main_metric(frame: pd.DataFrame) -> str:
    """What a run is judged by: test accuracy, or test loss where none has an accuracy.

    That is so in a regression. A network that gives no numbers has none either, which
    says nothing of the run.
    """
    if frame["dataset"].isin(REGRESSIONS).all():
        return "test_loss"
    scores = frame.loc[np.isfinite(frame["test_loss"]), "test_accuracy"]
    return "test_loss" if len(scores) and scores.isna().all() else "test_accuracy"


def final_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """The row of every member at its last step; unfinished members have none."""
    return frame[frame["step"] == frame["steps"]]


def worst_if_lost(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """``rows``; a member whose network gives no numbers any more is worse than any.

    Its loss is infinite. Its accuracy, which is NaN, is less than every other. If such
    members were left out, a setting would be judged by the seeds that survived it.
    """
    worst = math.inf if "_loss" in metric else -math.inf
    lost = rows["diverged"] & rows[metric].isna()
    return rows.assign(**{metric: rows[metric].mask(lost, worst)})


def evaluated_by(frame: pd.DataFrame, statistics: str) -> pd.DataFrame:
    """``frame`` with the `EVALUATIONS` by some statistics.

    Args:
      statistics: running, batch or precise; NaN where a norm with running averages
        was not evaluated by them. Any other norm is evaluated in one way only.
    """
    main = frame["eval_statistics"].astype(str).str.split(",").str[0]
    several = [name for name, entry in NORMS.items() if entry.running]
    only = (main == statistics) | ~frame["norm"].isin(several)
    columns = {}
    for name in (name for name in EVALUATIONS if name in frame):
        main_values, own_column = frame[name].where(only), f"{name}_{statistics}"
        columns[name] = (
            frame[own_column].fillna(main_values)
            if own_column in frame
            else main_values
        )
    return frame.assign(**columns)


def summarize(frame: pd.DataFrame, metric: str = "test_accuracy") -> pd.DataFrame:
    """The final value of ``metric``, over seeds.

    Args:
      frame: what `normlab.store.load` returned.

    Returns:
      A row a (setting, learning rate, ...): ``setting``, the dynamic axes,
      ``median``, ``low``, ``high``, ``n``, and ``diverged``, how many of the ``n``
      seeds diverged. They count with the value they ended at, and as `worst_if_lost`
      where that is NaN: a median, or an end, that is theirs is an infinite loss, and
      NaN of an accuracy.
    """
    final = final_rows(frame.assign(setting=settings_label(frame)))
    return finals(final, ["setting", *dynamic_columns(frame)], metric)


def finals(final: pd.DataFrame, keys: Sequence[str], metric: str) -> pd.DataFrame:
    """As `summarize`, of ``final`` rows, for every combination of ``keys``."""
    diverged = final.groupby(list(keys), sort=False)["diverged"].sum().to_numpy()
    table = median_intervals(worst_if_lost(final, metric), keys, metric)
    return table.replace(-math.inf, math.nan).assign(diverged=diverged)


def best(
    table: pd.DataFrame, higher: bool = True, keys: Sequence[str] = ("setting",)
) -> pd.DataFrame:
    """The row with the best median, for every combination of ``keys``.

    The first of equals; a NaN loses. The order is that in which they first occur.
    """
    keys = list(keys)
    order = table.sort_values("median", ascending=not higher, kind="stable")
    return table[keys].drop_duplicates().merge(order.drop_duplicates(keys), on=keys)


def place_text(table: pd.DataFrame) -> pd.Series:
    """A name for each row's point of the dynamic axes that it has: ``lr 0.001``."""
    names = [name for name in HYPERPARAMETERS if name in table]
    words = [f"{name} " + table[name].map(number) for name in names]
    return functools.reduce(lambda a, b: a + ", " + b, words)


def text_table(table: pd.DataFrame, metric: str = "test_accuracy") -> str:
    """`summarize`'s table for people: settings down, learning rates across."""
    if table.empty:
        return f"final {metric}: no member has finished"

    def words(row) -> str:
        text = Interval.of(row).text
        lost = int(row["diverged"])
        if text == _LOST:
            return f"{lost} of {row['n']} diverged"
        return f"{text} ({lost} diverged)" if lost else text

    cells = table.assign(text=table.apply(words, axis=1), at=place_text(table))
    rows, columns = dict.fromkeys(cells["setting"]), list(dict.fromkeys(cells["at"]))
    grid = {(r["setting"], r["at"]): r["text"] for _, r in cells.iterrows()}
    lines = [["norm", *columns]]
    lines += [[s, *(grid.get((s, c), "-") for c in columns)] for s in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    body = "\n".join(
        "  ".join(w.ljust(n) for w, n in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
    n = int(table["n"].max())
    return f"final {metric}: median [{interval_name(n)}]\n{body}"
