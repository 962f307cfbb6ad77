"""Rules: which statements about an effect support a claim, and which contradict it.

A rule turns the values of seeds into p-values of three statements: that the claim is
true, that it is false, and that there is no difference that matters. Each is twice a
one-sided p-value. So all statements with a p-value of at most `ALPHA` follow from one
interval with a confidence of 95%, and together they are right with that confidence.

An identity or a bound is no matter of statistics. Its rule compares every network.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from normlab.statistics.paired import (
    LEVEL,
    above_p,
    new_value_p,
    prediction_interval,
)

SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"
NO_DIFFERENCE = "no difference"
NOT_AT_SCALE = "not at its scale"
IDENTITY_HOLDS = "identity holds"
VERDICTS = (
    SUPPORTED,
    CONTRADICTED,
    NO_DIFFERENCE,
    IDENTITY_HOLDS,
    UNDECIDED,
    NOT_AT_SCALE,
)
ALPHA = 1 - LEVEL
LEAST_SEEDS = 5
# The widest prediction interval, in units of the measure, that can reproduce a number.
WIDEST = 3.0

# (values, bound) -> a one-sided p-value of the mean being above the bound.
AboveP = Callable[[np.ndarray, float], float]


class Statements(NamedTuple):
    """p-values (twice one-sided) of what can be said about a claim or a part.

    Attributes:
      supports: of the claim.
      contradicts: of its opposite.
      equivalent: of a difference within the margin of its unit.
    """

    supports: float
    contradicts: float
    equivalent: float

    @property
    def verdict(self) -> str:
        """The verdict at level `ALPHA`."""
        words = (SUPPORTED, CONTRADICTED, NO_DIFFERENCE)
        for word, p in zip(words, self, strict=True):
            if p <= ALPHA:
                return word
        return UNDECIDED

    @property
    def p(self) -> float:
        """The p-value of the verdict; the smallest one if it is undecided."""
        words = (SUPPORTED, CONTRADICTED, NO_DIFFERENCE)
        found = dict(zip(words, self, strict=True))
        return found.get(self.verdict, min(self))


NOTHING_SAID = Statements(1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Rule:
    """When values support a claim, and when they contradict it.

    Attributes:
      words: a description of the rule.
      kind: ``above``, ``below``, ``within`` or ``predicted``; if exact, ``identity``,
        ``at_most`` or ``at_least``.
      bound: the bound or margin, in the unit of the measure.
    """

    words: str
    kind: str
    bound: float

    @property
    def exact(self) -> bool:
        """Whether the rule compares every network instead of a mean."""
        return self.kind in ("identity", "at_most", "at_least")

    def statements(
        self,
        values,
        margin: float | None = None,
        ratio: bool = False,
        above: AboveP | None = None,
    ) -> Statements:
        """What the values of seeds say.

        Args:
          values: (n,), without NaNs; logarithms for a ratio.
          margin: a difference within ±margin does not matter. None if differences from
            `bound` are no differences from 0.
          ratio: whether the values are logarithms of a ratio.
          above: the test; Student's t by default.
        """
        x = np.asarray(values, float)
        test = above or (lambda x, bound: float(above_p(x, bound)))
        if len(x) < LEAST_SEEDS:
            return NOTHING_SAID
        if self.kind == "predicted":
            return self._predicted(x)
        bound = math.log(self.bound) if ratio else self.bound

        def over(bound: float) -> float:
            return min(1.0, 2 * test(x, bound))

        def under(bound: float) -> float:
            return min(1.0, 2 * test(-x, -bound))

        def close(margin: float) -> float:
            return max(over(-margin), under(margin))

        if self.kind == "within":
            outside = min(over(bound), under(-bound))
            return Statements(close(bound), outside, 1.0)
        alike = close(margin) if margin is not None and bound == 0 else 1.0
        up, down = over(bound), under(bound)
        first, second = (up, down) if self.kind == "above" else (down, up)
        return Statements(first, second, alike)

    def _predicted(self, x: np.ndarray) -> Statements:
        """Whether a published value, subtracted from x, can be one more of its kind."""
        if not np.isfinite(x).all():
            return NOTHING_SAID
        low, high = prediction_interval(x)
        narrow = low <= 0 <= high and high - low <= 2 * self.bound
        p = min(1.0, 2 * float(new_value_p(x, 0.0)))
        return Statements(0.0 if narrow else 1.0, p, 1.0)

    def holds(self, values) -> bool:
        """Whether an exact rule holds for all values."""
        x = np.asarray(values, float)
        if self.kind == "at_least":
            return bool((x >= self.bound).all())
        return bool((np.abs(x) <= self.bound).all())


def above(bound: float) -> Rule:
    """The mean is greater than ``bound``."""
    return Rule(
        f"supported if the interval lies above {bound:g}, contradicted if it lies "
        "below",
        "above",
        bound,
    )


def below(bound: float) -> Rule:
    """The mean is less than ``bound``."""
    return Rule(
        f"supported if the interval lies below {bound:g}, contradicted if it lies "
        "above",
        "below",
        bound,
    )


def within(margin: float) -> Rule:
    """The mean is practically 0: within ``margin`` of it (two one-sided tests)."""
    return Rule(
        f"supported if the interval lies within ±{margin:g}, contradicted if it lies "
        "entirely outside",
        "within",
        margin,
    )


def predicted() -> Rule:
    """A published single number can be one more value of the same kind."""
    return Rule(
        "supported if the published number lies in the 95% prediction interval of one "
        f"more seed and the interval reaches at most ±{WIDEST:g}, contradicted if it "
        "lies outside",
        "predicted",
        WIDEST,
    )


def identity(tolerance: float) -> Rule:
    """Both sides of an identity agree to ``tolerance`` in every network."""
    return Rule(
        f"holds if every network stays within {tolerance:g}; no statistic",
        "identity",
        tolerance,
    )


def at_least(bound: float) -> Rule:
    """A bound holds in every network; a single counterexample contradicts it."""
    return Rule(
        f"holds if no network is below {bound:g}; no statistic", "at_least", bound
    )


def at_most(bound: float) -> Rule:
    """As `at_least`, for values that must not be above ``bound``."""
    return Rule(
        f"holds if no network is above {bound:g}; no statistic", "at_most", bound
    )
