"""Groups of channels that are correlated, and groups of channels that are not.

The similarity of two channels is their correlation r with its sign, not |r|. A group
norm computes one mean over all channels of a group. If the channels move together, the
mean removes what they share. A channel and its negative have no common mean, so nothing
is removed from either.
"""

import numpy as np

from normlab.grouping.channels import Channels
from normlab.grouping.exchange import exchange
from normlab.norms.blocks import consecutive


def correlated(channels: Channels, groups: int, key: tuple[int, int]) -> np.ndarray:
    """Groups of correlated channels.

    Average-linkage clustering with the distance 1 - r. Clusters differ in size, so they
    are joined in a sequence and cut into groups of one size. Then channels are
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
    """Groups whose channels are correlated as little as possible.

    Each group gets one channel from each of C/G groups of correlated channels. Then
    channels are exchanged while that lowers the mean correlation within the groups. A
    negative correlation counts as less than 0.
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
