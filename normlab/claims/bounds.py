"""How far a verdict's interval lies from the bound of its rule, in margins.

Effects of different units cannot be shown on one axis. Their distances from the bounds
that decide can: a distance is positive where the claim is true, and it is divided by
the smallest difference that matters (`normlab.claims.margins`).
"""

import math
import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy import stats

from normlab.claims.claim import Claim, Part
from normlab.claims.margins import margin_of, margin_words
from normlab.claims.part import statements
from normlab.claims.rules import LEAST_SEEDS, NOTHING_SAID, Rule, Statements
from normlab.claims.verdict import Verdict
from normlab.statistics.intervals import number
from normlab.statistics.paired import LEVEL

_PARTIAL = re.compile(r"(width |batch size )?([\d.]+)( (?:steps|images|epochs))?")


class Distance(NamedTuple):
    """The distance of an interval from its bound.

    Attributes:
      low, middle, high: in margins; positive where the claim is true.
      margin: the margin in words: ``0.005 nats``; "" if the unit has none. The unit of
        the distance is then half the width of the interval.
    """

    low: float
    middle: float
    high: float
    margin: str

    @property
    def side(self) -> int:
        """1 if all of the interval speaks for the claim, -1 if against, else 0."""
        return (self.low > 0) - (self.high < 0)


def part_of(verdict: Verdict, claims: Mapping[str, Claim]) -> Part | None:
    """The part of a claim that a verdict shows, or None if the claim is unknown.

    Args:
      claims: the claims by id (`normlab.claims.CLAIMS`).
    """
    claim = claims.get(verdict.claim)
    if claim is None:
        return None
    if verdict.is_part:
        place = verdict.id.removeprefix(f"{verdict.claim}.")
        known = place.isdecimal() and 0 < int(place) <= len(claim.parts)
        return claim.parts[int(place) - 1] if known else None
    same = [p for p in claim.parts if verdict.statistic.startswith(p.statistic)]
    # A pooled claim has the rule of each of its parts.
    return max(same, key=lambda part: len(part.statistic), default=claim.parts[0])


def distance(verdict: Verdict, part: Part | None) -> Distance | None:
    """The distance of a verdict's interval from the bound of its part's rule.

    Returns:
      None for an identity, a prediction, an unknown claim, and without an interval.
    """
    ends = (verdict.low, verdict.estimate, verdict.high)
    if part is None or part.rule.exact or any(map(math.isnan, ends)):
        return None
    if part.rule.kind == "predicted":
        return None
    if verdict.unit == "ratio":
        if min(ends) <= 0:
            return None
        ends = tuple(map(math.log, ends))
    low, middle, high = _signed(part.rule, ends, verdict.unit == "ratio")
    margin = margin_of(verdict.unit)
    unit = margin or (high - low) / 2
    if not unit or not math.isfinite(unit):
        return None
    words = "" if margin is None else margin_words(verdict.unit)
    return Distance(low / unit, middle / unit, high / unit, words)


def _signed(rule: Rule, ends, ratio: bool) -> tuple[float, float, float]:
    low, middle, high = ends
    bound = math.log(rule.bound) if ratio and rule.kind != "within" else rule.bound
    if rule.kind == "above":
        return low - bound, middle - bound, high - bound
    if rule.kind == "below":
        return bound - high, bound - middle, bound - low
    # Within: the nearer of both bounds counts, so the farthest end is the lowest.
    nearest = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
    return bound - max(abs(low), abs(high)), bound - abs(middle), bound - nearest


def statements_of(verdict: Verdict, part: Part | None) -> Statements:
    """What Student's t test says of a part's row, whatever the scale of its networks.

    The test depends on the mean, the spread and the number of values only, and these
    follow from the interval. Nothing is said of a row without a 95% interval of
    Student's t, of too few seeds, of an identity, and of an unknown claim.
    """
    ends = (verdict.estimate, verdict.low, verdict.high)
    if part is None or part.rule.exact or verdict.level != LEVEL:
        return NOTHING_SAID
    if verdict.n < LEAST_SEEDS or not all(map(math.isfinite, ends)):
        return NOTHING_SAID
    if part.measure.ratio:
        if min(ends) <= 0:
            return NOTHING_SAID
        ends = tuple(map(math.log, ends))
    mean, low, high = ends
    n = verdict.n
    sd = (high - low) / 2 / stats.t.ppf((1 + LEVEL) / 2, n - 1) * math.sqrt(n)
    places = np.linspace(-1, 1, n)
    return statements(part, mean + sd * places / places.std(ddof=1))


def bound_words(part: Part) -> str:
    """The bound of a part's rule in words: ``above 0 points``, ``within ±1 points``."""
    unit = "" if part.unit == "ratio" else f" {part.unit}"
    if part.rule.kind == "within":
        return f"within ±{part.rule.bound:g}{unit}"
    if part.rule.kind in ("above", "below"):
        return f"{part.rule.kind} {part.rule.bound:g}{unit}"
    return ""


class Shortfall(NamedTuple):
    """Where runs fall short of the scale of their claim's source.

    Attributes:
      sizes: ``1/8 width``, ``3000 of 15000 steps``.
      kinds: other models or datasets: ``vgg11``.
    """

    sizes: tuple[str, ...]
    kinds: tuple[str, ...]

    @property
    def words(self) -> str:
        """``1/8 width, 3000 of 15000 steps (vgg11)``; "" without a shortfall."""
        sizes, kinds = ", ".join(self.sizes), ", ".join(self.kinds)
        return f"{sizes} ({kinds})" if sizes and kinds else sizes or kinds


def shortfall(words: str, claim: Claim | None) -> Shortfall:
    """The scale of runs beside that of the source, where they fall short of it.

    Args:
      words: the settings that fall short: ``vgg11, width 0.125, 3000 steps``.
      claim: the claim, which has the source's scale.
    """
    least = claim.scale.least if claim is not None and claim.scale else {}
    whole = {"steps": "steps", "images": "train_size", "epochs": "epochs"}
    sizes, kinds = [], []
    for word in filter(None, words.split(", ")):
        matched = _PARTIAL.fullmatch(word)
        unit = matched[3].strip() if matched and matched[3] else ""
        if matched and matched[1] == "width " and "width" in least:
            sizes.append(f"{_share(float(matched[2]) / least['width'])} width")
        elif matched and unit and whole[unit] in least:
            sizes.append(f"{matched[2]} of {number(float(least[whole[unit]]))} {unit}")
        else:
            (sizes if matched else kinds).append(word)
    return Shortfall(tuple(sizes), tuple(kinds))


def _share(value: float) -> str:
    """``1/8`` for 0.125; other numbers as they are."""
    whole = round(1 / value)
    return f"1/{whole}" if math.isclose(whole * value, 1) else number(value)
