"""Groups of channels that rise and fall together, and groups of those that do not.

How alike two channels are is their correlation r with its sign, not |r|. A group norm
takes one mean from all channels of a group: from channels that move together it takes
what they share, while a channel and its negative have no mean in common, and it takes
nothing from either.
"""

import numpy as np

from normlab.grouping.channels import Channels
from normlab.grouping.exchange import exchange
from normlab.norms.blocks import consecutive


def correlated(channels: Channels, groups: int, key: tuple[int, int]) -> np.ndarray:
    """Groups of correlated channels.

    Average-linkage clustering by the distance 1 - r; clusters differ in size, so they
    are put one behind the other and cut into groups of one size, and channels are
    exchanged while that raises the mean correlation within the groups.
    """
    del key
    order = np.argsort(_clusters(channels.correlation, groups), kind="stable")
    start = np.empty(len(order), np.int32)
    start[order] = consecutive(len(order), groups)
    return exchange(channels.correlation, start)


def anti_correlated(
    channels: Channels, groups: int, key: tuple[int, int]
) -> np.ndarray:
    """The opposite: groups whose channels are correlated as little as possible.

    Each group gets one channel of every one of C/G groups of correlated channels; then
    channels are exchanged while that lowers the mean correlation within the groups. A
    negative correlation is less than none.
    """
    count = len(channels.mean)
    alike = correlated(channels, count // groups, key)
    start = np.empty(count, np.int32)
    start[np.argsort(alike, kind="stable")] = np.arange(count) % groups
    return exchange(-channels.correlation, start)


def _clusters(correlation_CC: np.ndarray, count: int) -> np.ndarray:
    """The cluster of each channel, (C,); clusters differ in size."""
    from sklearn.cluster import AgglomerativeClustering  # an extra: `grouping.check`

    distance = 1 - np.array(correlation_CC, np.float64)
    np.fill_diagonal(distance, 0)
    clustering = AgglomerativeClustering(
        n_clusters=count, metric="precomputed", linkage="average"
    )
    return clustering.fit_predict(distance)
