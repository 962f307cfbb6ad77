"""The shift between two samples, with an interval."""

import functools
import math

import numpy as np

from normlab.statistics.intervals import Interval


def shift_interval(first, second, level: float = 0.95) -> Interval:
    """The shift from ``second`` to ``first``, two unpaired samples.

    The estimate is the Hodges-Lehmann estimate: the median of all mn differences. The
    interval is [D_(k), D_(mn+1-k)] of the ordered differences. It contains the shift
    with probability 1 - 2 P(U < k), where U is the Mann-Whitney statistic of equal
    distributions (Hollander, Wolfe & Chicken 2014, sections 4.2 and 4.3). This is exact
    without ties. k is at least 1, and otherwise the largest value for which the
    probability is at least ``level``. NaNs are left out. ``n`` is the size of the
    smaller sample.
    """
    x, y = (np.asarray(values, float) for values in (first, second))
    x, y = x[~np.isnan(x)], y[~np.isnan(y)]
    if not len(x) or not len(y):
        return Interval(math.nan, math.nan, math.nan, 0, 0.0)
    apart = np.sort(np.subtract.outer(x, y).ravel())
    k = 1
    while 2 * (k + 1) <= len(apart) and _coverage(len(x), len(y), k + 1) >= level:
        k += 1
    return Interval(
        float(np.median(apart)),
        float(apart[k - 1]),
        float(apart[-k]),
        min(len(x), len(y)),
        _coverage(len(x), len(y), k),
    )


def _coverage(m: int, n: int, k: int) -> float:
    tail = sum(_ways(m, n, u) for u in range(k)) / math.comb(m + n, m)
    return max(0.0, 1 - 2 * tail)


@functools.cache
def _ways(m: int, n: int, u: int) -> int:
    """The number of orderings of m and n values with U = u (Mann & Whitney 1947)."""
    if u < 0:
        return 0
    if m == 0 or n == 0:
        return int(u == 0)
    return _ways(m - 1, n, u - n) + _ways(m, n - 1, u)
