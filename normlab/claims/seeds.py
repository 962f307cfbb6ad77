"""Which seeds judge a claim, and how many more would decide it."""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from normlab.claims.claim import Claim, Part
from normlab.claims.compare import SAME_NETWORK, PartResult
from normlab.claims.cost import CPU, GPU, seconds
from normlab.claims.rules import ALPHA, LEAST_SEEDS
from normlab.statistics.paired import spreads
from normlab.statistics.power import POWER, seeds_above, seeds_equivalent


def common(claim: Claim, results: Sequence[PartResult]) -> pd.Index | None:
    """The seeds of all measured parts; None if they have none in common.

    If at least `LEAST_SEEDS` of them were not seen before the rule was set, only these.
    """
    measured = [r.values.index for r in results if len(r.values)]
    if not measured:
        return None
    seeds = functools.reduce(lambda a, b: a.intersection(b), measured)
    new = seeds[~seeds.isin(list(claim.seen))]
    return new if len(new) >= LEAST_SEEDS else seeds if len(seeds) else None


def explores(claim: Claim, seeds: pd.Index) -> bool:
    """Whether a seed that was seen before the rule was set is among ``seeds``."""
    return bool(seeds.isin(list(claim.seen)).any())


def needed(claim: Claim, parts: Sequence[Part], values: Sequence[np.ndarray]) -> float:
    """How many seeds give the claim's test a power of 80% for some verdict.

    The parts have the observed means and spreads, and depend on each other in any way.
    So a verdict that needs several parts gives each of them a share of the 20%. If it
    needs only some, each is tested at a share of the level, as in
    `normlab.statistics.multiplicity.at_least`. Holm's correction is not included.
    """
    # That a number is not rejected is no finding of a test with a power.
    if any(part.rule.predicts for part in parts):
        return math.nan
    if not all(len(x) > 1 and np.isfinite(x).all() for x in values):
        return math.nan
    both = list(zip(parts, values, strict=True))
    wanted = hold(claim, len(parts))

    def of(column: int, count: int) -> float:
        level = 1 - ALPHA / (len(parts) - count + 1)
        power = 1 - (1 - POWER) / count
        return sorted(_of_part(*one, level, power)[column] for one in both)[count - 1]

    return min(of(0, wanted), of(1, len(parts) - wanted + 1), of(2, len(parts)))


def hold(claim: Claim, parts: int) -> int:
    """How many parts have to hold."""
    return parts // 2 + 1 if claim.test == "most" else parts


def _of_part(
    part: Part, x: np.ndarray, level: float, power: float
) -> tuple[float, float, float]:
    """Seeds to support, to contradict, and to show no difference."""
    rule, mean = part.rule, float(x.mean())
    sd = float(x.std(ddof=1)) if spreads(x) else 0.0
    how = LEAST_SEEDS, level, power
    bound = math.log(rule.bound) if part.measure.ratio else rule.bound
    if rule.kind == "within":
        alike = seeds_equivalent(mean, bound, sd, *how)
        return alike, seeds_above(abs(mean) - bound, sd, *how), math.inf
    over = mean - bound if rule.kind == "above" else bound - mean
    supports, contradicts = (seeds_above(d, sd, *how) for d in (over, -over))
    alike = math.inf
    if part.margin is not None and bound == 0:
        alike = seeds_equivalent(mean, part.margin, sd, *how)
    return supports, contradicts, alike


class SeedCost(NamedTuple):
    """What one seed of all parts of a claim costs.

    Attributes:
      member_steps: the steps of all its networks; a shared network counts once.
      cpu, gpu: seconds (`normlab.claims.cost`).
    """

    member_steps: float = math.nan
    cpu: float = math.nan
    gpu: float = math.nan


def cost_per_seed(results: Sequence[PartResult]) -> SeedCost:
    """The cost of one seed of all parts; NaN if nothing was measured."""
    used = [r.members for r in results if len(r.members)]
    if not used:
        return SeedCost()
    members = pd.concat(used).drop_duplicates(SAME_NETWORK)
    seeds = members["seed"].nunique()
    times = (seconds(members, device) / seeds for device in (CPU, GPU))
    return SeedCost(float(members["steps"].sum() / seeds), *times)
