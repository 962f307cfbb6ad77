"""Rules on made-up stores: 1000 each, with a true effect that is known."""

import numpy as np
import pandas as pd
import pytest

from normlab.claims import rules
from normlab.claims.claim import Claim, Measure, Side, level
from normlab.claims.judge import together as combined
from normlab.claims.rules import (
    ALPHA,
    CONTRADICTED,
    NO_DIFFERENCE,
    SUPPORTED,
    UNDECIDED,
    Rule,
    Statements,
    above,
    below,
    predicted,
    within,
)
from normlab.claims.seeds import needed
from normlab.statistics.multiplicity import holm
from normlab.statistics.power import power_above, power_equivalent, seeds_above

STORES, SEEDS = 1000, 10
# Three standard errors of a share of 1000 at 80%, and at 2.5%.
NEAR, RARE = 0.04, 0.04


def values(mean: float, seeds: int = SEEDS, of: int = 0) -> np.ndarray:
    """One row of differences for each store, with a standard deviation of 1."""
    return np.random.default_rng(of).normal(mean, 1.0, (STORES, seeds))


def verdicts(said: Statements) -> np.ndarray:
    """The verdict on each store."""
    words = [SUPPORTED, CONTRADICTED, NO_DIFFERENCE]
    return np.select([p <= ALPHA for p in said], words, UNDECIDED)


def shares(rule: Rule, stores: np.ndarray, margin: float | None = None) -> dict:
    """Verdict -> its share of the stores."""
    said = rule.statements(stores, margin)
    one = rule.statements(stores[0], margin)
    assert one.verdict == verdicts(said)[0] and one.p == min(said[0][0], said[1][0])
    return {word: np.mean(verdicts(said) == word) for word in rules.VERDICTS}


def together(means: list[float]) -> tuple[list[str], np.ndarray]:
    """The verdicts on a claim whose parts have these effects, and on its parts."""
    claim = Claim("X", "A sentence.", "a source")
    said = [above(0).statements(values(mean, of=k)) for k, mean in enumerate(means)]
    each = np.moveaxis(np.array(said), -1, 0)  # stores, parts, statements
    whole = [combined(claim, [Statements(*p) for p in store]) for store in each]
    return [one.verdict for one in whole], np.array([verdicts(one) for one in said]).T


@pytest.mark.parametrize(
    ("rule", "way"), [(above(0), 1), (below(0), -1), (above(3), 1)]
)
def test_a_true_effect_is_found_with_its_power(rule, way):
    power = power_above(1.0, 1.0, SEEDS)
    assert 0.75 < power < 0.9
    right = shares(rule, values(rule.bound + way))
    assert right[SUPPORTED] == pytest.approx(power, abs=NEAR)
    assert right[CONTRADICTED] == 0
    wrong = shares(rule, values(rule.bound - way))
    assert wrong[CONTRADICTED] == pytest.approx(power, abs=NEAR)


@pytest.mark.parametrize("rule", [above(0), below(0), above(3)])
def test_no_effect_is_found_at_its_rate(rule):
    found = shares(rule, values(rule.bound))
    for word in (SUPPORTED, CONTRADICTED):
        assert 0.01 < found[word] < RARE


def test_no_difference_is_found_where_there_is_none():
    margin = 1.5
    power = power_equivalent(0.0, margin, 1.0, SEEDS)
    assert 0.75 < power < 1
    found = shares(above(0), values(0.0), margin)
    assert found[NO_DIFFERENCE] + 0.05 == pytest.approx(power, abs=2 * NEAR)
    claimed = shares(within(margin), values(0.0))
    assert claimed[SUPPORTED] == pytest.approx(power, abs=NEAR)


def test_a_difference_at_the_margin_is_seldom_called_none():
    margin = 1.5
    for mean in (margin, -margin):
        assert shares(within(margin), values(mean))[SUPPORTED] < RARE
        assert shares(above(0), values(mean), margin)[NO_DIFFERENCE] < RARE
    outside = shares(within(margin), values(margin + 1))
    power = power_above(1.0, 1.0, SEEDS)
    assert outside[CONTRADICTED] == pytest.approx(power, abs=NEAR)


def test_all_that_is_said_of_a_store_is_seldom_wrong():
    """Three statements share one interval, so they need no correction."""
    for mean in (0.0, 0.3, 1.4, 1.5, 2.0):
        margin = 1.5
        supports, contradicts, alike = above(0).statements(values(mean), margin)
        false = [supports] * (mean <= 0) + [contradicts] * (mean >= 0)
        false += [alike] * (mean >= margin)
        wrong = np.any([p <= ALPHA for p in false], axis=0)
        assert wrong.mean() < 0.07, mean


def test_one_more_of_ours_is_seldom_called_foreign():
    own = values(0.0, SEEDS + 1)
    stores = own[:, :-1] - own[:, -1:]  # minus the published number
    found = shares(predicted(), stores)
    assert found[CONTRADICTED] == pytest.approx(0.05, abs=0.025)
    foreign = shares(predicted(), values(6.0))
    assert foreign[CONTRADICTED] > 0.95
    wide = shares(predicted(), 5 * values(0.0))
    assert wide[SUPPORTED] == 0  # an interval so wide says nothing


@pytest.mark.parametrize("parts", [1, 12])
def test_a_claim_of_many_parts_has_one_error_rate(parts):
    """Parts at their limit: none is false, and one by one many would fall."""
    whole, each = together([0.0] * parts)
    assert whole.count(CONTRADICTED) / STORES < RARE
    single = np.mean(np.any(each == CONTRADICTED, axis=1))
    assert single > (0.2 if parts == 12 else 0.01)


def test_true_parts_do_not_fall_by_chance():
    assert together([3.0] * 12)[0].count(SUPPORTED) / STORES > 0.99


def test_one_false_part_keeps_the_claim_from_support():
    assert together([3.0, 3.0, 0.0])[0].count(SUPPORTED) / STORES < RARE
    assert together([3.0, 3.0, -3.0])[0].count(CONTRADICTED) / STORES > 0.99


@pytest.mark.parametrize("means", [(0.5,) * 6, (-0.5, *(0.5,) * 5)])
def test_seeds_that_are_said_to_decide_have_the_power_of_the_whole_claim(means):
    """Six parts that all hold, and six of which one is false."""
    shape = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    shape /= shape.std(ddof=1)
    measure = Measure("accuracy", "epochs", lambda *of: pd.Series(dtype=float))
    part = level(measure, Side("none", "a", {}), above(0))
    claim = Claim("X", "A sentence.", "a source", (part,) * 6)
    n = needed(claim, claim.parts, [mean + shape for mean in means])
    said = [
        above(0).statements(values(mean, int(n), of=k)) for k, mean in enumerate(means)
    ]
    each = np.moveaxis(np.array(said), -1, 0)
    found = [combined(claim, [Statements(*p) for p in store]).verdict for store in each]
    word = SUPPORTED if min(means) > 0 else CONTRADICTED
    assert 0.8 - NEAR < found.count(word) / STORES < 0.9
    # One part alone needs fewer.
    assert n > 1.2 * seeds_above(0.5, 1.0, 5)


def test_a_family_has_one_error_rate():
    """30 claims: 15 of no effect, 5 of a small one, 5 at the margin, 5 of a large one.

    Holm's correction of one p-value for each claim, the smallest, would not do: the
    true statements of no difference would leave too few hypotheses for the false ones.
    """
    margin = 1.5
    means = np.array([0.0] * 15 + [0.2] * 5 + [margin] * 5 + [4.0] * 5)
    said = [
        above(0).statements(values(mean, of=k), margin) for k, mean in enumerate(means)
    ]
    words = np.array([verdicts(one) for one in said]).T  # stores, claims
    p = np.array([(np.minimum(*one[:2]), one.equivalent) for one in said])
    p = np.moveaxis(p, -1, 0)
    false = (words == SUPPORTED) & (means <= 0)
    false |= (words == CONTRADICTED) & (means >= 0)
    false |= (words == NO_DIFFERENCE) & (means >= margin)

    def wrong(corrected: np.ndarray) -> float:
        return np.mean(np.any(false & (corrected <= ALPHA), axis=1))

    both = holm(p.reshape(STORES, -1)).reshape(p.shape)
    own = np.where(words == NO_DIFFERENCE, both[..., 1], both[..., 0])
    assert wrong(np.zeros_like(own)) > 0.3
    assert wrong(holm(p.min(-1))) > 0.08
    assert wrong(own) < 0.05
    assert np.mean(own[:, -5:] <= ALPHA) > 0.95
