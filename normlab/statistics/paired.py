"""Tests and intervals for the mean of paired differences.

Values are the differences of one pair per seed: logarithms of ratios for a ratio. Where
a docstring gives shapes, leading axes are independent samples, for simulations.

All p-values here are one-sided. A statement from a two-sided interval of confidence
1 - a has a one-sided p-value of at most a / 2.

Equal values have no spread to test against, so they have no interval and no t test:
the sign test is used for them.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from normlab.statistics.intervals import median_interval

# (values, bound) -> one-sided p-values of the mean being above the bound.
AboveP = Callable[[np.ndarray, float], Any]
LEVEL = 0.95
# A sign-flip test has 2^n outcomes, so below six values none is rare enough.
LEAST_FLIPPED = 6
# Values that differ by rounding alone are equal. Their unit makes them of order 1.
_ROUNDING = 1e-10
_RESAMPLES = 9999


class Estimate(NamedTuple):
    """An estimate with its confidence interval.

    Attributes:
      estimate: the mean, or the median if a value is infinite.
      low, high: ends of the interval; NaN if all values are equal.
      n: the number of values.
      level: the confidence of the interval.
      sd: the standard deviation of the values; NaN if a value is infinite.
    """

    estimate: float
    low: float
    high: float
    n: int
    level: float
    sd: float


NOTHING = Estimate(math.nan, math.nan, math.nan, 0, 0.0, math.nan)


def estimate(values, level: float = LEVEL) -> Estimate:
    """The mean of values (n,) with Student's t interval.

    If a value is infinite (a network that diverged), there is no mean. The estimate is
    then the median with its interval from order statistics, whose confidence may be
    below ``level`` (`normlab.statistics.intervals.median_interval`).
    """
    x = np.asarray(values, float)
    if not len(x):
        return NOTHING
    if not np.isfinite(x).all():
        found = median_interval(x, level)
        ends = found.median, found.low, found.high
        return Estimate(*ends, found.n, found.coverage, math.nan)
    mean, low, high, sd = (float(v) for v in t_interval(x, level))
    return Estimate(mean, low, high, len(x), level, sd)


def t_interval(x: np.ndarray, level: float = LEVEL) -> tuple:
    """Mean, low, high and standard deviation of finite values (..., n).

    Equal values have NaN for low and high.
    """
    mean, sd, error = _moments(x)
    if x.shape[-1] < 2:
        return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan), sd
    half = stats.t.ppf((1 + level) / 2, x.shape[-1] - 1) * error
    half = np.where(sd > 0, half, np.nan)
    return mean, mean - half, mean + half, sd


def spreads(x: np.ndarray) -> np.ndarray:
    """Whether the values (..., n) differ by more than rounding."""
    return ~(np.ptp(x, axis=-1) <= _ROUNDING * np.maximum(1, np.abs(x).max(-1)))


def prediction_interval(x: np.ndarray, level: float = LEVEL) -> tuple:
    """Low and high of the interval for one more value like the n of (..., n).

    Equal values have none: NaN.
    """
    mean, sd, _ = _moments(x)
    n = x.shape[-1]
    half = stats.t.ppf((1 + level) / 2, n - 1) * sd * math.sqrt(1 + 1 / n)
    half = np.where(sd > 0, half, np.nan)
    return mean - half, mean + half


def new_value_p(x: np.ndarray, value: float) -> np.ndarray:
    """One-sided p-value of ``value`` as one more value like those of (..., n).

    If they are equal, it is that of an extreme rank.
    """
    mean, sd, _ = _moments(x)
    n = x.shape[-1]
    return _tail(np.abs(value - mean), sd * math.sqrt(1 + 1 / n), n - 1, 1 / (n + 1))


def above_p(values, bound: float) -> np.ndarray:
    """p-value of the mean of (..., n) being above ``bound``, by Student's t test.

    With infinite values, it is that of the median of (n,), by the sign test. So it is
    for equal values.
    """
    x = np.asarray(values, float)
    if not np.isfinite(x).all():
        apart = x[x != bound]
        over = int((apart > bound).sum())
        found = stats.binomtest(over, len(apart), alternative="greater")
        return np.asarray(found.pvalue if len(apart) else 1.0)
    mean, _, error = _moments(x)
    n = x.shape[-1]
    return _tail(mean - bound, error, n - 1, 0.5**n)


def with_error(sd: float) -> AboveP:
    """`above_p` for a mean with a further independent error of known size ``sd``.

    The variances add up, and the degrees of freedom are Satterthwaite's (1946).
    """

    def above(values, bound: float) -> np.ndarray:
        x = np.asarray(values, float)
        if not np.isfinite(x).all():
            return above_p(x, bound)
        mean, _, error = _moments(x)
        n = x.shape[-1]
        scale, freedom = _widened(error, sd, n)
        return _tail(mean - bound, np.where(error > 0, scale, 0), freedom, 0.5**n)

    return above


def widened_interval(x: np.ndarray, sd: float, level: float = LEVEL) -> tuple:
    """Low and high of the interval of `with_error`, for finite (..., n)."""
    mean, _, error = _moments(x)
    scale, freedom = _widened(error, sd, x.shape[-1])
    half = stats.t.ppf((1 + level) / 2, freedom) * np.where(error > 0, scale, np.nan)
    return mean - half, mean + half


def _widened(error: np.ndarray, sd: float, n: int) -> tuple:
    """The combined standard error, and its degrees of freedom (error > 0)."""
    scale = np.hypot(error, sd)
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = (n - 1) * (scale / error) ** 4
    return scale, np.where(error > 0, freedom, np.inf)


def below_p(values, bound: float, above: AboveP = above_p) -> np.ndarray:
    """p-value of the mean being below ``bound``, by the test ``above``."""
    return above(-np.asarray(values, float), -bound)


def equivalence_p(values, margin: float, above: AboveP = above_p) -> np.ndarray:
    """p-value of the mean of (..., n) lying within ±``margin``.

    Two one-sided tests (Schuirmann 1987): the larger of their p-values.
    """
    return np.maximum(above(values, -margin), below_p(values, margin, above))


def flip_p(values, bound: float) -> float:
    """As `above_p` for (n,), by the permutation test that flips signs.

    It assumes that the differences are symmetrical about the bound, but not that they
    are normal. All 2^n outcomes are computed up to n = 13, and 9999 random ones beyond.
    """
    found = stats.permutation_test(
        (np.asarray(values, float) - bound,),
        lambda x, axis: np.mean(x, axis=axis),
        permutation_type="samples",
        alternative="greater",
        vectorized=True,
        n_resamples=_RESAMPLES,
        rng=np.random.default_rng(0),
    )
    return float(found.pvalue)


def bootstrap_interval(values, level: float = LEVEL) -> tuple[float, float]:
    """The BCa bootstrap interval of the mean of (n,) (Efron 1987).

    Values that are all equal, or of which all but one are, have no such interval
    beyond what their range says: then it is (their least, their largest).
    """
    x = np.asarray(values, float)
    apart = np.sort(x)
    if len(x) < 3 or np.isclose(apart[0], apart[-2]) or np.isclose(*apart[[1, -1]]):
        return float(apart[0]), float(apart[-1])
    found = stats.bootstrap(
        (x,),
        np.mean,
        confidence_level=level,
        n_resamples=_RESAMPLES,
        method="BCa",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(found.low), float(found.high)


def _moments(x: np.ndarray) -> tuple:
    """Mean, standard deviation and standard error over the last axis."""
    n = x.shape[-1]
    mean = x.mean(-1)
    sd = x.std(-1, ddof=1) if n > 1 else np.full_like(mean, np.nan)
    sd = np.where(spreads(x), sd, 0.0) if n > 1 else sd
    return mean, sd, sd / math.sqrt(n)


def _tail(distance, scale, freedom, without: float) -> np.ndarray:
    """P(T > distance / scale). Without a scale: ``without`` if it is positive, or 1."""
    if np.all(np.asarray(freedom) < 1):
        return np.ones_like(distance)
    with np.errstate(divide="ignore", invalid="ignore"):
        tail = stats.t.sf(np.divide(distance, scale), freedom)
    apart = np.asarray(distance) > _ROUNDING
    return np.where(scale > 0, tail, np.where(apart, without, 1.0))
