"""Claims of several parts on made-up stores, whose parts share a baseline and seeds."""

import importlib
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from normlab.claims import part
from normlab.claims.claim import Claim, Measure, Side, difference
from normlab.claims.compare import PartResult
from normlab.claims.evidence import Evidence
from normlab.claims.rules import ALPHA, above
from normlab.statistics.power import power_above

# The package has a function of this name.
judging = importlib.import_module("normlab.claims.judge")

STORES = 400
GROUPS = (1, 4, 16)
# Of a network's accuracy, in points. The margin is one point.
SD = 2.0
S, C, U, N = "supported", "contradicted", "undecided", "no difference"
# Three standard errors of a share of 400 at 2.5%, and at 80%.
RARE, NEAR = 0.05, 0.06


def claim(test: str) -> Claim:
    measure = Measure("accuracy", "points", lambda *of: pd.Series(dtype=float))
    none = Side("none", "runs", {})
    parts = [
        difference(measure, Side(f"group (G={g})", "runs", {}), none, above(0))
        for g in GROUPS
    ]
    return Claim("X", "A sentence.", "a source", tuple(parts), test=test)


def differences(effects, n: int) -> np.ndarray:
    """What the groups gain over the same networks without a norm: (stores, 3, n)."""
    random = np.random.default_rng(n)
    none, groups = (SD * random.normal(size=(STORES, k, n)) for k in (1, len(GROUPS)))
    return groups + np.array(effects)[:, None] - none


def verdicts(test: str, gains: np.ndarray, patch: pytest.MonkeyPatch) -> np.ndarray:
    """What `judge` says of every store, from the values of its parts.

    What takes long is left out: to find the values, and the checks beside a verdict.
    """
    own, found = claim(test), []
    seeds = range(100, 100 + gains.shape[-1])
    members = pd.DataFrame({"seed": seeds})
    patch.setattr(judging, "checked", lambda *of: None)
    patch.setattr(part, "checked", lambda *of: None)
    patch.setattr(judging, "_with_cost", lambda claim, row, results: row)
    for store in gains:
        results = iter([PartResult(pd.Series(x, seeds), members) for x in store])
        patch.setattr(judging, "find", lambda *of, results=results: next(results))
        found.append(judging.judge(own, Evidence({}))[0].verdict)
    return np.array(found)


def expected(test: str, gains: np.ndarray) -> np.ndarray:
    """The verdicts by scipy's t test: the smallest p counts twice, once a side."""
    if test == "pooled":
        gains = gains.mean(axis=1, keepdims=True)

    def p(shift: float, alternative: str) -> np.ndarray:
        """The p-values of every store, ordered by size."""
        found: Any = stats.ttest_1samp(gains + shift, 0, -1, alternative=alternative)
        return 2 * np.sort(found.pvalue, axis=1)

    parts = gains.shape[1]
    most = 2 if test == "most" else parts  # so many of the parts have to hold
    false = parts - most + 1
    holds = (parts - most + 1) * p(0, "greater")[:, most - 1]
    fails = (parts - false + 1) * p(0, "less")[:, false - 1]
    alike = np.maximum(p(1, "greater")[:, -1], p(-1, "less")[:, -1])
    chosen = [holds <= ALPHA, fails <= ALPHA, alike <= ALPHA]
    return np.select(chosen, [S, C, N], U)


@pytest.mark.slow
@pytest.mark.parametrize("n", [5, 12])
@pytest.mark.parametrize("test", ["all", "most", "pooled"])
@pytest.mark.parametrize("effect", [-3.0, 0.0, 3.0])
def test_a_store_is_judged_as_the_t_test_says(test, effect, n, monkeypatch):
    gains = differences([effect] * 3, n)
    found = verdicts(test, gains, monkeypatch)
    np.testing.assert_array_equal(found, expected(test, gains))
    if effect == 0:
        assert max(np.mean(found == S), np.mean(found == C)) < RARE
    elif test == "pooled":
        power = power_above(3.0, SD * np.sqrt(1 + 1 / 3), n)
        right = np.mean(found == (S if effect > 0 else C))
        assert right == pytest.approx(power, abs=NEAR)


@pytest.mark.slow
@pytest.mark.parametrize("n", [5, 12])
@pytest.mark.parametrize(("test", "effects"), [("all", (9, 9, 0)), ("most", (9, 0, 0))])
def test_too_few_true_parts_are_seldom_enough(test, effects, n, monkeypatch):
    gains = differences(effects, n)
    found = verdicts(test, gains, monkeypatch)
    np.testing.assert_array_equal(found, expected(test, gains))
    assert 0 < np.mean(found == S) < RARE
    enough = (9, 9, 9) if test == "all" else (9, 9, 0)
    found = verdicts(test, differences(enough, n), monkeypatch)
    assert np.mean(found == S) > 0.8  # with as many as it needs, it is supported


@pytest.mark.slow
@pytest.mark.parametrize("test", ["all", "most"])
def test_no_difference_needs_all_parts(test, monkeypatch):
    """With a spread far below the margin of one point."""
    alike = 0.15 * differences((0, 0, 0), 12)
    found = verdicts(test, alike, monkeypatch)
    np.testing.assert_array_equal(found, expected(test, alike))
    assert np.mean(found == N) > 0.9
    apart = 0.15 * differences((0, 0, 60), 12)
    found = verdicts(test, apart, monkeypatch)
    np.testing.assert_array_equal(found, expected(test, apart))
    assert N not in found
