"""The median of a sample, its interval, and how to write both."""

import functools
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

# Written instead of a number that is NaN.
LOST = "diverged"
# The smallest number of values with an interval of 95%.
_ENOUGH = 6
# Of medians over one seed, and over none.
_ONE, _NONE = "one seed", "no finite value"


class Interval(NamedTuple):
    """A median with its confidence interval.

    Attributes:
      median: the sample median.
      low: lower end.
      high: upper end.
      n: the number of values.
      coverage: the confidence that [low, high] contains the population's median.
    """

    median: float
    low: float
    high: float
    n: int
    coverage: float

    @classmethod
    def of(cls, row: Any) -> "Interval":
        """The interval of a row that has its fields, by name, among others."""
        return cls(*(row[name] for name in cls._fields))

    @property
    def text(self) -> str:
        """``0.500 [0.480, 0.520]``, or ``diverged`` if all are NaN."""
        numbers = (self.median, self.low, self.high)
        if all(map(math.isnan, numbers)):
            return LOST
        median, low, high = (LOST if math.isnan(x) else short(x) for x in numbers)
        return f"{median} [{low}, {high}]"


def short(value: float) -> str:
    """``value`` with three decimals, or none from 100 on.

    A power of ten if all decimals would be 0.
    """
    if 0 < abs(value) < 0.0005:
        return f"{value:.1e}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3f}"


def median_interval(values, level: float = 0.95) -> Interval:
    """The median and its distribution-free interval from order statistics.

    [x_(k), x_(n+1-k)] has the median with probability 1 - 2 P(Binomial(n, 1/2) < k),
    for any distribution (David & Nagaraja 2003, section 7.1). k is the largest number
    that keeps ``level``. Below six values none does. The interval is then the range,
    with a lower ``coverage`` (3 values: 0.75; 5: 0.9375). NaNs are left out.
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

    Computes all of them at once, because figures need thousands.

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
    # One NaN for combinations without values. Every other value has an index in x.
    x, first = np.append(x, math.nan), np.cumsum(n) - n

    def at(place: np.ndarray) -> np.ndarray:
        return x[np.where(n, first + place, len(x) - 1)]

    with np.errstate(invalid="ignore"):  # the mean of -inf and inf is not defined
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


def interval_name(counts: Iterable[float]) -> str:
    """The name in a caption of the intervals of medians.

    Args:
      counts: the numbers of seeds behind the medians; 0 is a missing median.
    """
    least, n = least_and_most(counts)
    if n < 2:
        return f"{_ONE if n else _NONE}, no interval"
    seeds = f"{n} seeds" if least == n else f"{least} to {n} seeds"
    if least >= _ENOUGH:
        return f"95% interval of the median of {seeds}"
    if n >= _ENOUGH:
        return f"95% interval of the median of {seeds}, or the range below {_ENOUGH}"
    covers = f"{_coverage(n, 1):.0%}"
    if least != n:
        lowest = f"{_coverage(least, 1):.0%} to" if least > 1 else "at most"
        covers = f"{lowest} {covers}"
    return f"range of {seeds} ({covers} interval of the median)"


def seeds_words(counts: Iterable[float], ends: str = "band") -> str:
    """What a figure shows of its seeds: ``median over seeds, band: range of 3 ...``.

    Args:
      counts: the numbers of seeds behind the medians; 0 is a missing median.
      ends: what shows the intervals.
    """
    counts = list(counts)
    most = max(counts, default=0)
    if most < 2:
        return _ONE if most else _NONE
    return f"median over seeds, {ends}: {interval_name(counts)}"


def least_and_most(counts: Iterable[float]) -> tuple[int, int]:
    """The range of the numbers of seeds, without those that are 0."""
    known = [int(n) for n in counts if n > 0] or [0]
    return min(known), max(known)


def number(value: float) -> str:
    """The shortest text that reads back as ``value``: 0.001, 1e-05."""
    short = f"{value:g}"
    return short if float(short) == value else repr(float(value))
