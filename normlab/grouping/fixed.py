"""Groupings that do not look at the data."""

import numpy as np

from normlab.data.batches import permutation
from normlab.grouping.channels import Channels
from normlab.norms.blocks import consecutive

# Layers use a seed's permutations from this number on. No batch order has so many
# epochs.
_FIRST = 2**32


def sequential(channels: Channels, groups: int, key: tuple[int, int]) -> np.ndarray:
    """Groups of consecutive channels, as in group norm."""
    del key
    return consecutive(len(channels.mean), groups)


def random(channels: Channels, groups: int, key: tuple[int, int]) -> np.ndarray:
    """Random groups, always the same for a seed and a layer."""
    seed, layer = key
    count = len(channels.mean)
    return consecutive(count, groups)[permutation(seed, _FIRST + layer, count)]
