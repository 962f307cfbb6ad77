"""How many seeds a decision needs, from a mean and a standard deviation."""

import math

import numpy as np
from scipy import stats

from normlab.statistics.paired import LEVEL

POWER = 0.8
_MOST = 2000


def power_above(distance: float, sd: float, n, level: float = LEVEL) -> np.ndarray:
    """The power of a t test to find a mean that lies ``distance`` above its bound.

    Args:
      distance, sd: of the true distribution, which is normal; sd > 0.
      n: numbers of seeds, at least 2.
      level: the confidence of the two-sided interval that has to exclude the bound.
    """
    n = np.asarray(n, float)
    critical = stats.t.ppf((1 + level) / 2, n - 1)
    return stats.nct.sf(critical, n - 1, distance * np.sqrt(n) / sd)


def power_equivalent(
    mean: float, margin: float, sd: float, n, level: float = LEVEL
) -> np.ndarray:
    """The power to show that a mean lies within ±``margin``; as `power_above`.

    It neglects that both one-sided tests share an estimate of sd (Phillips 1990).
    """
    lower = power_above(margin + mean, sd, n, level)
    upper = power_above(margin - mean, sd, n, level)
    return np.maximum(0.0, lower + upper - 1)


def seeds_above(
    distance: float,
    sd: float,
    least: int,
    level: float = LEVEL,
    power: float = POWER,
) -> float:
    """The smallest number of seeds with a power; infinite if over 2000.

    Equal seeds (sd = 0) have no t test, but a sign test.

    Args:
      distance, sd, level: as in `power_above`.
      least: no fewer seeds than this.
      power: the power.
    """
    if not distance > 0 or not 0 <= sd < math.inf:
        return math.inf
    if sd == 0:
        return _equal(least, level)
    return _first(lambda n: power_above(distance, sd, n, level), power, least)


def seeds_equivalent(
    mean: float,
    margin: float,
    sd: float,
    least: int,
    level: float = LEVEL,
    power: float = POWER,
) -> float:
    """As `seeds_above`, to show that the mean lies within ±``margin``."""
    if not abs(mean) < margin or not 0 <= sd < math.inf:
        return math.inf
    if sd == 0:
        return _equal(least, level)
    return _first(lambda n: power_equivalent(mean, margin, sd, n, level), power, least)


def _equal(least: int, level: float) -> float:
    """How many equal values a sign test needs: twice 0.5^n is at most 1 - level."""
    return float(max(least, 1 + math.ceil(-math.log2(1 - level))))


def _first(power_of, power: float, least: int) -> float:
    low, high = least, _MOST
    if power_of(high) < power:
        return math.inf
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if power_of(middle) >= power else (middle + 1, high)
    return float(low)
