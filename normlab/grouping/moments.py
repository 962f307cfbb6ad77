"""Groups of channels with similar moments."""

import numpy as np

from normlab.grouping.channels import Channels
from normlab.grouping.exchange import exchange
from normlab.norms.blocks import consecutive


def moments(channels: Channels, groups: int, key: tuple[int, int]) -> np.ndarray:
    """Groups of channels that are similar in mean and standard deviation.

    If channels differ only in the mean, these are the groups of least spread:
      consecutive
    channels in the order of the means. If standard deviations differ as well, channels
    are then exchanged while that lowers the squared distances within the groups (of
    mean and standard deviation, both in units of the activations).
    """
    del key
    count = len(channels.mean)
    start = np.empty(count, np.int32)
    start[np.argsort(channels.mean, kind="stable")] = consecutive(count, groups)
    points = np.stack([channels.mean, np.sqrt(channels.var)]).astype(np.float64)
    distances = np.square(points[:, :, None] - points[:, None, :]).sum(0)
    return exchange(-distances, start)
