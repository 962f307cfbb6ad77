"""Rules that turn an interval into *supported*, *contradicted* or *undecided*.

A claim is supported if the whole interval agrees with it, and contradicted if the whole
interval disagrees. Otherwise, or with fewer than `LEAST_SEEDS` seeds, it is undecided.
A wide interval therefore never supports "no difference". Such a claim needs a margin
(`within`), as in equivalence testing (Schuirmann 1987).

The ends of an interval are compared as they are displayed: [-1.500, 0.040] lies within
1.5.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from normlab.statistics.intervals import Interval, shown

SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"
# The range of five values contains the median with probability 94%, of four with 88%.
LEAST_SEEDS = 5
LEAST_COVERAGE = 0.9


@dataclass(frozen=True)
class Rule:
    """When an interval supports a claim, and when it contradicts it.

    Attributes:
      words: a description of the rule.
      supports, contradicts: (low, high) of the interval as displayed -> bool.
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
    """Whether there are enough seeds for a decision."""
    return interval.n >= LEAST_SEEDS and interval.coverage >= LEAST_COVERAGE


def _words(bound: float) -> str:
    """A bound in words.

    Raises:
      ValueError: the bound has more digits than an interval displays.
    """
    if shown(bound) != bound:
        raise ValueError(f"the bound {bound!r} has more digits than are displayed")
    return f"{bound:g}"


def above(bound: float) -> Rule:
    """The value is greater than ``bound``."""
    return Rule(
        f"supported if the interval lies above {_words(bound)}, contradicted if it "
        "lies below",
        lambda low, high: low > bound,
        lambda low, high: high < bound,
    )


def below(bound: float) -> Rule:
    """The value is less than ``bound``."""
    return Rule(
        f"supported if the interval lies below {_words(bound)}, contradicted if it "
        "lies above",
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
    """The value is practically 0: within ``margin`` of it."""
    return Rule(
        f"supported if the interval lies within ±{_words(margin)}, contradicted if it "
        "lies entirely outside",
        lambda low, high: low >= -margin and high <= margin,
        lambda low, high: high < -margin or low > margin,
    )
