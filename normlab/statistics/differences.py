"""The difference that an axis of a run makes, paired by seed."""

from typing import Any

import numpy as np
import pandas as pd

from normlab.errors import UserError
from normlab.statistics.finals import (
    dynamic_columns,
    final_rows,
    norm_label,
    static_columns,
    worst_if_lost,
)
from normlab.statistics.paired import above_p, below_p, estimate

_NORM = "norm"


def differences(
    frame: pd.DataFrame, axis: str, one: Any, other: Any, metric: str
) -> pd.DataFrame:
    """The final ``metric`` where ``axis`` is ``one``, minus that where it is ``other``.

    The two networks of a pair have the same seed, so also the same order of images, and
    the same value of everything else that the run varies.

    Args:
      frame: what `normlab.store.load` returned.
      axis: an axis that the run varies. For ``norm``, values are labels with the norm's
        own settings: "batch", "group (G=4)".
      metric: a column of ``frame``. Accuracies are shares, not percent.

    Returns:
      A row for each combination of the other axes, which are the first columns. Then
      come the ``mean`` difference, Student's 95% interval for it from ``low`` to
      ``high``, the number ``n`` of pairs, and the p-value ``p`` of the two-sided t
      test. If all differences are equal, there is no interval, and p is the sign
      test's. If a network diverged, it counts as worse than any other: then ``mean`` is
      the median, with its interval from order statistics, and p is the sign test's.

    Raises:
      UserError: the run does not vary the axis, or no pair has these values.
    """
    rows = final_rows(frame).assign(**{_NORM: norm_label(frame)})
    axes = [_NORM, *static_columns(frame), *dynamic_columns(frame)]
    if axis not in axes:
        raise UserError(
            f"differences: the run has no axis {axis!r}; known: {', '.join(axes)}"
        )
    rows = worst_if_lost(rows, metric)
    keys = [name for name in axes if name != axis]
    sides = []
    for value in (one, other):
        side = rows.loc[rows[axis] == value, [*keys, "seed", metric]]
        if side.empty:
            known = ", ".join(map(str, dict.fromkeys(rows[axis])))
            raise UserError(f"differences: {axis} has no {value!r}; known: {known}")
        sides.append(side)
    pairs = sides[0].merge(sides[1], on=[*keys, "seed"], suffixes=("", "_other"))
    if pairs.empty:
        raise UserError(
            f"differences: no two networks differ in {axis} alone, {one!r} and "
            f"{other!r}, and share a seed"
        )
    found = [
        dict(zip(keys, place, strict=True))
        | _difference(
            own[metric].to_numpy(float), own[f"{metric}_other"].to_numpy(float)
        )
        for place, own in pairs.groupby(keys, sort=False)
    ]
    return pd.DataFrame(found)


def _difference(one: np.ndarray, other: np.ndarray) -> dict[str, float]:
    """Of the pairs of one combination. Two that are lost are equal."""
    apart = np.zeros(len(one))
    unlike = one != other
    apart[unlike] = one[unlike] - other[unlike]
    own = estimate(apart)
    p = min(1.0, 2 * float(min(above_p(apart, 0), below_p(apart, 0))))
    return {"mean": own.estimate, "low": own.low, "high": own.high, "n": own.n, "p": p}
