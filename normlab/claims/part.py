"""The verdict on one part of a claim, or on the mean of several."""

import functools
import math
from typing import Any

import numpy as np

from normlab.claims.claim import Claim, Part
from normlab.claims.compare import PartResult
from normlab.claims.margins import margin_words
from normlab.claims.rules import (
    ALPHA,
    CONTRADICTED,
    IDENTITY_HOLDS,
    LEAST_SEEDS,
    NO_DIFFERENCE,
    NOT_REJECTED,
    SUPPORTED,
    UNDECIDED,
    Rule,
    Statements,
)
from normlab.claims.seeds import explores
from normlab.claims.verdict import Verdict
from normlab.statistics.intervals import short
from normlab.statistics.paired import (
    LEAST_FLIPPED,
    bootstrap_interval,
    estimate,
    flip_p,
    spreads,
    widened_interval,
    with_error,
)
from normlab.words import counted

FLIP, BOOTSTRAP = "sign-flip test", "BCa bootstrap"


def statements(part: Part, values: np.ndarray) -> Statements:
    """What Student's t test says about a part."""
    return part.rule.statements(values, part.margin, part.measure.ratio)


def checked(part: Part, values: np.ndarray) -> Statements | None:
    """What `check_name`'s test says; None if there is no such test."""
    finite = len(values) >= LEAST_SEEDS and np.isfinite(values).all()
    if not finite or part.rule.predicts:
        return None
    test = flip_p if len(values) >= LEAST_FLIPPED else _bootstrap_p
    return part.rule.statements(values, part.margin, part.measure.ratio, test)


def of_other_images(
    part: Part, values: np.ndarray, images_sd: float
) -> Statements | None:
    """What can be said if test images were drawn anew; None if they do not matter."""
    if not images_sd or len(values) < LEAST_SEEDS or part.rule.predicts:
        return None
    test = with_error(images_sd)
    return part.rule.statements(values, part.margin, part.measure.ratio, test)


def images_words(verdict: str, other: str | None) -> str:
    """What is said for other test images, and whether it differs; "" if nothing is."""
    if other is None:
        return ""
    return "agrees" if verdict == other else f"differs, {other}"


def check_name(n: int) -> str:
    """The test beside Student's t for ``n`` seeds."""
    return FLIP if n >= LEAST_FLIPPED else BOOTSTRAP


def check_words(n: int, verdict: str, other: str | None, can_tell: bool = True) -> str:
    """What the other test says, and whether it differs; "" if there is none.

    Args:
      can_tell: whether the other test could say the same with so few seeds.
    """
    if other is None:
        return ""
    if not can_tell:
        return f"{check_name(n)}: cannot tell at this n"
    return f"{check_name(n)}: " + (
        "agrees" if verdict == other else f"differs, {other}"
    )


def judge_part(claim: Claim, part: Part, name: str, result: PartResult) -> Verdict:
    """The verdict on a part."""
    values = result.values.to_numpy(float)
    if part.rule.exact:
        found = _of_networks(part, values)
    else:
        own, other = statements(part, values), checked(part, values)
        found = tested(part, values, own)
        if other is not None:
            found["check"] = check_words(len(values), own.verdict, other.verdict)
        found |= with_images(part, values, own.verdict, result.images_sd)
    why = _why(result, found["verdict"], part.rule)
    notes = (why, found.pop("note", ""), _lost(result), result.choice.words)
    fields = {
        "id": name,
        "sentence": claim.sentence,
        "source": claim.source,
        "statistic": "; ".join(filter(None, [part.statistic, result.length])),
        "unit": part.unit,
        "exploratory": explores(claim, result.values.index) and not part.rule.exact,
        "rule": part.rule.words,
        "asked": part.rule.brief,
        "needs": part.needs,
        "missing": tuple(dict.fromkeys(side.flagfile for side in result.missing)),
        "runs": result.runs,
        "note": " ".join(filter(None, notes)),
        "claim": claim.id,
    }
    return Verdict(**{**_EMPTY, **fields, **found})


def with_images(
    part: Part, values: np.ndarray, verdict: str, images_sd: float
) -> dict[str, Any]:
    """The fields of a verdict that are about other test images."""
    other = of_other_images(part, values, images_sd)
    if other is None:
        return {}
    low, high = np.nan, np.nan
    if np.isfinite(values).all():
        low, high = map(float, widened_interval(values, images_sd))
    words = images_words(verdict, other.verdict)
    return {"images": words, "low_images": low, "high_images": high}


_EMPTY = {
    "images": "",
    "low_images": math.nan,
    "high_images": math.nan,
    "family": "",
    "adjusted": "",
    "p": math.nan,
    "p_no_difference": math.nan,
    "p_adjusted": math.nan,
    "check": "",
    "seeds_needed": math.nan,
    "member_steps": math.nan,
    "cpu_seconds": math.nan,
    "gpu_seconds": math.nan,
    "version": "",
}


def tested(part: Part, values: np.ndarray, own: Statements) -> dict:
    """The fields of a verdict that follow from ``values`` and their p-values."""
    found = estimate(values)
    numbers = found.estimate, found.low, found.high
    if part.measure.ratio:
        numbers = tuple(float(np.exp(x)) for x in numbers)
    middle, low, high = numbers
    verdict = part.rule.verdict(own)
    return {
        "verdict": verdict,
        "words": words_of(verdict, part.unit, middle),
        "estimate": middle,
        "low": low,
        "high": high,
        "n": found.n,
        "level": found.level,
        **(p_values(part.rule, own) if found.n >= LEAST_SEEDS else {}),
        "note": also_small(part, own),
    }


def p_values(rule: Rule, own: Statements) -> dict[str, float]:
    """The p-values of a verdict. That a number is predicted is no rejection: no p."""
    p = own.contradicts if rule.predicts else own.p
    return {"p": p, "p_no_difference": own.equivalent, **own._asdict()}


def also_small(part: Part, own: Statements) -> str:
    """That a difference which was found is too small to matter, or ""."""
    if own.verdict not in (SUPPORTED, CONTRADICTED) or own.equivalent > ALPHA:
        return ""
    return f"The difference is not larger than {margin_words(part.unit)}."


def words_of(verdict: str, unit: str, mean: float) -> str:
    """A verdict in words: ``no difference larger than 0.005 nats``.

    Args:
      mean: of what was measured, minus the published number if there is one.
    """
    if verdict == NO_DIFFERENCE:
        return f"{verdict} larger than {margin_words(unit)}"
    if verdict == NOT_REJECTED:
        return f"{verdict}, mean {abs(mean):.2g} {unit} off"
    return verdict


def _of_networks(part: Part, values: np.ndarray) -> dict:
    """The verdict on an identity or a bound: that of the worst network."""
    rule, n = part.rule, len(values)
    worst = math.nan
    if n:
        worst = float(values.min() if rule.kind == "at_least" else values.max())
    if not n:
        verdict, words = UNDECIDED, UNDECIDED
    elif not rule.holds(values):
        verdict, words = CONTRADICTED, f"{CONTRADICTED} by a counterexample"
    elif rule.kind == "identity":
        verdict, words = IDENTITY_HOLDS, f"{IDENTITY_HOLDS} to {short(worst)}"
    else:
        verdict, words = SUPPORTED, "holds in every network"
    ends = {"low": math.nan, "high": math.nan, "level": 1.0 if n else 0.0}
    return {"verdict": verdict, "words": words, "estimate": worst, "n": n, **ends}


@functools.cache
def _bootstrap_low(values: tuple[float, ...]) -> float:
    return bootstrap_interval(values)[0]


def _bootstrap_p(values: np.ndarray, bound: float) -> float:
    """0 if the bootstrap's interval lies above the bound, and otherwise 1.

    Equal values have no interval.
    """
    if not spreads(values):
        return 1.0
    return float(_bootstrap_low(tuple(map(float, values))) <= bound)


def _lost(result: PartResult) -> str:
    """A sentence about diverged members, or "" if no member diverged."""
    if not result.diverged:
        return ""
    verb = "counts" if result.diverged == 1 else "count"
    members = counted(result.diverged, "member")
    return f"{members} diverged and {verb} as worse than any other."


def _why(result: PartResult, verdict: str, rule: Rule) -> str:
    """Why a part is undecided, or how it was tested otherwise."""
    values = result.values.to_numpy(float)
    sign = "" if rule.exact else _ranked(values)
    if verdict != UNDECIDED:
        return sign
    if result.missing:
        names = "; ".join(dict.fromkeys(side.name for side in result.missing))
        return f"Missing from the given runs: {names}."
    if result.why:
        return f"Not compared: {result.why}."
    if len(values) < LEAST_SEEDS:
        seeds = "1 seed is" if len(values) == 1 else f"{len(values)} seeds are"
        return f"{seeds} too few; at least {LEAST_SEEDS} are required."
    if rule.predicts:
        return sign or "The prediction interval is too wide."
    return sign or "The interval contains the bound of the rule."


def _ranked(values: np.ndarray) -> str:
    """Why there is no t test, or ""."""
    if len(values) and not np.isfinite(values).all():
        return "Some values are infinite, so the sign test of the median decides."
    if len(values) > 1 and not spreads(values):
        return "All seeds are equal, so the sign test decides."
    return ""
