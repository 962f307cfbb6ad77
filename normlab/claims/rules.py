"""Rules that turn an interval into *supported*, *contradicted* or *undecided*.

A claim is supported when the whole interval lies where the claim puts the value, and
contradicted when the whole interval lies elsewhere; between the two, and with fewer
seeds than `LEAST_SEEDS`, nothing is decided. So "no difference" is not what a wide
interval says: it is a claim with a margin (`within`), and a wide interval leaves it
open (equivalence testing, Schuirmann 1987).

An interval is compared as it is shown: one that reads [-1.500, 0.040] lies within 1.5.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from normlab.statistics.intervals import Interval, shown

SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"
# The range of five values holds the median with 94 %, that of four with 88 %.
LEAST_SEEDS = 5
LEAST_COVERAGE = 0.9


@dataclass(frozen=True)
class Rule:
    """When an interval supports a claim, and when it contradicts it.

    Attributes:
      words: the rule in words.
      supports, contradicts: (low, high) of the interval, as shown -> whether it does.
    """

    words: str
    supports: Callable[[float, float], bool]
    contradicts: Callable[[float, float], bool]

    def verdict(self, interval: Interval) -> str:
        """One of `SUPPORTED`, `CONTRADICTED`, `UNDECIDED`."""
        if not enough(interval):
            return UNDECIDED
        low, high = shown(interval.low), shown(interval.high)
        if math.isnan(low) or math.isnan(high):
            return UNDECIDED
        if self.supports(low, high):
            return SUPPORTED
        return CONTRADICTED if self.contradicts(low, high) else UNDECIDED


def enough(interval: Interval) -> bool:
    """Whether there are seeds enough to decide anything."""
    return interval.n >= LEAST_SEEDS and interval.coverage >= LEAST_COVERAGE


def _words(bound: float) -> str:
    """A bound in words.

    Raises:
      ValueError: an interval is shown less finely, so nobody could see it met.
    """
    if shown(bound) != bound:
        raise ValueError(f"the bound {bound!r} is finer than what is shown")
    return f"{bound:g}"


def above(bound: float) -> Rule:
    """The value is greater than ``bound``."""
    return Rule(
        f"supported if the interval lies above {_words(bound)}, contradicted if "
        "below it",
        lambda low, high: low > bound,
        lambda low, high: high < bound,
    )


def below(bound: float) -> Rule:
    """The value is less than ``bound``."""
    return Rule(
        f"supported if the interval lies below {_words(bound)}, contradicted if "
        "above it",
        lambda low, high: high < bound,
        lambda low, high: low > bound,
    )


def at_most(bound: float) -> Rule:
    """The value is not greater than ``bound``, but may be equal to it."""
    return Rule(
        f"supported if no part of the interval lies above {_words(bound)}, "
        "contradicted if all of it does",
        lambda low, high: high <= bound,
        lambda low, high: low > bound,
    )


def at_least(bound: float) -> Rule:
    """The value is not less than ``bound``, but may be equal to it."""
    return Rule(
        f"supported if no part of the interval lies below {_words(bound)}, "
        "contradicted if all of it does",
        lambda low, high: low >= bound,
        lambda low, high: high < bound,
    )


def within(margin: float) -> Rule:
    """The value is 0 for all that matters: nearer to it than ``margin``."""
    return Rule(
        f"supported if the interval lies within ±{_words(margin)}, contradicted if it "
        "lies wholly outside",
        lambda low, high: low >= -margin and high <= margin,
        lambda low, high: high < -margin or low > margin,
    )
