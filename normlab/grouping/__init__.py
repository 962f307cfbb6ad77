"""Groupings by name: which channels a group norm puts into one group.

All groups have the same size. To add a grouping, write a function ``(channels, groups,
key) -> assignment``, and a line in `GROUPINGS`. All of this is NumPy on the host,
because a grouping is data to the compiled program and not a part of it.
"""

import importlib.util
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from normlab.errors import UserError
from normlab.grouping.channels import Channels
from normlab.grouping.correlated import anti_correlated, correlated
from normlab.grouping.exchange import score
from normlab.grouping.fixed import random, sequential
from normlab.grouping.moments import moments
from normlab.registry import Registry

__all__ = ["GROUPINGS", "Channels", "Grouping", "assign", "check", "score"]


class Grouping(NamedTuple):
    """An entry of `GROUPINGS`.

    Attributes:
      apply: ``(channels, groups, key) -> assignment``. The result is the group of each
        of the C channels in a `Channels`, int32 (C,), with each of 0 to groups - 1
        equally often. ``key`` is (seed, number of the layer). Random draws depend only
        on it.
      clusters: whether the grouping needs scikit-learn.
    """

    apply: Callable[[Channels, int, tuple[int, int]], np.ndarray]
    clusters: bool = False


GROUPINGS = Registry(
    "grouping",
    {
        "sequential": Grouping(sequential),
        "random": Grouping(random),
        "correlated": Grouping(correlated, clusters=True),
        "anti_correlated": Grouping(anti_correlated, clusters=True),
        "moments": Grouping(moments),
    },
)


def check(names: Iterable[str]) -> None:
    """Checks that channels can be grouped in these ways.

    Raises:
      UserError: a name is unknown, or scikit-learn is needed but not installed.
    """
    for name in names:
        clusters = GROUPINGS.find(name).clusters
        if clusters and importlib.util.find_spec("sklearn") is None:
            raise UserError(
                f"--grouping={name} needs scikit-learn: pip install 'normlab[grouping]'"
            )


def assign(
    name: str, channels: Channels, groups: int, key: tuple[int, int]
) -> np.ndarray:
    """The group of each channel by the grouping ``name``; see `Grouping`.

    Args:
      channels: the channels' statistics, all finite.
      groups: the number of groups, a divisor of the number of channels.
      key: (seed, number of the layer).
    """
    if groups in (1, len(channels.mean)):  # only one grouping is possible
        name = "sequential"
    return GROUPINGS[name].apply(channels, groups, key)
