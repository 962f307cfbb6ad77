"""Rules: which statements about an effect support a claim, and which contradict it.

A rule turns the values of seeds into p-values of three statements: that the claim is
true, that it is false, and that there is no difference that matters. Each is twice a
one-sided p-value. So all statements with a p-value of at most `ALPHA` follow from one
interval with a confidence of 95%, and together they are right with that confidence.
Equal seeds have no interval, and the sign test decides.

That a published number can be one more of ours is not such a statement (`predicted`).
Only its opposite is tested. Where the test does not reject, the verdict says no more.

An identity or a bound is no matter of statistics. Its rule compares every network.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from normlab.statistics.paired import (
    LEVEL,
    AboveP,
    above_p,
    below_p,
    equivalence_p,
    new_value_p,
    prediction_interval,
)

SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"
NO_DIFFERENCE = "no difference"
NOT_AT_SCALE = "not at its scale"
IDENTITY_HOLDS = "identity holds"
NOT_REJECTED = "not rejected"
VERDICTS = (
    SUPPORTED,
    CONTRADICTED,
    NO_DIFFERENCE,
    NOT_REJECTED,
    IDENTITY_HOLDS,
    UNDECIDED,
    NOT_AT_SCALE,
)
ALPHA = 1 - LEVEL
LEAST_SEEDS = 5
# The widest prediction interval, in units of the measure, that can reproduce a number.
WIDEST = 3.0


class Statements(NamedTuple):
    """p-values (twice one-sided) of what can be said about a claim or a part.

    Each is a float, or an array over samples (`Rule.statements`).

    Attributes:
      supports: of the claim. Where the claim is that a number can be one more of ours,
        0 if this is not rejected, and 1 otherwise: no p-value.
      contradicts: of its opposite.
      equivalent: of a difference within the margin of its unit.
    """

    supports: Any
    contradicts: Any
    equivalent: Any

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
        """The p-value of the claim or its opposite, whichever is smaller."""
        return min(self.supports, self.contradicts)


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
    def brief(self) -> str:
        """What has to hold, in a few words: ``above 0``, ``within ±0.02``."""
        if self.kind in ("within", "identity"):
            return f"within ±{self.bound:g}"
        if self.predicts:
            return f"predicted, no end farther than {self.bound:g}"
        return f"{self.kind.replace('_', ' ')} {self.bound:g}"

    @property
    def exact(self) -> bool:
        """Whether the rule compares every network instead of a mean."""
        return self.kind in ("identity", "at_most", "at_least")

    @property
    def predicts(self) -> bool:
        """Whether the rule asks if a number can be one more of ours."""
        return self.kind == "predicted"

    def verdict(self, said: Statements) -> str:
        """The verdict that follows from the rule's statements."""
        found = said.verdict
        return NOT_REJECTED if found == SUPPORTED and self.predicts else found

    def statements(
        self,
        values,
        margin: float | None = None,
        ratio: bool = False,
        above: AboveP | None = None,
    ) -> Statements:
        """What the values of seeds say.

        Args:
          values: (..., n), without NaNs; logarithms for a ratio. Leading axes are
            independent samples, and the statements have them too.
          margin: a difference within ±margin does not matter. None if differences from
            `bound` are no differences from 0.
          ratio: whether the values are logarithms of a ratio.
          above: the test; Student's t by default.
        """
        x = np.asarray(values, float)
        if x.shape[-1] < LEAST_SEEDS:
            return NOTHING_SAID
        if self.predicts:
            found = self._predicted(x)
        else:
            found = self._tested(x, margin, ratio, above or above_p)
        return Statements(*map(float, found)) if x.ndim == 1 else Statements(*found)

    def _tested(self, x: np.ndarray, margin: float | None, ratio: bool, test: AboveP):
        bound = math.log(self.bound) if ratio else self.bound

        def over(bound: float):
            return np.minimum(1.0, 2 * test(x, bound))

        def under(bound: float):
            return np.minimum(1.0, 2 * below_p(x, bound, test))

        def close(margin: float):
            return np.minimum(1.0, 2 * equivalence_p(x, margin, test))

        if self.kind == "within":
            outside = np.minimum(over(bound), under(-bound))
            return close(bound), outside, np.ones_like(outside)
        up, down = over(bound), under(bound)
        alike = np.ones_like(up)
        if margin is not None and bound == 0:
            alike = close(margin)
        return (up, down, alike) if self.kind == "above" else (down, up, alike)

    def _predicted(self, x: np.ndarray):
        """Whether a published value, subtracted from x, can be one more of its kind."""
        if not np.isfinite(x).all():
            return NOTHING_SAID
        low, high = prediction_interval(x)
        # A NaN, of equal values, is not narrow.
        farthest = np.maximum(np.abs(low), np.abs(high))
        narrow = (low <= 0) & (high >= 0) & (farthest <= self.bound)
        p = np.minimum(1.0, 2 * new_value_p(x, 0.0))
        return np.where(narrow, 0.0, 1.0), p, np.ones_like(p)

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


def predicted(widest: float = WIDEST) -> Rule:
    """A published single number can be one more value of the same kind.

    Args:
      widest: how far from the number the ends of the interval may lie, in the measure's
        unit.
    """
    return Rule(
        "not rejected if the published number lies in the 95% prediction interval of "
        f"one more seed and no end of the interval is farther than {widest:g} from it, "
        "contradicted if it lies outside",
        "predicted",
        widest,
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
