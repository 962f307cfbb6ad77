"""New groups for the channels of norm layers, each member by its own grouping."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from normlab.cell import Member
from normlab.grouping import Channels, assign


def regrouped(
    stats: dict[str, Any],
    channel_statistics: dict[str, Channels],
    members: Sequence[Member],
    groups: int,
) -> dict[str, Any]:
    """The members' ``batch_stats`` with new assignments.

    A member keeps its groups if its statistics are not finite because it diverged.

    Args:
      stats: norm layer -> ``assignment`` (M, C).
      channel_statistics: norm layer -> statistics of its channels, with a leading
        member axis.
      members: M of them.
      groups: the number of groups.
    """
    new = {}
    for number, layer in enumerate(sorted(stats)):
        assignments = np.array(stats[layer]["assignment"])
        for i, member in enumerate(members):
            channels = Channels(*(np.asarray(x)[i] for x in channel_statistics[layer]))
            if all(np.isfinite(x).all() for x in channels):
                key = (member.seed, number)
                assignments[i] = assign(member.grouping, channels, groups, key)
        new[layer] = {"assignment": assignments}
    return new
