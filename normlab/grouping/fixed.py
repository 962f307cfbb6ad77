"""Groupings that do not look at the data."""

import numpy as np

from normlab.data.batches import permutation
from normlab.grouping.channels import Channels
from normlab.norms.blocks import consecutive

# Where the numbers of layers begin among those of a seed's permutations: no batch order
# has as many epochs.
_FIRST = 2**32


def sequential(channels: Channels, groups: int, key: tuple[int, int]) -> np.ndarray:
    """Groups of consecutive channels, as group norm's."""
    del key
    return consecutive(len(channels.mean), groups)


def random(channels: Channels, groups: int, key: tuple[int, int]) -> np.ndarray:
    """Groups drawn by lot: of a seed and a layer always the same."""
    seed, layer = key
    count = len(channels.mean)
    return consecutive(count, groups)[permutation(seed, _FIRST + layer, count)]
