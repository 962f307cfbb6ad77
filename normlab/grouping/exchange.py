"""Makes groups of one size more similar by exchanging channels between them."""

import numpy as np

# A smaller gain, relative to the largest similarity, is rounding of float32 statistics.
_LEAST_GAIN = 1e-6


def score(likeness_CC: np.ndarray, assignment: np.ndarray) -> float:
    """The mean similarity of two different channels in one group; NaN if none exist.

    Args:
      likeness_CC: symmetric; the correlation, for example.
      assignment: the group of each channel, (C,).
    """
    same = assignment[:, None] == assignment[None, :]
    np.fill_diagonal(same, False)
    return float(likeness_CC[same].mean()) if same.any() else float("nan")


def exchange(likeness_CC: np.ndarray, assignment: np.ndarray) -> np.ndarray:
    """The assignment after all exchanges of two channels that raise its `score`.

    The best exchange is always made first (of equal ones, that of the first channels),
    until none is left. The result is a local optimum (exchanges as in Spaeth 1986,
    "Anticlustering: maximizing the variance criterion"). Groups keep their sizes.

    Args:
      likeness_CC: symmetric, finite.
      assignment: where to start, (C,).

    Returns:
      int32 (C,).
    """
    likeness = np.array(likeness_CC, np.float64)
    np.fill_diagonal(likeness, 0)
    group = np.array(assignment, np.int32)
    least = _LEAST_GAIN * np.abs(likeness).max()
    member = (group[:, None] == np.arange(group.max() + 1)).astype(np.float64)
    to_group = likeness @ member  # (C, G): a channel's similarity to all of a group
    while True:
        there = to_group[:, group]  # of channel i to the group of channel j
        now = np.diagonal(there)
        gain = there + there.T - now[:, None] - now[None, :] - 2 * likeness
        gain[group[:, None] == group[None, :]] = 0  # same group: nothing would change
        i, j = np.unravel_index(np.argmax(gain), gain.shape)
        if gain[i, j] <= least:
            return group
        moved = likeness[:, j] - likeness[:, i]
        to_group[:, group[i]] += moved
        to_group[:, group[j]] -= moved
        group[i], group[j] = group[j], group[i]
