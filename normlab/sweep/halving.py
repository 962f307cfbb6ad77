"""Which members are trained on, and which are stopped."""

import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from typing import Any

import jax
import numpy as np

from normlab.cell import Member

# What points are ranked by: the first of these that is measured. Never test images:
# the final test accuracy would be that of a network that was chosen by it.
RANKED_BY = ("validation_loss", "train_loss")


def ranked_by(evaluation: Mapping[str, Any]) -> str:
    """The metric of an evaluation that points are ranked by."""
    return next(name for name in RANKED_BY if name in evaluation)


def losers(
    members: Sequence[Member],
    losses_M: np.ndarray,
    among: Collection[int],
    share: Fraction,
) -> list[int]:
    """The members that do not belong to the best points, by number.

    A point is what members have in common except for the seed. Its seeds stay or stop
    together, so that no seed is chosen by its luck.

    Args:
      losses_M: each member's loss. A NaN is worse than any other.
      among: the members that compete.
      share: the share of the points to keep, rounded up.
    """
    points: dict[Member, list[int]] = {}
    for number in among:
        point = dataclasses.replace(members[number], seed=0)
        points.setdefault(point, []).append(number)
    losses = np.where(np.isnan(losses_M), np.inf, losses_M)
    # Of equal points the first stays.
    ranked = sorted(points.values(), key=lambda own: float(np.median(losses[own])))
    kept = math.ceil(len(ranked) * share)
    return sorted(number for own in ranked[kept:] for number in own)


def lost(state: Any, among: np.ndarray) -> np.ndarray:
    """The members of ``among`` with a NaN in their parameters.

    A NaN spreads to all parameters and never leaves; an infinite loss may.
    """
    bad = np.zeros(len(among), bool)
    for leaf in jax.tree.leaves(state.params):
        rows = np.asarray(leaf)[among]
        bad |= np.isnan(rows.reshape(len(among), -1)).any(1)
    return among[bad]
