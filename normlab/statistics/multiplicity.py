"""p-values of several tests: corrected within a family, or combined into one."""

from collections.abc import Sequence

import numpy as np


def holm(p) -> np.ndarray:
    """Holm's step-down correction over the last axis (Holm 1979).

    Rejecting the corrected p-values up to a makes a false rejection with probability
    at most a, whatever the dependence. scipy has no such function
    (`scipy.stats.false_discovery_control` controls another rate).

    Args:
      p: p-values (..., tests).
    """
    p = np.asarray(p, float)
    m = p.shape[-1]
    order = np.argsort(p, axis=-1, kind="stable")
    stepped = np.take_along_axis(p, order, -1) * (m - np.arange(m))
    stepped = np.minimum(np.maximum.accumulate(stepped, axis=-1), 1.0)
    corrected = np.empty_like(p)
    np.put_along_axis(corrected, order, stepped, -1)
    return corrected


def at_least(p: Sequence[float] | np.ndarray, number: int) -> float:
    """One p-value for: at least ``number`` of these alternatives are true.

    With all of them, it is the largest p-value (the intersection-union test, Berger
    1982). With one, it is Bonferroni's. Between them, it is the partial conjunction of
    Benjamini & Heller (2008). It holds whatever the dependence.

    Raises:
      ValueError: ``number`` is not between 1 and the number of p-values.
    """
    values = np.sort(np.asarray(p, float))
    if not 1 <= number <= len(values):
        raise ValueError(f"{number} of {len(values)} alternatives")
    return float(min(1.0, (len(values) - number + 1) * values[number - 1]))
